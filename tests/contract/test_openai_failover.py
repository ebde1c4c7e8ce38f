"""Two simulated providers of language models: the second answers where the first fails, within the deadline."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import pytest
from pydantic import SecretStr

from bench.simulated.openai import ModelFault, SimulatedOpenAi, Step
from bench.simulated.server import Fault
from cestas.lexicon import Lexicon
from deployments.recommender.port import AdviceRequest
from deployments.recommender.settings import (
    CompatibleSettings,
    FailoverSettings,
    OpenAiSettings,
    RecommenderSettings,
    XaiSettings,
)
from deployments.recommender.stage import Recommender
from deployments.resilience.settings import BreakerSettings

KEY = SecretStr("sk-simulated")
TEXT = "minha cabeça tá doendo muito"


@cache
def lexicon() -> Lexicon:
    return Lexicon.load()


@asynccontextmanager
async def two(first: SimulatedOpenAi, second: SimulatedOpenAi, **failover: Any) -> AsyncIterator[Recommender]:
    """A stage that asks `first` as OpenAI and `second` as xAI."""
    async with first, second:
        xai = XaiSettings(api_key=KEY, base_url=second.base_url, model_entities="grok-3", model_category="grok-3")
        stage = Recommender(
            RecommenderSettings(
                policy="llm",
                openai=OpenAiSettings(api_key=KEY, base_url=first.base_url),
                xai=xai,
                failover=FailoverSettings(**failover),
            ),
            lexicon=lexicon(),
        )
        try:
            yield stage
        finally:
            await stage.close()


def request(budget_s: float = 3.0) -> AdviceRequest:
    return AdviceRequest(utterance_id="u1", text=TEXT, budget_s=budget_s)


@pytest.mark.parametrize(
    "fault",
    [
        Fault.UNAUTHORIZED,
        Fault.BAD_REQUEST,
        Fault.THROTTLED,
        Fault.SERVER_ERROR,
        Fault.RESET,
        Fault.GARBAGE,
        ModelFault.WRONG_ENUM,
        ModelFault.LENGTH,
    ],
)
async def test_whatever_fails_at_the_first_the_second_answers_and_every_token_is_on_the_bill(fault: Step) -> None:
    first, second = SimulatedOpenAi(fault, fault), SimulatedOpenAi()
    async with two(first, second) as stage:
        advice = await stage.advise(request())
    assert (advice.status, advice.route, advice.advisor, advice.error) == ("sugerido", "llm", "xai", "")
    assert advice.attempts == 2
    assert advice.tokens_in == first.tokens_in + second.tokens_in
    prices = OpenAiSettings(), XaiSettings()
    spent = prices[0].cost_usd(first.tokens_in, first.tokens_out) + prices[1].cost_usd(
        second.tokens_in, second.tokens_out
    )
    assert advice.cost_usd == pytest.approx(spent)


@pytest.mark.parametrize("fault", [Fault.STALL, Fault.STALL_MID_BODY, Fault.TRICKLE])
async def test_a_provider_that_stalls_leaves_the_second_its_share_of_the_time(fault: Fault) -> None:
    async with two(SimulatedOpenAi(fault), SimulatedOpenAi(), first_attempt_share=0.5) as stage:
        started_s = time.monotonic()
        advice = await stage.advise(request(budget_s=1.2))
        elapsed_s = time.monotonic() - started_s
    assert (advice.advisor, advice.route) == ("xai", "llm")
    assert elapsed_s < 1.2


@pytest.mark.parametrize("fault", [Fault.STALL, Fault.STALL_MID_BODY, Fault.TRICKLE])
async def test_with_both_stalling_the_rules_answer_within_the_deadline(fault: Fault) -> None:
    async with two(SimulatedOpenAi(fault), SimulatedOpenAi(fault)) as stage:
        started_s = time.monotonic()
        advice = await stage.advise(request(budget_s=0.5))
        elapsed_s = time.monotonic() - started_s
    assert (advice.status, advice.route, advice.error) == ("sugerido", "regras_sem_llm", "AdvisorTimeout")
    assert elapsed_s < 0.8


async def test_a_dead_provider_gets_three_requests_and_the_rest_do_not_wait_for_it() -> None:
    first = SimulatedOpenAi(fault=Fault.SERVER_ERROR, fault_every=1)
    breaker = BreakerSettings(failures_in_a_row=3, probe_every_s=60.0)
    async with two(first, SimulatedOpenAi(), breaker=breaker) as stage:
        advices = [await stage.advise(request()) for _ in range(8)]
        state = (await stage.health())["provedores"]["openai"]
    assert {advice.advisor for advice in advices} == {"xai"}
    assert len(first.requests) == 3
    assert (state["estado"], state["motivo"], state["erros"]) == ("open", "unavailable", {"unavailable": 3})


async def test_both_dead_the_rules_answer_every_utterance_and_say_why() -> None:
    dead = {"fault": Fault.SERVER_ERROR, "fault_every": 1}
    first, second = SimulatedOpenAi(**dead), SimulatedOpenAi(**dead)
    async with two(first, second, breaker=BreakerSettings(probe_every_s=60.0)) as stage:
        advices = [await stage.advise(request()) for _ in range(12)]
        health = await stage.health()
    assert {(a.status, a.route, a.error) for a in advices} == {("sugerido", "regras_sem_llm", "AdvisorUnavailable")}
    assert len(first.requests) == len(second.requests) == 3
    assert (health["degraded"], health["last_error"]) == (True, "AdvisorUnavailable")


async def test_a_server_of_ones_own_without_a_key_is_asked_too() -> None:
    async with SimulatedOpenAi(api_key="none") as server:
        own = CompatibleSettings(
            base_url=server.base_url, model_entities="qwen3-8b", model_category="qwen3-8b", max_output_tokens=None
        )
        stage = Recommender(RecommenderSettings(policy="llm", compatible=own), lexicon=lexicon())
        advice = await stage.advise(request())
        await stage.close()
    assert (advice.status, advice.advisor, advice.model, advice.cost_usd) == ("sugerido", "compatible", "qwen3-8b", 0.0)
