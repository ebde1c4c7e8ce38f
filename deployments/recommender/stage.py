"""The recommender's stage: understand, choose the basket, pass the safety gate, show at most three items."""

from __future__ import annotations

import logging
import time
from collections import Counter
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from cestas.baskets import Basket, basket_for
from cestas.catalogue import Catalogue
from cestas.classify import Classification
from cestas.data_files import load_taxonomy
from cestas.entities import extract
from cestas.invented import is_invented
from cestas.keyterms import keyterms_of
from cestas.lexicon import Lexicon
from cestas.model import Block, Entities, Item
from cestas.ordering import Arm
from cestas.safety import SafetyVerdict, check
from deployments.metrics import Metrics, NoMetrics
from deployments.recommender.catalogues import Catalogues
from deployments.recommender.certainty import is_sure
from deployments.recommender.chain import AdvisorChain
from deployments.recommender.grounds import without_groundless
from deployments.recommender.injection import speaks_to_the_machine
from deployments.recommender.learned_order import LearnedOrder, Outcomes
from deployments.recommender.naming import together
from deployments.recommender.port import (
    Advice,
    AdviceRequest,
    AdviceStatus,
    Advisor,
    AdvisorError,
    Route,
    Understanding,
)
from deployments.recommender.rules import RulesAdvisor, RulesReading
from deployments.recommender.savings import RecentCost, Spent
from deployments.recommender.settings import RecommenderSettings

log = logging.getLogger("balto.recommender")

MAX_ITEMS = 3

CALLS_OF_A_MODEL = 2
"""One for what was named, one for the category."""


