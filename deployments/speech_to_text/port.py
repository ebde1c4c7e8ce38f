"""The port of speech recognition: what a provider is given, what it gives back, and how it fails.

SttError                 anything a provider could not do
├── SttUnavailable       network, 5xx, garbage in its answer           retryable
│   └── SttStalled       its answer began and then went silent         retryable
├── SttTimeout           no answer within the budget                   not retryable within the same budget
├── SttThrottled         429                                           retryable
└── SttRefused           401, 403, 4xx: retrying will not help
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, runtime_checkable

from deployments.resilience.gossip import ProviderState

SttStatus = Literal["ok", "vazio", "prazo", "indisponivel", "limite", "recusado"]
"""ok: words; vazio: nothing said (or nothing above the confidence cut); the others name the kind of failure."""


class SttError(Exception):
    """A provider could not answer. The text never carries what somebody said or a key."""

    retryable: ClassVar[bool] = False
    billed: ClassVar[bool] = False
    """Whether the provider bills the request all the same: it took the audio, but its answer never came whole."""
    status: ClassVar[SttStatus] = "indisponivel"
    retry_after_s: float = 0.0
    """How long the provider asks to be left alone; 0 when it does not say."""


class SttUnavailable(SttError):
    """Network down, 5xx, or an answer that is not what the provider documents."""

    retryable = True
    status = "indisponivel"


class SttStalled(SttUnavailable):
    """The provider began to answer and then fell silent for longer than its settings allow."""

    billed = True


class SttThrottled(SttError):
    """The provider says: too many requests (429)."""

    retryable = True
    status = "limite"


class SttTimeout(SttError):
    """No answer within the budget."""

    billed = True
    status = "prazo"


class SttRefused(SttError):
    """The provider refuses the key or the request (401, 403, other 4xx)."""

    status = "recusado"
    of_key: bool = False
    """True when it is the key that is refused (401, 402, 403): no utterance will fare better."""


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
    no_speech: float | None = None
    """The provider's probability that nobody spoke, 0..1; None when it gives none."""


class SpeechToTextProvider(Protocol):
    """One provider of speech recognition."""

    name: str
    simulated: bool
    """True when its words must be labelled `simulado` (the demonstration recogniser)."""

    async def transcribe(self, pcm: bytes, *, keyterms: tuple[str, ...], budget_s: float) -> Transcript:
        """Recognise 16 kHz mono s16le `pcm` within `budget_s` seconds; raises SttError."""

    async def close(self) -> None:
        """Release connections."""


@runtime_checkable
class Priced(Protocol):
    """A provider that costs money: what was sent is billed, whether or not anybody waited for the answer."""

    def price_usd(self, pcm: bytes, keyterms: tuple[str, ...] = ()) -> float:
        """What recognising `pcm` costs in US dollars."""


@runtime_checkable
class Warmable(Protocol):
    """A provider whose connection can be opened ahead of the first utterance, at no cost."""

    async def warm(self) -> bool:
        """Open it; False when the provider is out of reach."""


@dataclass(frozen=True, slots=True)
class TranscriptionRequest:
    """One utterance to recognise. PCM is 16 kHz mono s16le; `budget_s` is what is left until its deadline."""

    utterance_id: str
    pcm: bytes
    budget_s: float
    keyterms: tuple[str, ...] = ()
    client_id: str = ""
    """Whose counter it is: a client may have its own order of providers."""
    snr_db: float | None = None
    """Signal to noise as the voice stage measured it; None when it did not."""
    voiced_s: float | None = None
    """Seconds of it that have a pitch, as the voice stage measured; None when it did not."""
    known: tuple[ProviderState, ...] = ()
    """What the caller knows of the providers from other replicas."""
    may_hedge: bool = True
    """False while the service is overloaded: a slow provider is not overtaken by a second one."""
    economical: bool = False
    """True when its client's budget is used up: the cheapest provider that it may go to is asked first."""


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
    discarded: str = ""
    """Why a provider's text was not believed (status `vazio`): see deployments/speech_to_text/believing.py."""
    hedged: bool = False
    """A second provider was asked before the first had failed."""
    states: tuple[ProviderState, ...] = ()
    """What this replica knows of the providers, to be passed on."""
