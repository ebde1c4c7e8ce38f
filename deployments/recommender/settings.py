"""Settings of the recommender: who answers, with which models, at which price and within which limits."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from deployments.resilience.settings import BreakerSettings, RetrySettings

Policy = Literal["auto", "cascata", "regras", "llm"]
"""cascata: rules where they are sure, else the language model, else the rules' best guess; llm: the language model
always; both refuse to start without a key. regras: rules alone. auto: cascata when a key is set, else regras."""

ProviderName = Literal["openai", "xai", "compatible"]

ReasoningEffort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]

OPENAI_EFFORTS: dict[str, ReasoningEffort] = {"gpt-6": "none", "gpt-5.": "none", "gpt-5": "minimal"}
XAI_EFFORTS: dict[str, ReasoningEffort] = {"grok-4.3": "none", "grok-3-mini": "low"}
"""The least thinking that each family of models documents; other models are not told anything."""


class ChatSettings(BaseModel):
    """One provider that speaks the OpenAI protocol; what is None or empty is not sent, since some models reject it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_key: SecretStr | None = None
    base_url: str | None = None
    """Where the provider answers, up to and including `/v1`; None: OpenAI's own address."""
    model_entities: str
    model_category: str
    timeout_s: float = Field(2.0, gt=0, le=60)
    """Longest wait for one call; the utterance's budget shortens it."""
    connect_timeout_s: float = Field(1.0, gt=0, le=60)
    max_connections: int = Field(64, ge=1, le=1000)
    keepalive_s: float = Field(60.0, ge=0, le=600)
    """How long an idle connection is kept open."""
    max_output_tokens: int | None = Field(700, ge=64, le=100_000)
    """Sent as `max_completion_tokens`; reasoning counts too."""
    temperature: float | None = Field(None, ge=0, le=2)
    store: bool | None = None
    """Whether the provider may keep the conversation. Counter talk is health data."""
    reasoning_effort_by_model: dict[str, ReasoningEffort] = Field(default_factory=dict)
    """Prefix of a model's name → `reasoning_effort` to send; the longest prefix wins, no match sends nothing. An answer
    is due in seconds, and these models think for longer than that unless they are told not to."""
    cost_usd_per_million_tokens_in: float = Field(ge=0)
    cost_usd_per_million_tokens_out: float = Field(ge=0)

    @property
    def usable(self) -> bool:
        """True when everything that the provider needs is set."""
        return bool(self._key)

    @property
    def secret(self) -> str:
        """The key; a server that asks for none is sent a word in its place."""
        return self._key or "none"

    @property
    def _key(self) -> str:
        return "" if self.api_key is None else self.api_key.get_secret_value().strip()

    def reasoning_effort(self, model: str) -> ReasoningEffort | None:
        """What to send as `reasoning_effort` to `model`, or None to send nothing."""
        prefixes = [prefix for prefix in self.reasoning_effort_by_model if model.startswith(prefix)]
        return self.reasoning_effort_by_model[max(prefixes, key=len)] if prefixes else None

    def cost_usd(self, tokens_in: int, tokens_out: int) -> float:
        """Price of these tokens at full price: a cached prompt costs less than this says."""
        total = tokens_in * self.cost_usd_per_million_tokens_in + tokens_out * self.cost_usd_per_million_tokens_out
        return total / 1e6


class OpenAiSettings(ChatSettings):
    """OpenAI, or any server of its protocol by `base_url`. Prices: the vendor's page of gpt-6-luna, November 2026."""

    model_entities: str = "gpt-6-luna"
    model_category: str = "gpt-6-luna"
    store: bool | None = False
    reasoning_effort_by_model: dict[str, ReasoningEffort] = Field(OPENAI_EFFORTS)
    cost_usd_per_million_tokens_in: float = Field(0.10, ge=0)
    cost_usd_per_million_tokens_out: float = Field(0.50, ge=0)


