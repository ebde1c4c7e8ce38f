"""Settings of the signal code: the gate, the endpointing and the decoder's limits."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class SegmenterSettings(BaseModel):
    """How speech is found in a counter's stream. Defaults: measured in docs/decisions on hearing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    webrtcvad_mode: int = Field(2, ge=0, le=3)
    margin_db: float = Field(4.0, ge=0, le=40)
    """How far above the noise floor a frame must be. A counter's `threshold_multiplier` M sets it to 20·log10(M)."""
    min_energy_rms: float | None = Field(None, gt=0, le=32768)
    """An absolute floor of a frame's RMS in int16 units (`VAD_ENERGY_THRESHOLD`, `min_energy`); unset by default."""
    pre_roll_ms: int = Field(390, ge=0, le=2000)
    hangover_ms: int = Field(600, ge=100, le=5000)
    min_utterance_ms: int = Field(200, ge=0, le=5000)
    max_utterance_ms: int = Field(8000, ge=1000, le=60000)
    background_ms: int = Field(1000, ge=0, le=5000)
