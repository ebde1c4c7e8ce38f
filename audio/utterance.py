"""What the segmenter hands on: one utterance of a counter's session, with the figures of the gate that cut it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SAMPLE_RATE_HZ = 16_000
BYTES_PER_SAMPLE = 2

CutReason = Literal["silence", "cap", "end"]
"""Why an utterance ended: enough silence, the longest length allowed, or the end of the stream."""


@dataclass(frozen=True, slots=True)
class GateFigures:
    """What the energy gate saw over one utterance; levels in dBFS (0 dBFS = a full-scale square wave, RMS 32768)."""

    noise_floor_start_dbfs: float
    noise_floor_end_dbfs: float
    threshold_start_dbfs: float
    threshold_end_dbfs: float
    frames: int
    speech_frames: int
    rms_mean_dbfs: float
    rms_max_dbfs: float


@dataclass(frozen=True, slots=True)
class Utterance:
    """An interval of a session's samples in which somebody spoke.

    `pcm` is 16 kHz mono s16le and holds the samples `first_sample` (inclusive, counted from the session's first
    decoded sample) to `end_sample` (exclusive). `speech_end_sample` is where the last frame of speech ended, before
    the hangover. `background_pcm` is up to one second of the non-speech that preceded it (may be empty).
    `revision` grows when one utterance is offered again (a speculative offer, then its final).
    """

    first_sample: int
    speech_end_sample: int
    pcm: bytes
    background_pcm: bytes
    gate: GateFigures
    cut_reason: CutReason
    revision: int = 0

    @property
    def end_sample(self) -> int:
        """One past the last sample of `pcm`."""
        return self.first_sample + len(self.pcm) // BYTES_PER_SAMPLE

    @property
    def duration_s(self) -> float:
        """Length of `pcm` in seconds."""
        return len(self.pcm) / (BYTES_PER_SAMPLE * SAMPLE_RATE_HZ)
