"""An advisor that asks a language model twice: what was named, then which shelf helps."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from cestas.entities import extract
from cestas.lexicon import Lexicon
from cestas.model import Entities
from cestas.text import slug
from deployments.recommender.answers import (
    CategoryAnswer,
    EntitiesAnswer,
    Quoted,
    Taxonomy,
    category_schema,
    read,
    read_category,
    strict_schema,
)
from deployments.recommender.category_cache import CategoryCache, key_of
from deployments.recommender.chat import Chat, Question
from deployments.recommender.evidence import is_quoted
from deployments.recommender.grounds import is_heard_in
from deployments.recommender.instructions import CATEGORY, ENTITIES, prompt
from deployments.recommender.naming import together
from deployments.recommender.port import AdviceRequest, AdvisorError, AdvisorTimeout, Understanding
from deployments.recommender.savings import NOTHING, RecentCost, Spent
from deployments.recommender.settings import CategoryCacheSettings, ChatSettings

MAX_NAMED = 12
"""Entities of one kind that are looked at: nobody names more in one utterance, a model gone astray may."""

MAX_NAME_CHARS = 60

QUOTED_KINDS = ("medicines", "articles", "symptoms", "diseases", "contexts")
"""Kinds of entities whose evidence must stand in the latest text."""

MIN_CALL_S = 0.02
"""With less time than this left, a call is not even started."""


AnswerT = TypeVar("AnswerT")


@dataclass(frozen=True)
class _Step(Generic[AnswerT]):
    """One of the two calls: what never changes of its question, and how its answer is read."""

    name: str
    model: str
    instructions: str
    schema_name: str
    schema: dict[str, Any]
    read: Callable[[str], AnswerT]


class LlmAdvisor:
    """Two calls with strict structured output; what is not quoted from the transcript does not count.

    What was said travels as data in the user message, never in the instructions. The second call holds nothing but the
    names found, so that its answer holds for everybody who names the same, and nobody's words can spoil it for others.
    `clock` gives monotonic seconds.
    """

    def __init__(
        self,
        chat: Chat,
        settings: ChatSettings,
        lexicon: Lexicon,
        taxonomy: Taxonomy,
        clock: Callable[[], float] = time.monotonic,
        cache: CategoryCacheSettings | None = None,
    ) -> None:
        self.name = chat.name
        self.cache = CategoryCache(cache if cache is not None else CategoryCacheSettings(), clock)
        self._category_cost = RecentCost()
        self._chat = chat
        self._settings = settings
        self._lexicon = lexicon
        self._clock = clock
        self._entities = _Step(
            "entidades",
            settings.model_entities,
            prompt(ENTITIES),
            "entities",
            strict_schema(EntitiesAnswer),
            lambda content: read(EntitiesAnswer, content),
        )
        self._category = _Step(
            "categoria",
            settings.model_category,
            prompt(CATEGORY),
            "category",
            category_schema(taxonomy),
            lambda content: read_category(content, taxonomy),
        )

    async def understand(self, request: AdviceRequest) -> Understanding:
        """Entities and category of `request.text` in its context; raises AdvisorError with what it had cost by then."""
        exchange = _Exchange(self._chat, self._settings, self._clock, request.budget_s)
        try:
            named = await exchange.ask(self._entities, _data(request))
            entities = self._checked(named, request)
            category, saved = CategoryAnswer(macro=None, micro=None, confidence=0.0), None
            if named.intent == "sintoma_ou_pedido" and not entities.empty:
                category, saved = await self._shelf(exchange, request, entities)
        except AdvisorError as error:
            error.spent(exchange.tokens_in, exchange.tokens_out)
            error.cost_usd = self._settings.cost_usd(error.tokens_in, error.tokens_out)
            raise
        return Understanding(
            entities=entities,
            macro=category.macro,
            micro=category.micro,
            confidence=category.confidence,
            origin="llm",
            model="+".join(exchange.models),
            tokens_in=exchange.tokens_in,
            tokens_out=exchange.tokens_out,
            cost_usd=self._settings.cost_usd(exchange.tokens_in, exchange.tokens_out),
            steps_ms=exchange.steps_ms,
            cached=saved is not None,
            saved_usd=(saved or NOTHING).usd,
            saved_ms=(saved or NOTHING).ms,
        )

    async def _shelf(
        self, exchange: _Exchange, request: AdviceRequest, entities: Entities
    ) -> tuple[CategoryAnswer, Spent | None]:
        """The second step, and what was saved where the answer was known already."""
        asked = _asked(request, entities, self._lexicon)
        key = key_of(self._settings.model_category, asked)
        known = self.cache.get(key)
        if known is not None:
            return known, self._category_cost.mean
        before = (exchange.tokens_in, exchange.tokens_out)
        answer = await exchange.ask(self._category, _names(asked))
        cost_usd = self._settings.cost_usd(exchange.tokens_in - before[0], exchange.tokens_out - before[1])
        self._category_cost.add(Spent(cost_usd, exchange.steps_ms[self._category.name]))
        self.cache.put(key, answer)
        return answer, None

    def health(self) -> dict[str, Any]:
        """How well the cache of categories serves."""
        return {"cache": {"entradas": len(self.cache), "acertos": self.cache.hits, "perguntas": self.cache.questions}}

    async def close(self) -> None:
        """Release connections."""
        await self._chat.close()

    def _checked(self, answer: EntitiesAnswer, request: AdviceRequest) -> Entities:
        """What is really quoted, under the lexicon's names; only situations may come from earlier texts."""
        said, ever_said = (request.text,), (request.text, *request.context)
        quoted = {kind: _quoted(getattr(answer, kind), said) for kind in QUOTED_KINDS}
        quoted["medicines"] = [q for q in quoted["medicines"] if is_heard_in(q.name, q.evidence, self._lexicon)]
        quoted["situations"] = _quoted(answer.situations, ever_said)
        named = together(self._canonical(kind, one.name) for kind, ones in quoted.items() for one in ones)
        evidence = dict.fromkeys(one.evidence for kind in QUOTED_KINDS for one in quoted[kind])
        return replace(named, evidence=tuple(evidence))

    def _canonical(self, kind: str, name: str) -> Entities:
        """What the lexicon knows under that name, whatever kind it says it is; else the model's own name, plain."""
        known = extract(name, self._lexicon)
        if known.empty and not known.situations:
            return Entities(**{kind: (slug(name).replace("-", " "),)})
        return known


