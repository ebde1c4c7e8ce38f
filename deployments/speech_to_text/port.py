"""The port of speech recognition: what a provider is given, what it gives back, and how it fails.

SttError                 anything a provider could not do
├── SttUnavailable       network, 5xx, garbage in its answer           retryable
├── SttTimeout           no answer within the budget                   not retryable within the same budget
├── SttThrottled         429                                           retryable
└── SttRefused           401, 403, 4xx: retrying will not help
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol

SttStatus = Literal["ok", "vazio", "prazo", "indisponivel", "limite", "recusado"]
"""ok: words; vazio: nothing said (or nothing above the confidence cut); the others name the kind of failure."""


class SttError(Exception):
    """A provider could not answer. The text never carries what somebody said or a key."""

    retryable: ClassVar[bool] = False
    status: ClassVar[SttStatus] = "indisponivel"
    retry_after_s: float = 0.0
    """How long the provider asks to be left alone; 0 when it does not say."""


class SttUnavailable(SttError):
    """Network down, 5xx, or an answer that is not what the provider documents."""

    retryable = True
    status = "indisponivel"


class SttThrottled(SttError):
    """The provider says: too many requests (429)."""

    retryable = True
    status = "limite"


class SttTimeout(SttError):
    """No answer within the budget."""

    status = "prazo"


class SttRefused(SttError):
    """The provider refuses the key or the request (401, 403, other 4xx)."""

    status = "recusado"


@dataclass(frozen=True, slots=True)
class Word:
    """One recognised word; instants in seconds from the utterance's first sample; confidence 0..1 or None."""

    text: str
    start_s: float
    end_s: float
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Transcript:
    """What a provider heard. An empty `text` means that nothing was said."""

    text: str
    words: tuple[Word, ...]
    model: str
    cost_usd: float


class SpeechToTextProvider(Protocol):
    """One provider of speech recognition."""

    name: str
    simulated: bool
    """True when its words must be labelled `simulado` (the demonstration recogniser)."""

    async def transcribe(self, pcm: bytes, *, keyterms: tuple[str, ...], budget_s: float) -> Transcript:
        """Recognise 16 kHz mono s16le `pcm` within `budget_s` seconds; raises SttError."""

    async def close(self) -> None:
        """Release connections."""


@dataclass(frozen=True, slots=True)
class TranscriptionRequest:
    """One utterance to recognise. PCM is 16 kHz mono s16le; `budget_s` is what is left until its deadline."""

    utterance_id: str
    pcm: bytes
    budget_s: float
    keyterms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Transcription:
    """The stage's answer, failures included: vendors' exceptions never cross a process."""

    status: SttStatus
    text: str
    words: tuple[Word, ...]
    provider: str
    model: str
    simulated: bool
    cost_usd: float
    attempts: int
    elapsed_ms: float
    error: str = ""
    """Class name of the error, without the vendor's text; empty when status is `ok` or `vazio`."""
