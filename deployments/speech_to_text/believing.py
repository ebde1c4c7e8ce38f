"""Whether a provider's text is believed: what nobody said is told from what somebody did; pure."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from cestas.invented import is_invented
from deployments.speech_to_text.port import Transcript

Disbelief = Literal["inventado", "depressa_demais", "sem_fala", "incerto"]
"""inventado: credits, loops, sound tags; depressa_demais: more words than anybody can say in the voiced time;
sem_fala: the provider itself says that nobody spoke; incerto: its words are, by its own account, mostly guesses."""


class BelievingSettings(BaseModel):
    """Limits of what is believed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    words_per_voiced_s_max: float = Field(16.0, gt=0, le=100)
    """Fast Brazilian speech has 3–4 words in a second, of which a third or more is voiced even in noise."""
    words_free: int = Field(4, ge=0, le=100)
    """Words that may be there besides, whatever was measured: whispered and very short ones have no pitch."""
    no_speech_max: float = Field(0.8, ge=0, le=1)
    """A provider that says with more than this probability that nobody spoke is taken at its word."""
    confidence_min: float = Field(0.2, ge=0, le=1)
    """Mean confidence of the words below which they are guesses, where the provider gives one; 0: never."""


def disbelief(settings: BelievingSettings, heard: Transcript, voiced_s: float | None) -> Disbelief | None:
    """Why `heard` is not believed; None when it is, or is empty. `voiced_s`: seconds of it with a pitch, if known."""
    text = heard.text.strip()
    if not text:
        return None
    if is_invented(text):
        return "inventado"
    if heard.no_speech is not None and heard.no_speech > settings.no_speech_max:
        return "sem_fala"
    if voiced_s is not None and len(text.split()) > settings.words_free + settings.words_per_voiced_s_max * voiced_s:
        return "depressa_demais"
    sure = [word.confidence for word in heard.words if word.confidence is not None]
    if sure and sum(sure) / len(sure) < settings.confidence_min:
        return "incerto"
    return None