class _Exchange:
    """The calls of one understanding: they share one budget and add up."""

    def __init__(self, chat: Chat, settings: ChatSettings, clock: Callable[[], float], budget_s: float) -> None:
        self._chat = chat
        self._settings = settings
        self._clock = clock
        self._deadline_s = clock() + budget_s
        self.tokens_in = 0
        self.tokens_out = 0
        self.steps_ms: dict[str, float] = {}
        self.models: list[str] = []

    async def ask(self, step: _Step[AnswerT], data: str) -> AnswerT:
        """One call within what is left of the budget; raises AdvisorError."""
        started_s = self._clock()
        timeout_s = min(self._settings.timeout_s, self._deadline_s - started_s)
        if timeout_s < MIN_CALL_S:
            raise AdvisorTimeout("no time left for a call")
        question = Question(step.model, step.instructions, data, step.schema_name, step.schema)
        answer = await self._chat.ask(question, timeout_s)
        self.steps_ms[step.name] = (self._clock() - started_s) * 1e3
        self.tokens_in += answer.tokens_in
        self.tokens_out += answer.tokens_out
        if step.model not in self.models:
            self.models.append(step.model)
        return step.read(answer.content)


def _data(request: AdviceRequest) -> str:
    return json.dumps({"contexto": list(request.context), "texto": request.text}, ensure_ascii=False)


def _asked(request: AdviceRequest, entities: Entities, lexicon: Lexicon) -> Entities:
    """What the second question is about: the names found, what is known of the customer, and which are in use."""
    in_use = extract(request.text, lexicon).in_use
    return replace(
        entities,
        situations=tuple(dict.fromkeys((*entities.situations, *request.situations))),
        in_use=tuple(name for name in entities.medicines if name in in_use),
    )


def _names(entities: Entities) -> str:
    """The second question's data: names alone, sorted, so that the same names make the same question."""
    data = {
        "sintomas": sorted(entities.symptoms),
        "doencas": sorted(entities.diseases),
        "medicamentos": sorted(entities.medicines),
        "em_uso": sorted(entities.in_use),
        "artigos": sorted(entities.articles),
        "ocasioes": sorted(entities.contexts),
        "situacoes": sorted(entities.situations),
    }
    return json.dumps(data, ensure_ascii=False)


def _quoted(named: list[Quoted], texts: tuple[str, ...]) -> list[Quoted]:
    return [
        quoted
        for quoted in named[:MAX_NAMED]
        if 0 < len(slug(quoted.name)) <= MAX_NAME_CHARS and is_quoted(quoted.evidence, texts)
    ]