class Recommender:
    """Advises on one utterance; whoever understood it, baskets and final checks are the same.

    `llm` replaces the language models that the settings would choose, `lexicon` the one that is shipped; `outcomes` are
    what the order of items is learned from. Raises
    ValueError for settings that cannot work, and cestas.catalogue.CatalogueError for a malformed file of the pharmacy.
    """

    def __init__(
        self,
        settings: RecommenderSettings,
        metrics: Metrics | None = None,
        *,
        llm: Advisor | None = None,
        lexicon: Lexicon | None = None,
        outcomes: Outcomes | None = None,
    ) -> None:
        self._settings = settings
        self._metrics = metrics if metrics is not None else NoMetrics()
        self._lexicon = lexicon if lexicon is not None else Lexicon.load()
        self._catalogues = Catalogues(
            settings.catalogues, self._lexicon, settings.cestas_path, settings.produtos_path, self._metrics
        )
        self._rules = RulesAdvisor(self._lexicon, settings.rules_min_confidence)
        advisors = (llm,) if llm is not None else _language_models(settings, self._lexicon)
        self._llm = AdvisorChain(advisors, settings.failover, self._metrics) if advisors else None
        self._order = LearnedOrder(settings.ordering, outcomes, self._metrics) if outcomes is not None else None
        self._model_cost = RecentCost()
        self._routes: Counter[Route] = Counter()
        self._saved = Spent()
        self._calls_avoided = 0
        self._last_error = ""

    async def advise(self, request: AdviceRequest) -> Advice:
        """What to suggest for `request.text`; failures of advisors are told in `error`, never raised."""
        started_s = time.perf_counter()
        request = self._with_situations(self._bounded(request))
        heard = await self._understood(request)
        catalogue = await self._catalogues.of(request.client_id)
        checked_s = time.perf_counter()
        named = self._named(request, heard.understanding)
        basket, arm, verdict = self._basket_and_gate(request, heard.understanding, named, catalogue)
        now_s = time.perf_counter()
        heard.steps_ms["cesta"] = (now_s - checked_s) * 1e3
        advice = _advice(heard, named, basket, verdict, (now_s - started_s) * 1e3)
        advice = replace(advice, ordering=arm if advice.items else "")
        if self._llm is not None:
            advice = replace(advice, states=self._llm.states)
        if self._settings.keyterms_max:
            terms = keyterms_of(catalogue, advice.macro, advice.micro, named, self._settings.keyterms_max)
            advice = replace(advice, keyterms=terms)
        self._measure(advice)
        return advice

    async def health(self) -> dict[str, Any]:
        """Who answers and how, what that saved since the start, the language models' state, and refused catalogues."""
        answers = self._llm if self._llm is not None else self._rules
        return {
            "advisor": answers.name,
            "policy": self._policy,
            "degraded": bool(self._last_error),
            "last_error": self._last_error,
            "rotas": dict(self._routes),
            "chamadas_evitadas": self._calls_avoided,
            "poupado_usd": round(self._saved.usd, 6),
            "poupado_s": round(self._saved.ms / 1e3, 3),
            "catalogos": self._catalogues.health(),
            **answers.health(),
        }

    async def close(self) -> None:
        """Release connections."""
        await self._catalogues.close()
        if self._order is not None:
            await self._order.close()
        await self._rules.close()
        if self._llm is not None:
            await self._llm.close()

    @property
    def _policy(self) -> str:
        """The policy in force: what `auto` stands for here."""
        if self._llm is None:
            return "regras"
        return "cascata" if self._settings.policy == "auto" else self._settings.policy

    async def _understood(self, request: AdviceRequest) -> _Heard:
        """The rules' understanding where nobody else need be asked, else the language model's if it comes in time."""
        if self._llm is None or request.rules_only or is_invented(request.text):
            return self._by_rules(self._rules.read(request), "regras")
        reading = self._rules.read(request)
        if self._calls_pharmacist(request, reading.understanding):
            return self._by_rules(reading, "regras_alerta")
        if speaks_to_the_machine((request.text, *request.context)):
            return self._by_rules(_without_orders(reading), "regras_injecao")
        if self._policy == "cascata" and is_sure(reading.certainty, self._settings.cascade):
            return self._by_rules(reading, "regras_seguras")
        return await self._by_model(self._llm, request, reading)

    def _calls_pharmacist(self, request: AdviceRequest, understood: Understanding) -> bool:
        """Whether a red flag was raised: that waits for no language model."""
        known = together((understood.entities, Entities(situations=request.guarded_situations)))
        return bool(check((), known, self._lexicon, _NO_CATALOGUE, request.text, request.context).alert)

    def _by_rules(self, reading: RulesReading, route: Route) -> _Heard:
        """The rules' answer, with what it saved where a language model would have been asked."""
        heard = _Heard.by(self._rules, reading.understanding, route)
        if route == "regras":
            return heard
        mean = self._model_cost.mean
        return replace(heard, calls_avoided=CALLS_OF_A_MODEL, saved=mean)

    async def _by_model(self, llm: AdvisorChain, request: AdviceRequest, reading: RulesReading) -> _Heard:
        """The language model's understanding, or the rules' best guess where it fails or is late."""
        started_s = time.perf_counter()
        llm.learn(request.known)
        budget_s = request.budget_s - self._settings.rules_reserve_ms / 1e3
        if self._policy == "cascata":
            budget_s = min(budget_s, self._settings.cascade.llm_deadline_ms / 1e3)
        try:
            understood = await llm.understand(replace(request, budget_s=budget_s))
        except AdvisorError as error:
            return self._in_place_of(llm, error, reading, (time.perf_counter() - started_s) * 1e3)
        self._last_error = ""
        if not understood.cached:
            self._model_cost.add(Spent(understood.cost_usd, (time.perf_counter() - started_s) * 1e3))
        return _Heard.by(llm, understood, "llm")

    def _in_place_of(self, failed: Advisor, error: AdvisorError, reading: RulesReading, lost_ms: float) -> _Heard:
        """The rules' understanding, with the failure's name and what it had cost."""
        kind = self._last_error = type(error).__name__
        log.warning("advisor_failed advisor=%s error=%s elapsed_ms=%.0f", failed.name, kind, lost_ms)
        self._metrics.count("advisor_failures_total", advisor=failed.name, error=kind)
        heard = _Heard.by(self._rules, reading.understanding, "regras_sem_llm")
        heard.steps_ms[failed.name] = lost_ms
        return replace(
            heard,
            attempts=error.calls + 1,
            error=kind,
            tokens_in=error.tokens_in,
            tokens_out=error.tokens_out,
            cost_usd=error.cost_usd,
        )

    def _named(self, request: AdviceRequest, understood: Understanding) -> Entities:
        """What the advisor named, with what the rules read in the same text and what is known of the customer."""
        if understood.origin == "regras":
            return understood.entities
        read = extract(request.text, self._lexicon)
        return together((understood.entities, read, Entities(situations=request.situations)))

    def _basket_and_gate(
        self, request: AdviceRequest, understood: Understanding, named: Entities, catalogue: Catalogue
    ) -> tuple[Basket, Arm, SafetyVerdict]:
        """Items of the category, whose order they are in, and what the gate leaves of them; it reads every text of this
        customer itself."""
        category = Classification(understood.macro, understood.micro, understood.confidence, understood.origin)
        shown = frozenset(request.shown_item_ids)
        basket = basket_for(category, named, catalogue, self._lexicon, shown)
        items, arm = self._arranged(request, basket, catalogue)
        groundless = tuple[Block, ...]()
        if understood.origin == "llm" and self._settings.medicines_need_grounds:
            read = together(extract(text, self._lexicon) for text in (request.text, *request.context))
            items, groundless = without_groundless(items, understood.macro, read, self._lexicon)
        guarded = together((named, Entities(situations=request.guarded_situations)))
        verdict = check(items, guarded, self._lexicon, catalogue, request.text, request.context)
        return basket, arm, replace(verdict, blocked=(*groundless, *verdict.blocked))

    def _arranged(self, request: AdviceRequest, basket: Basket, catalogue: Catalogue) -> tuple[tuple[Item, ...], Arm]:
        """The basket's items in learned order; the reserve that follows a cesta's own items stays behind them."""
        if self._order is None or not basket.items:
            return basket.items, ""
        macro, _, micro = basket.cesta.partition("/")
        own = catalogue.by_micro.get((macro, micro), ()) if micro else basket.items
        fitting = tuple(item for item in basket.items if item in own)
        arranged, arm = self._order.arrange(request.client_id, basket.cesta, fitting, request.utterance_id)
        return (*arranged, *(item for item in basket.items if item not in own)), arm

    def _with_situations(self, request: AdviceRequest) -> AdviceRequest:
        """The request with what earlier texts said of the customer ("estou grávida") among its situations."""
        said = (extract(text, self._lexicon).situations for text in request.context)
        return replace(request, situations=tuple(dict.fromkeys(chain(request.situations, *said))))

    def _bounded(self, request: AdviceRequest) -> AdviceRequest:
        """The request without what is too long to look at; the latest texts of the context stay."""
        longest, count = self._settings.max_text_chars, self._settings.max_context_texts
        context = tuple(text[:longest] for text in request.context[len(request.context) - count :]) if count else ()
        return replace(request, text=request.text[:longest], context=context)

    def _measure(self, advice: Advice) -> None:
        self._metrics.count("advice_total", origin=advice.origin, status=advice.status)
        self._metrics.count("advice_route_total", route=advice.route)
        self._metrics.observe_ms("advice_ms", advice.elapsed_ms, origin=advice.origin)
        self._routes[advice.route] += 1
        if advice.calls_avoided:
            self._measure_savings(advice)
        if advice.cached or (advice.route == "llm" and "categoria" in advice.steps_ms):
            self._metrics.count("category_cache_total", result="hit" if advice.cached else "miss")
        if advice.tokens_in or advice.tokens_out:
            self._metrics.count("advisor_tokens_total", advice.tokens_in, direction="in")
            self._metrics.count("advisor_tokens_total", advice.tokens_out, direction="out")
            self._metrics.count("advisor_cost_usd_total", advice.cost_usd)

    def _measure_savings(self, advice: Advice) -> None:
        self._calls_avoided += advice.calls_avoided
        self._saved = Spent(self._saved.usd + advice.saved_usd, self._saved.ms + advice.saved_ms)
        self._metrics.count("llm_calls_avoided_total", advice.calls_avoided, route=advice.route)
        self._metrics.count("llm_saved_usd_total", advice.saved_usd)
        self._metrics.count("llm_saved_ms_total", advice.saved_ms)


