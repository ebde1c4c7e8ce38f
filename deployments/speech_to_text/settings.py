"""Settings of speech-to-text: which provider, how each one is reached, and when to try again."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator

from deployments.resilience.settings import BreakerSettings, HedgeSettings, RetrySettings
from deployments.speech_to_text.adapter_settings import (
    STANDING_KEYTERMS,
    AssemblyAISettings,
    ListeningSettings,
    LocalSettings,
    RealtimeSettings,
)
from deployments.speech_to_text.believing import BelievingSettings
from deployments.speech_to_text.naming import ProviderName
from deployments.speech_to_text.routing import RoutingSettings

ProviderChoice = Literal["auto", "elevenlabs", "assemblyai", "local", "demonstracao"]

KEYTERM_MAX_CHARACTERS = 50
KEYTERM_MAX_WORDS = 5
KEYTERM_UNSUPPORTED = frozenset("<>{}[]\\")
KEYTERMS_MAX = 100
"""The first three are limits of ElevenLabs' API; above 100 keyterms it bills at least 20 s a request."""


def admissible_keyterm(term: str) -> bool:
    """Whether the vendor accepts `term`: 1–50 characters, at most 5 words, none of `<>{}[]\\`."""
    return (
        0 < len(term.strip()) <= KEYTERM_MAX_CHARACTERS
        and len(term.split()) <= KEYTERM_MAX_WORDS
        and not KEYTERM_UNSUPPORTED & set(term)
    )


def _switch(value: Any) -> Any:
    """YAML reads a bare `on` or `off` as a truth value."""
    return {True: "on", False: "off"}.get(value, value) if isinstance(value, bool) else value


OffOn = Annotated[Literal["off", "on"], BeforeValidator(_switch)]
"""A switch, as people write it in YAML."""


class ElevenLabsSettings(BaseModel):
    """How ElevenLabs' batch transcription is called."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    api_key: SecretStr | None = None
    """From `ELEVENLABS_API_KEY`; never in the YAML."""
    base_url: str = Field("https://api.elevenlabs.io", pattern=r"^https?://")
    model: str = Field("scribe_v2", min_length=1)
    language_code: str = Field("por", min_length=2, max_length=3)
    """ISO 639-1 or 639-3. Given, so that a short utterance is not taken for Spanish or Galician."""
    timeout_s: float = Field(2.5, gt=0, le=60)
    """The longest one request may take; what is left of the utterance's budget bounds it further. The vendor's P99 is
    about 2 s; an utterance's whole budget is 3 s."""
    silence_s: float = Field(0.5, gt=0, le=60)
    """A pause of this length in the middle of an answer's body counts as a failure."""
    zero_retention: bool = False
    """Ask the vendor to keep neither audio nor text (`enable_logging=false`): for its enterprise customers only, others
    are refused."""
    max_retries: int = Field(1, ge=0, le=5)
    """Further attempts after the first, only after retryable failures and only within the budget."""
    keyterms: tuple[str, ...] = STANDING_KEYTERMS
    """Words that are misheard without help: names of medicines that counters ask for. Empty saves the surcharge."""
    cost_usd_per_hour: float = Field(0.22, ge=0)
    """List price of Scribe v2, batch, 2026."""
    keyterms_cost_usd_per_hour: float = Field(0.05, ge=0)
    """What keyterms add to it."""
    max_connections: int = Field(32, ge=1, le=1000)
    keepalive_s: float = Field(60.0, ge=0)
    """How long an idle connection stays open: a TLS handshake costs two round trips to the vendor."""

    @field_validator("keyterms")
    @classmethod
    def _accepted_by_the_vendor(cls, terms: tuple[str, ...]) -> tuple[str, ...]:
        if len(terms) > KEYTERMS_MAX:
            raise ValueError(f"at most {KEYTERMS_MAX} keyterms: more are billed as 20 s a request")
        for term in terms:
            if not admissible_keyterm(term):
                raise ValueError(f"keyterm {term!r}: 1 to 50 characters, at most 5 words, none of <>{{}}[]\\")
        return terms


class DemonstrationSettings(BaseModel):
    """The recogniser that needs no key: PocketSphinx with an English acoustic model. Not a product."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    min_confidence: float = Field(0.8, ge=0, le=1)
    """Words whose posterior is below this are left out. 0.8: measured in docs/decisions on the demonstration."""
    processes: int = Field(1, ge=1, le=16)
    """Decoders, each in a process of about 45 MB that recognises ten seconds of audio in about one."""
    max_waiting: int = Field(16, ge=0, le=1000)
    """Utterances that may wait for a decoder; one more is answered with `limite`."""


class SpeechToTextSettings(BaseModel):
    """Which providers recognise speech, and how their failures are kept from the customer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: ProviderChoice = "auto"
    """`auto`: ElevenLabs, then AssemblyAI, each if it has a key; without any key the demonstration."""
    providers: tuple[ProviderName, ...] = ()
    """The providers in the order in which they are asked; given, it takes the place of `provider`."""
    elevenlabs: ElevenLabsSettings = ElevenLabsSettings()
    elevenlabs_realtime: RealtimeSettings = RealtimeSettings()
    assemblyai: AssemblyAISettings = AssemblyAISettings()
    realtime: OffOn = "off"
    """`on`: the counters of `listening.clients` are recognised while they speak, by ElevenLabs' realtime API; whatever
    that does not give in time is recognised as ever."""
    listening: ListeningSettings = ListeningSettings()
    local: LocalSettings = LocalSettings()
    demonstracao: DemonstrationSettings = DemonstrationSettings()
    cheap_below_usd_per_hour: float = Field(0.5, ge=0)
    """A provider that costs less is asked in the pause that may end an utterance, at the risk of asking in vain."""
    retry_pause_s: float = Field(0.1, ge=0, le=5)
    """Wait before another attempt; a longer `Retry-After` of the provider is kept."""
    min_attempt_s: float = Field(0.25, gt=0, le=5)
    """An attempt is not begun with less of the budget left than this."""
    attempt_share: float = Field(0.6, gt=0, le=1)
    """Part of what is left after which the next provider is asked too, where there is one: no attempt has it all."""
    answer_reserve_s: float = Field(0.05, ge=0, le=1)
    """Left of the budget for the way back: an answer that arrives too late is lost, and what it says of providers."""
    warm_every_s: float = Field(45.0, ge=0, le=3600)
    """The connection of a provider that stands by is opened, and opened again, after so long without a request: who
    overtakes must not begin with a handshake. 0: never."""
    timeout_counts_from_s: float = Field(0.5, ge=0, le=10)
    """A timeout counts against a provider only if it had at least so long."""
    comparison_timeout_s: float = Field(10.0, gt=0, le=120)
    """How long a comparison may take; nobody waits for it."""
    breaker: BreakerSettings = BreakerSettings()
    hedge: HedgeSettings = HedgeSettings()
    retry: RetrySettings = RetrySettings()
    routing: RoutingSettings = RoutingSettings()
    believing: BelievingSettings = BelievingSettings()
