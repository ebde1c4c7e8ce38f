"""Frames of 30 ms: how a stream is cut into them, how loud each is, and how the latest ones are kept."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio.utterance import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ

FRAME_MS = 30
"""The longest frame that webrtcvad takes; the longer, the steadier its energy."""
FRAME_SAMPLES = SAMPLE_RATE_HZ * FRAME_MS // 1000
FRAME_BYTES = FRAME_SAMPLES * BYTES_PER_SAMPLE

FULL_SCALE = 32768.0
_S16LE = np.dtype("<i2")
SILENCE_DBFS = -96.0
"""The level given to digital silence: below one step of 16 bits, whose lowest level is -90.3 dBFS."""


def frames_of(duration_ms: float) -> int:
    """The number of whole frames that cover `duration_ms`."""
    return math.ceil(duration_ms / FRAME_MS)


def cut_frames(pcm: bytes) -> list[bytes]:
    """The whole frames of `pcm`."""
    return [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES)]


def mean_squares(pcm: bytes) -> NDArray[np.float64]:
    """The mean square of every whole frame of s16le `pcm`, in int16 units squared, shape (frames,).

    Squares of int16 add up exactly in float64, so a frame's figure does not depend on the frames around it.
    """
    count = len(pcm) // FRAME_BYTES
    samples = np.frombuffer(pcm, _S16LE, count * FRAME_SAMPLES).astype(np.float64).reshape(count, FRAME_SAMPLES)
    squares: NDArray[np.float64] = np.vecdot(samples, samples)
    squares /= FRAME_SAMPLES
    return squares


def dbfs_of(mean_square: float) -> float:
    """Level in dBFS of a mean square in int16 units squared; never below SILENCE_DBFS."""
    if mean_square <= 0.25:  # 10·log10(.25 / 32768²) is about -96 dBFS
        return SILENCE_DBFS
    return 10.0 * math.log10(mean_square) - 20.0 * math.log10(FULL_SCALE)


def mean_square_of(dbfs: float) -> float:
    """The mean square in int16 units squared of a level in dBFS."""
    return FULL_SCALE * FULL_SCALE * math.pow(10.0, dbfs / 10.0)


def to_float(pcm: bytes) -> NDArray[np.float32]:
    """s16le bytes (whole samples) as float32 in -1..1, shape (samples,)."""
    samples: NDArray[np.float32] = np.frombuffer(pcm, dtype="<i2").astype(np.float32)
    samples *= np.float32(1.0 / FULL_SCALE)
    return samples


def to_pcm(samples: NDArray[np.floating[Any]]) -> bytes:
    """Float samples in -1..1 as s16le bytes, rounded, clipped at full scale."""
    scaled: NDArray[np.int16] = np.clip(np.rint(samples * FULL_SCALE), -32768, 32767).astype("<i2")
    return scaled.tobytes()


class FrameRing:
    """The latest frames of a stream and their mean squares, addressed by frame number."""

    __slots__ = ("_first", "_frames", "_squares")

    def __init__(self) -> None:
        self._frames: list[bytes] = []
        self._squares: list[float] = []
        self._first = 0

    def __len__(self) -> int:
        return len(self._frames)

    def append(self, frames: list[bytes], squares: NDArray[np.float64]) -> None:
        """Add whole frames at the end, with the `mean_squares` of each."""
        self._frames += frames
        self._squares += squares.tolist()

    def pcm(self, start: int, end: int) -> bytes:
        """The frames `start` to `end` (exclusive) in one piece; all of them must still be kept."""
        return b"".join(self._frames[start - self._first : end - self._first])

    def square(self, frame: int) -> float:
        """The mean square of one frame that is still kept."""
        return self._squares[frame - self._first]

    def squares(self, start: int, end: int) -> NDArray[np.float64]:
        """The mean squares of the frames `start` to `end` (exclusive); all of them must still be kept."""
        return np.array(self._squares[start - self._first : end - self._first])

    def forget_before(self, frame: int) -> None:
        """Drop the frames before `frame`."""
        gone = frame - self._first
        if gone > 0:
            del self._frames[:gone], self._squares[:gone]
            self._first = frame
