"""The port of advice: what an advisor is given, what it gives back, and how it fails.

AdvisorError             anything an advisor could not do
├── AdvisorUnavailable   network, 5xx                                  retryable
├── AdvisorThrottled     429                                           retryable
├── AdvisorTimeout       no answer within the budget, or one that began and went silent
├── AdvisorRefused       401, 402, 403: the key
├── AdvisorRejected      another 4xx: this request
├── AdvisorDeclined      the model refuses to answer, or its provider's filter does
└── AdvisorGarbled       truncated JSON, or an answer that the schema does not admit
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, TypeVar

from cestas.model import Block, Entities, Item
from cestas.ordering import Arm
from deployments.resilience.breaker import FailureKind
from deployments.resilience.gossip import ProviderState

AdviceStatus = Literal[
    "sugerido", "nada", "bloqueado", "alerta", "prazo", "indisponivel", "limite", "recusado", "resposta_invalida"
]
"""sugerido: items to show; nada: nothing fits; bloqueado: all that fitted was unsafe; alerta: call the pharmacist;
the others name the kind of failure."""

Origin = Literal["regras", "llm"]

Route = Literal["regras", "regras_alerta", "regras_injecao", "regras_seguras", "llm", "regras_sem_llm"]
"""How the answer was reached. regras: no language model is used, or nobody said this; regras_alerta: a red flag, which
waits for nobody; regras_injecao: words meant for a machine, which no language model gets to read; regras_seguras: the
rules were sure; llm: a language model; regras_sem_llm: the rules' best guess, because no language model answered in
time."""


ErrorT = TypeVar("ErrorT", bound="AdvisorError")


class AdvisorError(Exception):
    """An advisor could not answer. The text never carries what somebody said or a key."""

    retryable: ClassVar[bool] = False
    status: ClassVar[AdviceStatus] = "indisponivel"
    failure: ClassVar[FailureKind | None] = "unavailable"
    """What it says of the provider; None: it is well, and did not like what it was asked."""
    elsewhere: ClassVar[bool] = True
    """Whether another provider may be asked instead."""

    retry_after_s: float = 0.0
    """How long the provider asks to be left alone; 0 where it does not say."""
    calls: int = 1
    """Providers that were asked until this failure was certain."""
    tokens_in: int = 0
    """Tokens billed for the attempt that failed."""
    tokens_out: int = 0
    cost_usd: float = 0.0

    def spent(self: ErrorT, tokens_in: int, tokens_out: int, cost_usd: float = 0.0) -> ErrorT:
        """Add to what the failed attempt cost, and return the error itself."""
        self.tokens_in += tokens_in
        self.tokens_out += tokens_out
        self.cost_usd += cost_usd
        return self


class AdvisorUnavailable(AdvisorError):
    """Network down or 5xx."""

    retryable = True


class AdvisorThrottled(AdvisorError):
    """The provider says: too many requests (429)."""

    retryable = True
    status = "limite"
    failure = "throttled"


class AdvisorTimeout(AdvisorError):
    """No answer within the budget."""

    status = "prazo"
    failure = "timeout"


class AdvisorRefused(AdvisorError):
    """The provider refuses the key (401, 402, 403)."""

    status = "recusado"
    failure = "refused"


class AdvisorRejected(AdvisorError):
    """The provider refuses this request (another 4xx): a model that it does not have, a parameter it does not know."""

    status = "recusado"
    failure = "rejected"


class AdvisorDeclined(AdvisorError):
    """The model refuses to answer, or its provider's filter does; another would be asked the same thing."""

    status = "recusado"
    failure = None
    elsewhere = False


class AdvisorGarbled(AdvisorError):
    """The answer is truncated, not JSON, or not what the schema admits."""

    status = "resposta_invalida"


@dataclass(frozen=True, slots=True)
class AdviceRequest:
    """What was said, and what is known of the conversation. `budget_s` is what is left until the deadline."""

    utterance_id: str
    text: str
    budget_s: float
    context: tuple[str, ...] = ()
    """Earlier texts of the same customer, oldest first."""
    shown_item_ids: tuple[str, ...] = ()
    """Items already suggested to this customer: not suggested again."""
    situations: tuple[str, ...] = ()
    """Situations already known of this customer (pregnant, …)."""
    guarded_situations: tuple[str, ...] = ()
    """Situations of whoever stood there before an uncertain change of customer: they reach the safety gate alone."""
    client_id: str = ""
    known: tuple[ProviderState, ...] = ()
    """What other replicas found out about the language models' providers."""
    rules_only: bool = False
    """True while the service is overloaded: the rules answer, whatever the policy."""


@dataclass(frozen=True, slots=True)
class Understanding:
    """What an advisor understood, before baskets and the final checks, which are the same after every advisor."""

    entities: Entities
    macro: str | None
    micro: str | None
    confidence: float
    origin: Origin
    model: str = ""
    tokens_in: int = 0
    tokens_out: int = 0
    cost_usd: float = 0.0
    steps_ms: dict[str, float] = field(default_factory=dict)
    """Elapsed milliseconds by step, e.g. {"entidades": 180.0, "categoria": 210.0}."""
    cached: bool = False
    """True when the category was known from an earlier answer about the same entities."""
    saved_usd: float = 0.0
    """What the answer that was known already would have cost: the mean of the latest ones."""
    saved_ms: float = 0.0
    provider: str = ""
    """Which of several providers answered; empty: the advisor's own name says it."""
    calls: int = 1
    """Providers that were asked, failed ones included."""


class Advisor(Protocol):
    """Understands a text: rules or a language model."""

    name: str

    async def understand(self, request: AdviceRequest) -> Understanding:
        """Entities and category of `request.text` in its context; raises AdvisorError."""

    def health(self) -> dict[str, Any]:
        """What `/saude` tells of it: few plain values, none of what was said."""

    async def close(self) -> None:
        """Release connections."""


@dataclass(frozen=True, slots=True)
class Advice:
    """The stage's answer, failures included: vendors' exceptions never cross a process."""

    status: AdviceStatus
    items: tuple[Item, ...]
    """At most three."""
    cesta: str
    """Which basket they came from, as `MACRO/MICRO`, `MACRO` or `produtos`; empty when none."""
    entities: Entities
    """What the baskets and the gate were given: the advisor's and the rules' reading, and every situation known."""
    macro: str | None
    micro: str | None
    confidence: float
    blocked: tuple[Block, ...]
    origin: Origin
    advisor: str
    model: str
    tokens_in: int
    tokens_out: int
    cost_usd: float
    attempts: int
    steps_ms: dict[str, float]
    elapsed_ms: float
    alert: str = ""
    """When status is `alerta`: why the pharmacist should be called, in Portuguese, for the attendant."""
    error: str = ""
    """Class name of the error when an advisor failed, even where rules answered in its place."""
    route: Route = "regras"
    cached: bool = False
    """True when the language model's second answer was known from before."""
    calls_avoided: int = 0
    """Calls to a language model that were not needed: two where the rules were sure, one where the cache knew."""
    saved_usd: float = 0.0
    """What those calls would have cost: the mean of the latest ones; 0 before there was one."""
    saved_ms: float = 0.0
    model_asked: bool = True
    """False where the answer says nothing about whether the language model works."""
    ordering: Arm = ""
    """Whose order the items are in: the learned one, or the pharmacist's."""
    states: tuple[ProviderState, ...] = ()
    """What this replica knows of the language models' providers, for the others."""
    keyterms: tuple[str, ...] = ()
    """Names of the client's catalogue that this conversation is likely to say next, the likeliest first."""