class XaiSettings(ChatSettings):
    """xAI, which speaks the OpenAI protocol. Prices: the vendor's page of grok-4.3, November 2026."""

    base_url: str | None = "https://api.x.ai/v1"
    model_entities: str = "grok-4.3"
    model_category: str = "grok-4.3"
    reasoning_effort_by_model: dict[str, ReasoningEffort] = Field(XAI_EFFORTS)
    cost_usd_per_million_tokens_in: float = Field(1.25, ge=0)
    cost_usd_per_million_tokens_out: float = Field(2.50, ge=0)


class CompatibleSettings(ChatSettings):
    """Any other server of the OpenAI protocol with structured output: a vLLM of one's own, another vendor.

    It is used once `base_url` is set; a key where the server asks for one. The models' names have no default, prices
    are 0 until they are set.
    """

    model_entities: str = ""
    model_category: str = ""
    cost_usd_per_million_tokens_in: float = Field(0.0, ge=0)
    cost_usd_per_million_tokens_out: float = Field(0.0, ge=0)

    @model_validator(mode="after")
    def _names_its_models(self) -> CompatibleSettings:
        if self.base_url and not (self.model_entities and self.model_category):
            raise ValueError("base_url is set: name model_entities and model_category too")
        return self

    @property
    def usable(self) -> bool:
        """True when it is said where the server answers."""
        return bool(self.base_url)


class FailoverSettings(BaseModel):
    """What happens when a language model's provider fails or is slow."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first_attempt_share: float = Field(0.6, gt=0, le=1)
    """Part of the time left that one provider may take where another could follow."""
    counted_timeout_ms: int = Field(500, ge=0, le=60_000)
    """A provider that had less time than this and did not answer is not blamed for it."""
    breaker: BreakerSettings = BreakerSettings()
    retries: RetrySettings = RetrySettings()


class CascadeSettings(BaseModel):
    """When the rules are sure enough that no language model is asked. `docs/decisions/cascade.md` says how the
    thresholds were chosen, and what each costs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sure_min_confidence: float = Field(0.8, ge=0, le=1)
    """Below this confidence in the category a language model is asked."""
    sure_unknown_words_max: int = Field(0, ge=0, le=1000)
    """With more words than this that are neither a name of the lexicon nor everyday talk, a language model is asked."""
    sure_speaking_min_probability: float = Field(0.7, ge=0, le=1)
    """Where the rules would suggest something: below this probability that somebody wants it a language model is asked.
    """
    sure_silence_max_probability: float = Field(0.2, ge=0, le=1)
    """Where the rules stay silent: above this probability that somebody wants something a language model is asked."""
    llm_deadline_ms: int = Field(2000, ge=100, le=60_000)
    """Longest wait for the language model, both calls and every provider together; what is left of the utterance's
    deadline shortens it."""


class CategoryCacheSettings(BaseModel):
    """What the language model said of the same entities before."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entries_max: int = Field(2000, ge=0, le=1_000_000)
    """Combinations of entities that a replica remembers, about 400 bytes each; 0 remembers nothing."""
    ttl_s: float = Field(86_400.0, gt=0, le=2_592_000)
    """How long an answer is believed."""


class CataloguesSettings(BaseModel):
    """Where the pharmacies' own catalogues are, and how often a changed file is looked for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dir: Path | None = None
    """Folder with one folder per client, `<client id>/cestas.json` and `<client id>/produtos.json`; either may be
    missing. None: every client is served from the common catalogue."""
    check_every_s: float = Field(3.0, ge=0.1, le=3600)
    """A file's time and size are looked at no more often than this, when its client asks."""
    loaded_max: int = Field(64, ge=1, le=10_000)
    """Clients whose catalogues are kept in memory, a megabyte each at most; the one not asked for longest goes."""
    file_bytes_max: int = Field(2_000_000, ge=1000, le=100_000_000)
    """A longer file is refused."""


