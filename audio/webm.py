"""WebM/Opus as MediaRecorder makes it, decoded in this process without holding audio back."""

from __future__ import annotations

from audio.ebml import EBML_MAGIC, EbmlReader
from audio.errors import AudioInvalid
from audio.opus import OpusDecoder
from audio.utterance import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ

FEED_MAX_S = 120
"""Audio that one `feed` may decode to: a packet of a few bytes can stand for 120 ms: bounds the memory."""


class WebmDecoder:
    """16 kHz mono s16le from WebM/Opus bytes in pieces of any size.

    A packet's samples come out as soon as its block is in; the encoder's pre-skip is dropped. Gaps in the container's
    timestamps are not filled: samples are counted after decoding. Raises AudioInvalid on all that EbmlReader refuses,
    on Opus that cannot be decoded, and on more than FEED_MAX_S of audio in one `feed`.
    """

    def __init__(self) -> None:
        self._reader = EbmlReader()
        self._opus: OpusDecoder | None = None
        self._start = b""
        self._checked = False

    def feed(self, data: bytes) -> bytes:
        """The samples that `data` completes."""
        if not self._checked:
            self._check_start(data)
        out: list[bytes] = []
        left = FEED_MAX_S * SAMPLE_RATE_HZ * BYTES_PER_SAMPLE
        for blocks in self._reader.feed(data):
            if blocks.track is not None:
                self._opus = OpusDecoder(blocks.track.codec_private)
            for packet in blocks.packets:
                pcm = self._decode(packet)
                left -= len(pcm)
                if left < 0:
                    raise AudioInvalid("áudio demais numa só mensagem")
                out.append(pcm)
        return b"".join(out)

    def flush(self) -> bytes:
        """Nothing is held; raises AudioInvalid when no audio track came at all."""
        if self._opus is None:
            raise AudioInvalid("WebM incompleto: sem trilha de áudio Opus")
        return b""

    def _decode(self, packet: bytes) -> bytes:
        if self._opus is None:
            raise AudioInvalid("WebM inválido: áudio antes da trilha")
        return self._opus.decode(packet)

    def _check_start(self, data: bytes) -> None:
        self._start = (self._start + data)[: len(EBML_MAGIC)]
        if not EBML_MAGIC.startswith(self._start):
            raise AudioInvalid("não é WebM: falta o cabeçalho EBML")
        self._checked = len(self._start) == len(EBML_MAGIC)