_NO_CATALOGUE = Catalogue({}, {}, (), {})
"""Whether the pharmacist is called does not depend on what could be suggested."""


@dataclass(frozen=True, slots=True)
class _Heard:
    """An understanding, who gave it, and what was spent until there was one."""

    understanding: Understanding
    advisor: str
    attempts: int
    error: str
    tokens_in: int
    tokens_out: int
    cost_usd: float
    steps_ms: dict[str, float]
    route: Route
    calls_avoided: int
    saved: Spent

    @classmethod
    def by(cls, advisor: Advisor, understood: Understanding, route: Route) -> _Heard:
        """The understanding of an advisor that answered at once."""
        return cls(
            understanding=understood,
            advisor=understood.provider or advisor.name,
            attempts=understood.calls,
            error="",
            tokens_in=understood.tokens_in,
            tokens_out=understood.tokens_out,
            cost_usd=understood.cost_usd,
            steps_ms=dict(understood.steps_ms),
            route=route,
            calls_avoided=int(understood.cached),
            saved=Spent(understood.saved_usd, understood.saved_ms),
        )


def _without_orders(reading: RulesReading) -> RulesReading:
    """The reading of somebody who gives orders to the machine: only what they complain of calls for a suggestion."""
    if reading.understanding.entities.symptoms or reading.understanding.entities.diseases:
        return reading
    return replace(reading, understanding=replace(reading.understanding, macro=None, micro=None))


