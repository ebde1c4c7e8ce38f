"""What the voice stage is asked and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

DiscardReason = Literal["sem_fala", "curto_demais", "prazo"]
"""Why an utterance goes no further: no speech in it, too short to hold a word, its deadline has passed."""


@dataclass(frozen=True, slots=True)
class VoiceRequest:
    """One utterance to examine. PCM is 16 kHz mono s16le; `budget_s` is what is left until its deadline."""

    utterance_id: str
    pcm: bytes
    background_pcm: bytes
    noise_floor_dbfs: float
    budget_s: float
    wants_cleaned: bool = True
    """Whether the cleaned audio is used. If not, nobody waits for cleaning: it is asked for apart, with `clean`."""


@dataclass(frozen=True, slots=True)
class VoiceMetrics:
    """Figures of one utterance, measured once, on the raw audio. None where it cannot be measured (no voiced frame)."""

    duration_s: float
    pitch_mean_hz: float | None
    pitch_std_hz: float | None
    voiced_ratio: float
    snr_db: float
    spectral_centroid_hz: float
    zero_crossing_rate: float
    rms_mean: float
    rms_max: float
    peak_dbfs: float
    clipping_ratio: float
    dc_offset: float
    band_energies_db: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class VoiceReport:
    """The stage's answer. `discard` is None when it is speech; `cleaned_pcm` is None when nothing was cleaned."""

    discard: DiscardReason | None
    confidence: float
    """Probability of speech of the confirming model over the loudest second, 0..1; 1.0 when bypassed."""
    confirmer: str
    """Which model confirmed: `silero` or `bypass`."""
    metrics: VoiceMetrics
    cleaned_pcm: bytes | None
    denoise_gain_db: float | None
    """Change of the background's level by cleaning in dB (negative: quieter); None when nothing was cleaned."""
    elapsed_ms: float
    cleaning_due: bool = False
    """The policy cleans this utterance, but its audio was not wanted: `clean` is still to be asked for."""
