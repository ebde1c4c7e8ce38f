"""Settings of the signal code: the gate, the endpointing, cleaning, and what a counter may change of them."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict, Field

from audio.errors import VadSettingsInvalid

MARGIN_DB_MAX = 40.0


class SegmenterSettings(BaseModel):
    """How speech is found in a counter's stream. Defaults: measured in docs/decisions on hearing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    webrtcvad_mode: int = Field(2, ge=0, le=3)
    margin_db: float = Field(1.0, ge=0, le=MARGIN_DB_MAX)
    """How far above the noise floor a frame must be. A counter's `threshold_multiplier` M sets it to 20·log10(M)."""
    min_energy_rms: float | None = Field(None, gt=0, le=32768)
    """An absolute floor of a frame's RMS in int16 units (`VAD_ENERGY_THRESHOLD`, `min_energy`); unset by default."""
    pre_roll_ms: int = Field(390, ge=0, le=2000)
    """Audio kept before the first frame of speech, so that no soft first consonant is lost."""
    hangover_ms: int = Field(480, ge=100, le=5000)
    """Silence after which an utterance is over."""
    long_earlier_ms: int = Field(60, ge=0, le=2000)
    """How much less silence ends an utterance of 2.1 s and more."""
    noisy_later_ms: int = Field(30, ge=0, le=2000)
    """How much more silence ends an utterance that stands less than 20 dB above the noise floor."""
    tail_ms: int = Field(240, ge=0, le=5000)
    """Audio kept after the last frame of speech; never more than the hangover."""
    min_utterance_ms: int = Field(200, ge=0, le=5000)
    """Shorter speech (first to last frame of speech) is no utterance; the piece after a cut at the cap is exempt."""
    max_utterance_ms: int = Field(8000, ge=1000, le=60000)
    background_ms: int = Field(1000, ge=0, le=5000)
    """How much of the latest non-speech is handed on with an utterance, for the denoiser."""


class CleanSettings(BaseModel):
    """How `noisereduce` is called. Defaults: measured in docs/decisions on cleaning."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prop_decrease: float = Field(0.6, ge=0, le=1)
    """Share of the noise that is taken away; above .6 speech is cut with it."""
    padding_samples: int = Field(1024, ge=0, le=30000)
    n_fft_samples: int = Field(1024, ge=256, le=4096)


def with_vad_settings(settings: SegmenterSettings, wanted: Mapping[str, object]) -> SegmenterSettings:
    """`settings` with a counter's own `vad_settings` in force.

    `threshold_multiplier` M (1..100) becomes a margin of 20·log10(M) dB; `min_energy`, or `min_energy_threshold` under
    its older name, becomes the absolute floor in int16 units (0 unsets it). A field that is None or unknown changes
    nothing, so that older counters keep connecting. Raises VadSettingsInvalid on a wrong type or a value out of range.
    """
    changes: dict[str, float | None] = {}
    multiplier = _number(wanted, "threshold_multiplier", 1.0, 10 ** (MARGIN_DB_MAX / 20))
    if multiplier is not None:
        changes["margin_db"] = min(MARGIN_DB_MAX, 20.0 * math.log10(multiplier))
    for field in ("min_energy_threshold", "min_energy"):
        energy = _number(wanted, field, 0.0, 32768.0)
        if energy is not None:
            changes["min_energy_rms"] = energy or None
    return settings.model_copy(update=changes)


def _number(wanted: Mapping[str, object], field: str, low: float, high: float) -> float | None:
    value = wanted.get(field)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise VadSettingsInvalid(f"{field} must be a number")
    if not low <= value <= high:  # also refuses NaN
        raise VadSettingsInvalid(f"{field} must be between {low:g} and {high:g}")
    return float(value)
