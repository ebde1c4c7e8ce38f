"""The port of advice: what an advisor is given, what it gives back, and how it fails.

AdvisorError             anything an advisor could not do
├── AdvisorUnavailable   network, 5xx                                  retryable
├── AdvisorThrottled     429                                           retryable
├── AdvisorTimeout       no answer within the budget
├── AdvisorRefused       401, 403, 4xx, or the model refuses to answer
└── AdvisorGarbled       truncated JSON, or an answer that the schema does not admit
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol, TypeVar

from cestas.model import Block, Entities, Item

AdviceStatus = Literal[
    "sugerido", "nada", "bloqueado", "alerta", "prazo", "indisponivel", "limite", "recusado", "resposta_invalida"
]
"""sugerido: items to show; nada: nothing fits; bloqueado: all that fitted was unsafe; alerta: call the pharmacist;
the others name the kind of failure."""

Origin = Literal["regras", "llm"]


ErrorT = TypeVar("ErrorT", bound="AdvisorError")


class AdvisorError(Exception):
    """An advisor could not answer. The text never carries what somebody said or a key."""

    retryable: ClassVar[bool] = False
    status: ClassVar[AdviceStatus] = "indisponivel"

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


class AdvisorTimeout(AdvisorError):
    """No answer within the budget."""

    status = "prazo"


class AdvisorRefused(AdvisorError):
    """The provider refuses the key or the request, or the model refuses to answer."""

    status = "recusado"


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


class Advisor(Protocol):
    """Understands a text: rules or a language model."""

    name: str

    async def understand(self, request: AdviceRequest) -> Understanding:
        """Entities and category of `request.text` in its context; raises AdvisorError."""

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
