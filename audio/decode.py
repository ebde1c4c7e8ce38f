"""What a counter sends, as 16 kHz mono s16le: plain PCM, a WAV whose header is checked and skipped, or WebM/Opus."""

from __future__ import annotations

import struct
from typing import Protocol

from audio.ebml import EBML_MAGIC
from audio.errors import AudioInvalid
from audio.utterance import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ
from audio.webm import WebmDecoder

PCM_FORMAT = "pcm_s16le_16k"
WEBM_FORMAT = "webm_opus"

WAV_HEADER_MAX_BYTES = 65_536
"""What may stand before the samples (tags, padding)."""
_PCM, _EXTENSIBLE = 1, 0xFFFE
_ENDLESS_SIZES = (0, 0x7FFFFFFF, 0xFFFFFFFF)
"""What recorders that cannot seek back write as the size of the data."""
_EXPECTED = "o áudio WAV deve ser PCM de 16 bits, mono, 16000 Hz"


class Decoder(Protocol):
    """Turns a counter's bytes into 16 kHz mono s16le, whole samples, as they come."""

    def feed(self, data: bytes) -> bytes:
        """The samples that `data` completes (perhaps none); raises AudioInvalid."""

    def flush(self) -> bytes:
        """End of the stream: the samples still held; raises AudioInvalid when it ends inside a header."""


def decoder_for(formato: str | None) -> Decoder:
    """The decoder of a counter's `formato`; None lets the first bytes decide. Raises AudioInvalid on another format."""
    if formato is None:
        return SniffingDecoder()
    if formato == PCM_FORMAT:
        return PcmDecoder()
    if formato == WEBM_FORMAT:
        return WebmDecoder()
    raise AudioInvalid(f"formato desconhecido: use {PCM_FORMAT} ou {WEBM_FORMAT}")


class PcmDecoder:
    """PCM of the right kind: only keeps a sample that was split between two messages together."""

    def __init__(self) -> None:
        self._odd = b""

    def feed(self, data: bytes) -> bytes:
        """The whole samples so far."""
        if self._odd:
            data = self._odd + data
        if len(data) % BYTES_PER_SAMPLE:
            self._odd = data[-1:]
            return data[:-1]
        self._odd = b""
        return data

    def flush(self) -> bytes:
        """Nothing: half a sample is no sample."""
        self._odd = b""
        return b""


class WavDecoder:
    """A WAV file or stream: PCM of 16 bits, mono, 16 kHz only; all that is not samples is skipped."""

    def __init__(self) -> None:
        self._head: bytearray | None = bytearray()
        self._at = 0
        """Where the next chunk of the header begins; 0 before the RIFF header itself."""
        self._format_known = False
        self._left: int | None = None
        """Bytes of samples still to come; None: until the stream ends."""
        self._pcm = PcmDecoder()

    def feed(self, data: bytes) -> bytes:
        """The samples in `data`; raises AudioInvalid when the header says anything else than what is taken."""
        if self._head is not None:
            self._head += data
            start = self._data_start(self._head)
            if start is None:
                return b""
            data = bytes(self._head[start:])
            self._head = None
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        return self._pcm.feed(data)

    def flush(self) -> bytes:
        """Nothing is held; raises AudioInvalid when the header never ended."""
        if self._head is not None:
            raise AudioInvalid("arquivo WAV incompleto: o cabeçalho não terminou")
        return self._pcm.flush()

    def _data_start(self, head: bytearray) -> int | None:
        """Where the samples begin; None while the header is not all there."""
        if len(head) >= 12 and (head[:4] != b"RIFF" or head[8:12] != b"WAVE"):
            raise AudioInvalid("não é um arquivo WAV")
        if not self._at and len(head) >= 12:
            self._at = 12
        while self._at and self._at + 8 <= len(head):
            identity, size = (
                bytes(head[self._at : self._at + 4]),
                int.from_bytes(head[self._at + 4 : self._at + 8], "little"),
            )
            body = self._at + 8
            if identity == b"data":
                if not self._format_known:
                    raise AudioInvalid(f"WAV sem descrição do formato: {_EXPECTED}")
                self._left = None if size in _ENDLESS_SIZES else size
                return body
            if body + size > WAV_HEADER_MAX_BYTES:
                raise AudioInvalid("WAV inválido: cabeçalho grande demais")
            if body + size > len(head):
                break
            if identity == b"fmt ":
                _check_wav_format(bytes(head[body : body + size]))
                self._format_known = True
            self._at = body + size + size % 2
        return None


def _check_wav_format(body: bytes) -> None:
    """The `fmt ` chunk; in an extensible one the first two bytes of the sub-format's GUID are the tag."""
    if len(body) < 16:
        raise AudioInvalid(f"WAV sem descrição do formato: {_EXPECTED}")
    tag, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", body)
    if tag == _EXTENSIBLE and len(body) >= 26:
        tag = int.from_bytes(body[24:26], "little")
    if (tag, channels, rate_hz, bits) != (_PCM, 1, SAMPLE_RATE_HZ, 8 * BYTES_PER_SAMPLE):
        raise AudioInvalid(f"{_EXPECTED}; veio com {channels} canal(is), {rate_hz} Hz, {bits} bits, codificação {tag}")


class SniffingDecoder:
    """Decides by the first four bytes: EBML header, `RIFF`, or else PCM."""

    def __init__(self) -> None:
        self._first = b""
        self._chosen: Decoder | None = None

    def feed(self, data: bytes) -> bytes:
        """The samples in `data`, once the first bytes have decided; raises AudioInvalid as the chosen decoder does."""
        if self._chosen is not None:
            return self._chosen.feed(data)
        first = self._first + data
        if len(first) < 4 and any(magic.startswith(first) for magic in (EBML_MAGIC, b"RIFF")):
            self._first = first
            return b""
        self._chosen = _decoder_of(first[:4])
        return self._chosen.feed(first)

    def flush(self) -> bytes:
        """What the chosen decoder still holds."""
        if self._chosen is None:
            return PcmDecoder().feed(self._first)
        return self._chosen.flush()


def _decoder_of(magic: bytes) -> Decoder:
    if magic == EBML_MAGIC:
        return WebmDecoder()
    return WavDecoder() if magic == b"RIFF" else PcmDecoder()