def _advice(heard: _Heard, named: Entities, basket: Basket, verdict: SafetyVerdict, elapsed_ms: float) -> Advice:
    understood = heard.understanding
    return Advice(
        status=_status(verdict),
        items=() if verdict.alert else verdict.items[:MAX_ITEMS],
        cesta=basket.cesta if basket.items else "",
        entities=named,
        macro=understood.macro,
        micro=understood.micro,
        confidence=understood.confidence,
        blocked=verdict.blocked,
        origin=understood.origin,
        advisor=heard.advisor,
        model=understood.model,
        tokens_in=heard.tokens_in,
        tokens_out=heard.tokens_out,
        cost_usd=heard.cost_usd,
        attempts=heard.attempts,
        steps_ms=heard.steps_ms,
        elapsed_ms=elapsed_ms,
        alert=verdict.alert,
        error=heard.error,
        route=heard.route,
        cached=understood.cached,
        calls_avoided=heard.calls_avoided,
        saved_usd=heard.saved.usd,
        saved_ms=heard.saved.ms,
        model_asked=heard.route in ("llm", "regras_sem_llm"),
    )


def _status(verdict: SafetyVerdict) -> AdviceStatus:
    if verdict.alert:
        return "alerta"
    if verdict.items:
        return "sugerido"
    return "bloqueado" if verdict.blocked else "nada"


def _language_models(settings: RecommenderSettings, lexicon: Lexicon) -> tuple[Advisor, ...]:
    """The advisors that the settings ask for, in order; the vendor's SDK is imported only when it is needed."""
    chosen = settings.language_models()
    if not chosen:
        return ()
    from deployments.recommender.llm import LlmAdvisor
    from deployments.recommender.openai import OpenAiChat

    taxonomy = load_taxonomy()
    return tuple(
        LlmAdvisor(OpenAiChat(name, chat), chat, lexicon, taxonomy, cache=settings.category_cache)
        for name, chat in chosen
    )
