"""Settings of the recommender: who answers, with which models, at which price and within which limits."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

Policy = Literal["auto", "regras", "llm"]
"""auto: the language model when a key is set, else rules; regras: rules alone; llm: refuses to start without a key."""

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


class RecommenderSettings(BaseModel):
    """Everything that the recommender's stage can be told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: Policy = "auto"
    provider: Literal["auto", "openai", "xai"] = "auto"
    """auto: OpenAI when it has a key, else xAI."""
    openai: OpenAiSettings = OpenAiSettings()
    xai: XaiSettings = XaiSettings()
    cestas_path: Path | None = None
    """A pharmacy's own `cestas.json`; None: the one that is shipped."""
    produtos_path: Path | None = None
    """A pharmacy's own `produtos.json`; None: the one that is shipped."""
    rules_min_confidence: float = Field(0.5, ge=0, le=1)
    """Below this the rules say nothing."""
    rules_reserve_ms: int = Field(50, ge=0, le=1000)
    """What is kept of the budget so that rules can still answer when the language model is late."""
    max_text_chars: int = Field(2000, ge=100, le=20_000)
    """Longest text of one utterance that is looked at; the end of a longer one is dropped."""
    max_context_texts: int = Field(8, ge=0, le=50)
    """How many earlier texts of the same customer are looked at: the latest ones."""

    def language_model(self) -> tuple[str, ChatSettings] | None:
        """Name and settings of the provider to ask, or None for rules alone.

        Raises ValueError when the policy is `llm` and the provider has no key.
        """
        if self.policy == "regras":
            return None
        candidates: dict[str, ChatSettings] = {"openai": self.openai, "xai": self.xai}
        names = candidates if self.provider == "auto" else (self.provider,)
        for name in names:
            key = candidates[name].api_key
            if key is not None and key.get_secret_value().strip():
                return name, candidates[name]
        if self.policy == "llm":
            raise ValueError("recommender.policy is llm, but no api_key is set for " + " or ".join(names))
        return None