class OrderingSettings(BaseModel):
    """When the order of a cesta's items is learned from what customers took. It never touches the safety gate."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    enabled: bool = True
    kept_share: float = Field(0.2, ge=0.01, le=0.9)
    """Share of suggestions that keep the pharmacist's order, so that what was gained can be measured."""
    least_shown: int = Field(60, ge=1, le=1_000_000)
    """Items of a cesta that a client's counters must have shown, all together, before its order is learned."""
    window_days: int = Field(180, ge=1, le=3650)
    """Older outcomes are forgotten: seasons and shelves change."""
    refresh_s: float = Field(60, ge=1, le=86_400)
    """How old the counts of a client may be."""
    clients_max: int = Field(1000, ge=1, le=100_000)
    """Clients whose counts are kept in memory, some 50 KB each; the one not heard for longest goes."""
    prior_strength: float = Field(10, gt=0, le=1000)
    """How many times an item must be shown before its own acceptance weighs as much as its cesta's."""


class RecommenderSettings(BaseModel):
    """Everything that the recommender's stage can be told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: Policy = "auto"
    provider: Literal["auto"] | ProviderName | tuple[ProviderName, ...] = "auto"
    """auto: every provider that is set up, OpenAI first, then xAI, then the compatible one; a name: that one alone; a
    list: those, in this order. Where one fails the next is asked."""
    openai: OpenAiSettings = OpenAiSettings()
    xai: XaiSettings = XaiSettings()
    compatible: CompatibleSettings = CompatibleSettings()
    failover: FailoverSettings = FailoverSettings()
    cestas_path: Path | None = None
    """A pharmacy's own `cestas.json`; None: the one that is shipped."""
    produtos_path: Path | None = None
    """A pharmacy's own `produtos.json`; None: the one that is shipped."""
    catalogues: CataloguesSettings = CataloguesSettings()
    cascade: CascadeSettings = CascadeSettings()
    category_cache: CategoryCacheSettings = CategoryCacheSettings()
    ordering: OrderingSettings = OrderingSettings()
    rules_min_confidence: float = Field(0.5, ge=0, le=1)
    """Below this the rules say nothing."""
    medicines_need_grounds: bool = True
    """Whether a language model may only bring medicines from a shelf to which something points that the rules
    themselves read in the text; from other shelves it then brings articles alone."""
    rules_reserve_ms: int = Field(50, ge=0, le=1000)
    """What is kept of the budget so that rules can still answer when the language model is late."""
    max_text_chars: int = Field(2000, ge=100, le=20_000)
    """Longest text of one utterance that is looked at; the end of a longer one is dropped."""
    max_context_texts: int = Field(8, ge=0, le=50)
    """How many earlier texts of the same customer are looked at: the latest ones."""
    keyterms_max: int = Field(30, ge=0, le=60)
    """Names of the client's catalogue that the recogniser is told to listen for in the next utterance, beside its
    provider's standing keyterms; 0: none. ElevenLabs charges for any (`keyterms_cost_usd_per_hour`), and from 101 on
    for 20 s at least: its adapter sends no more than 100 in all."""

    def language_models(self) -> tuple[tuple[str, ChatSettings], ...]:
        """Names and settings of the providers to ask, in order; empty: rules alone.

        Raises ValueError when the policy needs a language model and no provider of the list is set up.
        """
        if self.policy == "regras":
            return ()
        known: dict[str, ChatSettings] = {"openai": self.openai, "xai": self.xai, "compatible": self.compatible}
        chosen = (self.provider,) if isinstance(self.provider, str) else self.provider
        names = tuple(known) if chosen == ("auto",) else dict.fromkeys(chosen)
        usable = tuple((name, known[name]) for name in names if known[name].usable)
        if not usable and self.policy != "auto":
            raise ValueError(
                f"recommender.policy is {self.policy}, but no api_key is set for {' or '.join(names)} "
                "(for compatible: no base_url)"
            )
        return usable
