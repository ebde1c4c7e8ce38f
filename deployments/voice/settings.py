"""Settings of the voice stage."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from audio.settings import CleanSettings


class VoiceSettings(BaseModel):
    """What the voice stage does with an utterance. Defaults: measured in docs/decisions on hearing and on cleaning."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    confirm: Literal["silero", "off"] = "silero"
    """Which model confirms that an utterance holds speech; `off` lets everything pass."""
    confirm_threshold: float = Field(0.5, ge=0, le=1)
    """Below this probability an utterance is discarded as `sem_fala`."""
    min_speech_ms: int = Field(120, ge=0, le=5000)
    """Fewer milliseconds above the noise floor hold no word: discarded as `curto_demais`."""
    denoise: Literal["off", "auto", "on"] = "auto"
    """`auto` cleans only below `denoise_below_snr_db`."""
    denoise_below_snr_db: float = Field(10.0, ge=-40, le=80)
    clean: CleanSettings = CleanSettings()
    threads: int = Field(2, ge=1, le=64)
    """Utterances examined at the same time in one replica."""
