"""The cascade: sure rules answer alone, red flags wait for nobody, the rest asks a model, and the savings are told."""

from __future__ import annotations

from typing import Any

import pytest
from recommender_fakes import FakeAdvisor, FakeMetrics

from cestas.lexicon import Lexicon
from cestas.model import Entities
from deployments.recommender.port import AdviceRequest, AdvisorError, AdvisorTimeout, AdvisorUnavailable, Understanding
from deployments.recommender.settings import CascadeSettings, RecommenderSettings
from deployments.recommender.stage import Recommender

CLEAR = "estou com dor de cabeça desde ontem"
UNCLEAR = "estou com dor de cabeça e um xorumbelo esquiprotivo danado"
RED_FLAG = "estou com dor no peito e falta de ar"
BY_MODEL = Understanding(
    Entities(symptoms=("tosse seca",)), "RESPIRATORIO_GRIPE", "TOSSE_SECA", 0.9, "llm", "m", 1000, 50, 0.002
)


def cascade(
    lexicon: Lexicon, outcome: Understanding | AdvisorError, metrics: FakeMetrics | None = None, **kind: Any
) -> tuple[Recommender, FakeAdvisor]:
    llm = FakeAdvisor(outcome)
    return Recommender(RecommenderSettings(**kind), metrics, llm=llm, lexicon=lexicon), llm


def request(text: str, **known: Any) -> AdviceRequest:
    return AdviceRequest(utterance_id="u1", text=text, **{"budget_s": 3.0, **known})


async def test_where_the_rules_are_sure_no_model_is_asked(lexicon: Lexicon) -> None:
    stage, llm = cascade(lexicon, BY_MODEL)
    advice = await stage.advise(request(CLEAR))
    assert (advice.route, advice.origin, advice.status, advice.calls_avoided) == (
        "regras_seguras",
        "regras",
        "sugerido",
        2,
    )
    assert llm.requests == []
    assert not advice.model_asked


async def test_a_sure_silence_asks_no_model_either(lexicon: Lexicon) -> None:
    stage, llm = cascade(lexicon, BY_MODEL)
    advice = await stage.advise(request("bom dia, tudo bem com você?"))
    assert (advice.route, advice.status) == ("regras_seguras", "nada")
    assert llm.requests == []


async def test_where_the_rules_are_not_sure_the_model_answers(lexicon: Lexicon) -> None:
    stage, llm = cascade(lexicon, BY_MODEL)
    advice = await stage.advise(request(UNCLEAR))
    assert (advice.route, advice.origin, advice.micro) == ("llm", "llm", "TOSSE_SECA")
    assert (advice.calls_avoided, advice.model_asked) == (0, True)
    assert len(llm.requests) == 1


async def test_what_no_model_answered_in_time_is_the_rules_best_guess(lexicon: Lexicon) -> None:
    stage, _ = cascade(lexicon, AdvisorTimeout("late"))
    advice = await stage.advise(request(UNCLEAR))
    assert (advice.route, advice.origin, advice.error) == ("regras_sem_llm", "regras", "AdvisorTimeout")
    assert advice.micro == "ANALGESICOS_ANTITERMICOS"
    assert advice.items


@pytest.mark.parametrize("policy", ["cascata", "llm"])
async def test_a_red_flag_waits_for_no_model_under_any_policy(lexicon: Lexicon, policy: str) -> None:
    stage, llm = cascade(lexicon, BY_MODEL, policy=policy)
    advice = await stage.advise(request(RED_FLAG))
    assert (advice.route, advice.status, advice.items) == ("regras_alerta", "alerta", ())
    assert llm.requests == []


async def test_a_red_flag_said_earlier_waits_for_no_model_either(lexicon: Lexicon) -> None:
    stage, llm = cascade(lexicon, BY_MODEL)
    advice = await stage.advise(request(UNCLEAR, context=(RED_FLAG,)))
    assert advice.status == "alerta"
    assert llm.requests == []


async def test_the_model_gets_its_own_deadline_within_the_utterances(lexicon: Lexicon) -> None:
    stage, llm = cascade(lexicon, BY_MODEL, cascade=CascadeSettings(llm_deadline_ms=700), rules_reserve_ms=50)
    await stage.advise(request(UNCLEAR, budget_s=3.0))
    await stage.advise(request(UNCLEAR, budget_s=0.4))
    assert [asked.budget_s for asked in llm.requests] == pytest.approx([0.7, 0.35], abs=0.01)


async def test_what_was_saved_is_the_mean_of_what_models_cost_and_nothing_before_one_answered(lexicon: Lexicon) -> None:
    stage, _ = cascade(lexicon, BY_MODEL)
    assert (await stage.advise(request(CLEAR))).saved_usd == 0.0
    await stage.advise(request(UNCLEAR))
    saved = await stage.advise(request(CLEAR))
    assert saved.saved_usd == pytest.approx(0.002)
    assert saved.saved_ms > 0.0
    health = await stage.health()
    assert (health["policy"], health["chamadas_evitadas"], health["poupado_usd"]) == ("cascata", 4, 0.002)
    assert health["rotas"] == {"regras_seguras": 2, "llm": 1}


async def test_who_answered_and_what_was_avoided_is_counted(lexicon: Lexicon) -> None:
    metrics = FakeMetrics()
    stage, _ = cascade(lexicon, BY_MODEL, metrics)
    await stage.advise(request(UNCLEAR))
    await stage.advise(request(CLEAR))
    assert ("advice_route_total", 1.0, {"route": "llm"}) in metrics.counts
    assert ("advice_route_total", 1.0, {"route": "regras_seguras"}) in metrics.counts
    assert ("llm_calls_avoided_total", 2, {"route": "regras_seguras"}) in metrics.counts
    assert ("llm_saved_usd_total", pytest.approx(0.002), {}) in metrics.counts


async def test_an_answer_from_the_cache_saves_one_call(lexicon: Lexicon) -> None:
    known = Understanding(
        BY_MODEL.entities, BY_MODEL.macro, BY_MODEL.micro, 0.9, "llm", cached=True, saved_usd=0.001, saved_ms=150.0
    )
    metrics = FakeMetrics()
    stage, _ = cascade(lexicon, known, metrics)
    advice = await stage.advise(request(UNCLEAR))
    assert (advice.cached, advice.calls_avoided, advice.saved_usd, advice.saved_ms) == (True, 1, 0.001, 150.0)
    assert ("category_cache_total", 1.0, {"result": "hit"}) in metrics.counts


async def test_an_advice_by_sure_rules_says_nothing_about_a_model_that_fails(lexicon: Lexicon) -> None:
    stage, _ = cascade(lexicon, AdvisorUnavailable("status 500"))
    assert (await stage.advise(request(UNCLEAR))).model_asked
    sure = await stage.advise(request(CLEAR))
    assert (sure.model_asked, sure.error) == (False, "")
    assert (await stage.health())["degraded"] is True
