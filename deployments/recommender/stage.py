"""The recommender's stage: understand, choose the basket, pass the safety gate, show at most three items."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

from cestas.baskets import Basket, basket_for
from cestas.catalogue import Catalogue
from cestas.classify import Classification
from cestas.data_files import load_taxonomy
from cestas.entities import extract
from cestas.invented import is_invented
from cestas.lexicon import Lexicon
from cestas.model import Entities
from cestas.safety import SafetyVerdict, check
from deployments.metrics import Metrics, NoMetrics
from deployments.recommender.naming import together
from deployments.recommender.port import Advice, AdviceRequest, AdviceStatus, Advisor, AdvisorError, Understanding
from deployments.recommender.rules import RulesAdvisor
from deployments.recommender.settings import RecommenderSettings

log = logging.getLogger("balto.recommender")

MAX_ITEMS = 3


class Recommender:
    """Advises on one utterance; whoever understood it, baskets and final checks are the same.

    `llm` replaces the language model that the settings would choose, `lexicon` the one that is shipped. Raises
    ValueError for settings that cannot work, and cestas.catalogue.CatalogueError for a malformed file of the pharmacy.
    """

    def __init__(
        self,
        settings: RecommenderSettings,
        metrics: Metrics | None = None,
        *,
        llm: Advisor | None = None,
        lexicon: Lexicon | None = None,
    ) -> None:
        self._settings = settings
        self._metrics = metrics if metrics is not None else NoMetrics()
        self._lexicon = lexicon if lexicon is not None else Lexicon.load()
        self._catalogue = Catalogue.load(settings.cestas_path, settings.produtos_path)
        self._rules = RulesAdvisor(self._lexicon, settings.rules_min_confidence)
        self._llm = llm if llm is not None else _language_model(settings, self._lexicon)
        self._last_error = ""

    async def advise(self, request: AdviceRequest) -> Advice:
        """What to suggest for `request.text`; failures of advisors are told in `error`, never raised."""
        started_s = time.perf_counter()
        request = self._with_situations(self._bounded(request))
        heard = await self._understood(request)
        checked_s = time.perf_counter()
        named = self._named(request, heard.understanding)
        basket, verdict = self._basket_and_gate(request, heard.understanding, named)
        now_s = time.perf_counter()
        heard.steps_ms["cesta"] = (now_s - checked_s) * 1e3
        advice = _advice(heard, named, basket, verdict, (now_s - started_s) * 1e3)
        self._measure(advice)
        return advice

    async def health(self) -> dict[str, Any]:
        """Who answers, and whether the language model failed when it was last asked."""
        advisor = self._llm if self._llm is not None else self._rules
        return {"advisor": advisor.name, "degraded": bool(self._last_error), "last_error": self._last_error}

    async def close(self) -> None:
        """Release connections."""
        await self._rules.close()
        if self._llm is not None:
            await self._llm.close()

    async def _understood(self, request: AdviceRequest) -> _Heard:
        """The language model's understanding, or the rules' where there is none or it failed."""
        if self._llm is None or is_invented(request.text):
            return _Heard.by(self._rules, await self._rules.understand(request))
        started_s = time.perf_counter()
        budget_s = request.budget_s - self._settings.rules_reserve_ms / 1e3
        try:
            understanding = await self._llm.understand(replace(request, budget_s=budget_s))
        except AdvisorError as error:
            return await self._in_place_of(self._llm, error, request, (time.perf_counter() - started_s) * 1e3)
        self._last_error = ""
        return _Heard.by(self._llm, understanding)

    async def _in_place_of(
        self, failed: Advisor, error: AdvisorError, request: AdviceRequest, lost_ms: float
    ) -> _Heard:
        """The rules' understanding, with the failure's name and what it had cost."""
        kind = self._last_error = type(error).__name__
        log.warning("advisor_failed advisor=%s error=%s elapsed_ms=%.0f", failed.name, kind, lost_ms)
        self._metrics.count("advisor_failures_total", advisor=failed.name, error=kind)
        heard = _Heard.by(self._rules, await self._rules.understand(request))
        heard.steps_ms[failed.name] = lost_ms
        return replace(
            heard,
            attempts=2,
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
        self, request: AdviceRequest, understood: Understanding, named: Entities
    ) -> tuple[Basket, SafetyVerdict]:
        """Items of the category, and what the gate leaves of them; it reads every text of this customer itself."""
        category = Classification(understood.macro, understood.micro, understood.confidence, understood.origin)
        shown = frozenset(request.shown_item_ids)
        basket = basket_for(category, named, self._catalogue, self._lexicon, shown)
        guarded = together((named, Entities(situations=request.guarded_situations)))
        verdict = check(basket.items, guarded, self._lexicon, self._catalogue, request.text, request.context)
        return basket, verdict

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
        self._metrics.observe_ms("advice_ms", advice.elapsed_ms, origin=advice.origin)
        if advice.tokens_in or advice.tokens_out:
            self._metrics.count("advisor_tokens_total", advice.tokens_in, direction="in")
            self._metrics.count("advisor_tokens_total", advice.tokens_out, direction="out")
            self._metrics.count("advisor_cost_usd_total", advice.cost_usd)


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

    @classmethod
    def by(cls, advisor: Advisor, understood: Understanding) -> _Heard:
        """The understanding of an advisor that answered at once."""
        return cls(
            understanding=understood,
            advisor=advisor.name,
            attempts=1,
            error="",
            tokens_in=understood.tokens_in,
            tokens_out=understood.tokens_out,
            cost_usd=understood.cost_usd,
            steps_ms=dict(understood.steps_ms),
        )


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
    )


def _status(verdict: SafetyVerdict) -> AdviceStatus:
    if verdict.alert:
        return "alerta"
    if verdict.items:
        return "sugerido"
    return "bloqueado" if verdict.blocked else "nada"


def _language_model(settings: RecommenderSettings, lexicon: Lexicon) -> Advisor | None:
    """The advisor that the settings ask for, or None; the vendor's SDK is imported only when it is needed."""
    chosen = settings.language_model()
    if chosen is None:
        return None
    from deployments.recommender.llm import LlmAdvisor
    from deployments.recommender.openai import OpenAiChat

    name, chat_settings = chosen
    return LlmAdvisor(OpenAiChat(name, chat_settings), chat_settings, lexicon, load_taxonomy())
