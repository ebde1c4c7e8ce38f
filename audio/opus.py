"""Opus packets as 16 kHz mono s16le, by libopus itself: decoded at that rate, nothing is resampled afterwards."""

from __future__ import annotations

import ctypes
import ctypes.util
import functools
import importlib.util
from pathlib import Path
from typing import Any, Final

from audio.errors import AudioInvalid
from audio.utterance import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ

OPUS_RATE_HZ: Final = 48_000
"""In which a stream's header counts, whatever rate it is decoded at (RFC 7845, section 5.1)."""
CHANNELS_MAX: Final = 2
_MONO: Final = 1
_PACKET_SAMPLES_MAX: Final = 120 * SAMPLE_RATE_HZ // 1000
"""No packet is longer (RFC 6716, section 3.2)."""
_HEAD_BYTES: Final = 19
_SET_GAIN: Final = 4034
"""OPUS_SET_GAIN_REQUEST in opus_defines.h."""


class OpusDecoder:
    """One stream's decoder: 18 KB, and half the time of decoding at 48 kHz and resampling.

    `head` is the stream's `OpusHead` (one or two channels, mixed down to one; its pre-skip is left out, its gain is
    applied). Raises AudioInvalid on another one, and where this machine has no libopus. Not for several threads at
    once.
    """

    __slots__ = ("_library", "_out", "_skip", "_state")

    def __init__(self, head: bytes) -> None:
        known = len(head) >= _HEAD_BYTES and head[:8] == b"OpusHead"
        if not known or not 1 <= head[9] <= CHANNELS_MAX or head[18] != 0:
            raise AudioInvalid("WebM inválido: cabeçalho Opus inesperado")
        self._library = libopus()
        if self._library is None:
            raise AudioInvalid("este servidor não decodifica Opus (falta a libopus): envie PCM de 16 kHz")
        self._state = ctypes.create_string_buffer(self._library.opus_decoder_get_size(_MONO))
        self._out = (ctypes.c_int16 * _PACKET_SAMPLES_MAX)()
        if self._library.opus_decoder_init(self._state, SAMPLE_RATE_HZ, _MONO):
            raise AudioInvalid("a libopus deste servidor não decodifica a 16 kHz: envie PCM")
        gain = int.from_bytes(head[16:18], "little", signed=True)
        if gain:
            self._library.opus_decoder_ctl(self._state, _SET_GAIN, ctypes.c_int(gain))
        self._skip = int.from_bytes(head[10:12], "little") * SAMPLE_RATE_HZ // OPUS_RATE_HZ

    def decode(self, packet: bytes) -> bytes:
        """The samples of one packet, at most 120 ms. Raises AudioInvalid on what is no Opus."""
        out, samples = self._out, -1
        if packet:  # of none at all libopus would make up 120 ms
            samples = self._library.opus_decode(self._state, packet, len(packet), out, _PACKET_SAMPLES_MAX, 0)
        if samples < 0:
            raise AudioInvalid("áudio Opus corrompido")
        skipped = min(self._skip, samples)
        self._skip -= skipped
        begin = ctypes.addressof(out) + skipped * BYTES_PER_SAMPLE
        return ctypes.string_at(begin, (samples - skipped) * BYTES_PER_SAMPLE)


@functools.cache
def libopus() -> Any:
    """The library that PyAV's wheel carries (PyAV is not loaded), else the machine's own; None where none loads."""
    name = _carried() or ctypes.util.find_library("opus")
    try:
        library = ctypes.CDLL(name) if name else None
    except OSError:  # made for another machine
        library = None
    if library is None:
        return None
    state, size = ctypes.c_void_p, ctypes.c_int32
    library.opus_decoder_get_size.argtypes = [ctypes.c_int]
    library.opus_decoder_init.argtypes = [state, size, ctypes.c_int]
    library.opus_decode.argtypes = [state, ctypes.c_char_p, size, state, ctypes.c_int, ctypes.c_int]
    return library


def _carried() -> str | None:
    """Where wheels keep libraries: in `av.libs` beside the package on Linux and Windows, in its `.dylibs` on macOS."""
    found = importlib.util.find_spec("av")
    if found is None or found.origin is None:
        return None
    package = Path(found.origin).parent
    folders = (package.parent / "av.libs", package / ".dylibs")
    return next((str(path) for folder in folders for path in sorted(folder.glob("*opus*"))), None)
