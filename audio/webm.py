"""WebM/Opus as MediaRecorder makes it, decoded in this process without holding audio back."""

from __future__ import annotations

from typing import Any

import av

from audio.ebml import EBML_MAGIC, EbmlReader, Track
from audio.errors import AudioInvalid
from audio.utterance import SAMPLE_RATE_HZ

OPUS_RATE_HZ = 48_000
FEED_MAX_S = 120
"""Audio that one `feed` may decode to: a packet of a few bytes can stand for 120 ms: bounds the memory."""
_CHANNELS_MAX = 2
_HEAD_BYTES = 19


class WebmDecoder:
    """16 kHz mono s16le from WebM/Opus bytes in pieces of any size.

    A packet's samples come out as soon as its block is in (the resampler keeps one millisecond back). The encoder's
    pre-skip is dropped by the codec. Gaps in the container's timestamps are not filled: samples are counted after
    decoding. Raises AudioInvalid on all that EbmlReader refuses, on Opus that cannot be decoded, and on more than
    FEED_MAX_S of audio in one `feed`.
    """

    def __init__(self) -> None:
        self._reader = EbmlReader()
        self._codec: Any = None
        self._resampler: Any = None
        self._start = b""
        self._checked = False

    def feed(self, data: bytes) -> bytes:
        """The samples that `data` completes."""
        if not self._checked:
            self._check_start(data)
        out: list[bytes] = []
        left = FEED_MAX_S * SAMPLE_RATE_HZ * 2
        for blocks in self._reader.feed(data):
            if blocks.track is not None:
                out.append(self._drain())
                self._open(blocks.track)
            for packet in blocks.packets:
                pcm = self._decode(packet)
                left -= len(pcm)
                if left < 0:
                    raise AudioInvalid("áudio demais numa só mensagem")
                out.append(pcm)
        return b"".join(out)

    def flush(self) -> bytes:
        """The last millisecond; raises AudioInvalid when no audio track came at all."""
        if self._codec is None:
            raise AudioInvalid("WebM incompleto: sem trilha de áudio Opus")
        return self._drain()

    def _check_start(self, data: bytes) -> None:
        self._start = (self._start + data)[: len(EBML_MAGIC)]
        if not EBML_MAGIC.startswith(self._start):
            raise AudioInvalid("não é WebM: falta o cabeçalho EBML")
        self._checked = len(self._start) == len(EBML_MAGIC)

    def _open(self, track: Track) -> None:
        head = track.codec_private
        if len(head) < _HEAD_BYTES or head[:8] != b"OpusHead" or not 1 <= head[9] <= _CHANNELS_MAX or head[18] != 0:
            raise AudioInvalid("WebM inválido: cabeçalho Opus inesperado")
        self._codec = av.CodecContext.create("libopus", "r")
        self._codec.extradata = head
        self._codec.sample_rate = OPUS_RATE_HZ
        self._codec.layout = "mono" if head[9] == 1 else "stereo"
        self._resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE_HZ)

    def _decode(self, packet: bytes) -> bytes:
        try:
            frames = self._codec.decode(av.Packet(packet))
        except av.FFmpegError as error:
            raise AudioInvalid("áudio Opus corrompido") from error
        return b"".join(self._resampled(frame) for frame in frames)

    def _resampled(self, frame: Any) -> bytes:
        return b"".join(out.to_ndarray().tobytes() for out in self._resampler.resample(frame))

    def _drain(self) -> bytes:
        return self._resampled(None) if self._resampler is not None else b""
