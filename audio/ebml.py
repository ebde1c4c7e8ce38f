"""An incremental reader of the part of EBML that a WebM/Opus stream from MediaRecorder is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

from audio.errors import AudioInvalid

EBML_HEADER = 0x1A45DFA3
EBML_MAGIC = b"\x1a\x45\xdf\xa3"

_SEGMENT, _CLUSTER, _TRACKS, _TRACK_ENTRY, _BLOCK_GROUP = 0x18538067, 0x1F43B675, 0x1654AE6B, 0xAE, 0xA0
_ENTERED = frozenset({_SEGMENT, _CLUSTER, _TRACKS, _TRACK_ENTRY, _BLOCK_GROUP})
"""Masters whose children are read in sequence. Their sizes are not needed, so unknown ones (live streams) are fine."""
_TRACK_NUMBER, _CODEC_ID, _CODEC_PRIVATE = 0xD7, 0x86, 0x63A2
_SIMPLE_BLOCK, _BLOCK = 0xA3, 0xA1
_TRACK_FIELDS = frozenset({_TRACK_NUMBER, _CODEC_ID, _CODEC_PRIVATE})
_BLOCKS = frozenset({_SIMPLE_BLOCK, _BLOCK})

BLOCK_MAX_BYTES = 65_536
"""An Opus packet of 120 ms at the highest rate is below 62 KB (RFC 6716, section 3.4: 48 frames of 1,275 bytes)."""
TRACK_FIELD_MAX_BYTES = 4_096
"""OpusHead has 19 bytes, 275 at the most."""
SILENT_MAX_BYTES = 1_048_576
"""So many bytes without a block of the audio track are no live stream (tags, cues and padding are far smaller)."""
_LACING_BITS = 0x06


@dataclass(slots=True)
class Track:
    """The fields of one TrackEntry that were read so far."""

    number: int = 0
    codec_id: str = ""
    codec_private: bytes = b""


@dataclass(slots=True)
class OpusBlocks:
    """What one call of `EbmlReader.feed` found: a new track, if one was announced, and its packets, in order."""

    track: Track | None = None
    packets: list[bytes] = field(default_factory=list)


class EbmlReader:
    """Finds the packets of the first Opus track in a WebM stream that comes in pieces of any size.

    Holds at most one unfinished element of BLOCK_MAX_BYTES; what is of no interest is skipped, not stored. Raises
    AudioInvalid on what is not EBML, on laced blocks, on elements over the limits, and after SILENT_MAX_BYTES without
    audio. A new EBML header (the recorder was started again) forgets the track.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._skip = 0
        self._silent = 0
        self._entry: Track | None = None
        self._track: Track | None = None

    def feed(self, data: bytes) -> list[OpusBlocks]:
        """Read on; one entry for each track met, or for the track known before. Raises AudioInvalid."""
        found = [OpusBlocks()]
        self._buffer += data
        at = 0
        while (end := self._element(at, found)) is not None:
            at = end
        del self._buffer[:at]
        return found

    def _element(self, at: int, found: list[OpusBlocks]) -> int | None:
        """Take the element at `at`; where the next one begins, or None when its bytes are not all there."""
        if self._skip:
            return self._skip_some(at)
        head = self._head(at)
        if head is None:
            return None
        identity, size, body = head
        if identity in _ENTERED:
            self._enter(identity)
            return self._count(body - at, body)
        if size is None:
            raise AudioInvalid("WebM inválido: elemento sem tamanho")
        if identity in _TRACK_FIELDS or identity in _BLOCKS:
            limit = BLOCK_MAX_BYTES if identity in _BLOCKS else TRACK_FIELD_MAX_BYTES
            if size > limit:
                raise AudioInvalid("WebM inválido: elemento grande demais")
            if body + size > len(self._buffer):
                return None
            self._take(identity, bytes(self._buffer[body : body + size]), found)
            return self._count(body + size - at, body + size)
        if identity == EBML_HEADER:
            self._entry = self._track = None
        if size > SILENT_MAX_BYTES:
            raise AudioInvalid("WebM inválido: elemento grande demais")
        self._skip = size
        return self._count(body - at, body)

    def _skip_some(self, at: int) -> int | None:
        skipped = min(self._skip, len(self._buffer) - at)
        self._skip -= skipped
        return self._count(skipped, at + skipped) if skipped else None

    def _count(self, taken: int, end: int) -> int:
        self._silent += taken
        if self._silent > SILENT_MAX_BYTES:
            raise AudioInvalid("WebM sem áudio")
        return end

    def _enter(self, identity: int) -> None:
        if identity == _TRACK_ENTRY:
            self._entry = Track()

    def _take(self, identity: int, body: bytes, found: list[OpusBlocks]) -> None:
        if identity in _BLOCKS:
            self._take_block(body, found[-1])
            return
        if self._entry is None:
            return
        if identity == _TRACK_NUMBER:
            self._entry.number = int.from_bytes(body[:8], "big")
        elif identity == _CODEC_ID:
            self._entry.codec_id = body.rstrip(b"\0").decode("ascii", "replace")
        else:
            self._entry.codec_private = body
        if (
            self._track is None
            and self._entry.number
            and self._entry.codec_id == "A_OPUS"
            and self._entry.codec_private
        ):
            self._track = self._entry
            found.append(OpusBlocks(track=self._track))

    def _take_block(self, body: bytes, blocks: OpusBlocks) -> None:
        """Body of a (Simple)Block: track number, 2 bytes of timecode, 1 of flags, then the packet."""
        if self._track is None:
            raise AudioInvalid("WebM sem trilha de áudio Opus")
        number, at = _vint(body, 0, keep_marker=False)
        if number is None or len(body) < at + 3:
            raise AudioInvalid("WebM inválido: bloco truncado")
        if number != self._track.number:
            return
        if body[at + 2] & _LACING_BITS:
            raise AudioInvalid("WebM inválido: blocos agrupados não são aceitos")
        packet = body[at + 3 :]
        if not packet:
            raise AudioInvalid("WebM inválido: bloco vazio")
        blocks.packets.append(packet)
        self._silent = -len(body) - 16  # this very element is counted by the caller

    def _head(self, at: int) -> tuple[int, int | None, int] | None:
        """Identity, size (None: unknown) and where the body begins; None when more bytes are needed."""
        identity, after = _vint(self._buffer, at, keep_marker=True)
        if identity is None:
            return None
        size, body = _vint(self._buffer, after, keep_marker=False)
        if size is None:
            return None
        unknown = size == (1 << 7 * (body - after)) - 1
        return identity, None if unknown else size, body


def _vint(data: bytes | bytearray, at: int, *, keep_marker: bool) -> tuple[int | None, int]:
    """An EBML variable-size integer (RFC 8794, section 4) and the place behind it; None when it is not all there.

    With its marker it is an element's identity, of at most 4 bytes.
    """
    if at >= len(data):
        return None, at
    first = data[at]
    width = 9 - first.bit_length()
    if width > (4 if keep_marker else 8):
        raise AudioInvalid("WebM inválido")
    if at + width > len(data):
        return None, at
    value = int.from_bytes(data[at : at + width], "big")
    if not keep_marker:
        value &= (1 << 7 * width) - 1
    return value, at + width
