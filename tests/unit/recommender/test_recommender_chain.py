"""Several language models: the next answers where one fails, one that is away is left alone, and time is shared."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from recommender_fakes import FakeAdvisor, FakeClock, FakeMetrics

from cestas.model import Entities
from deployments.recommender.chain import AdvisorChain
from deployments.recommender.port import (
    AdviceRequest,
    AdvisorDeclined,
    AdvisorError,
    AdvisorGarbled,
    AdvisorRefused,
    AdvisorRejected,
    AdvisorThrottled,
    AdvisorTimeout,
    AdvisorUnavailable,
    Understanding,
)
from deployments.recommender.settings import FailoverSettings
from deployments.resilience.settings import BreakerSettings, RetrySettings

ANSWER = Understanding(Entities(symptoms=("azia",)), "GASTROINTESTINAL", None, 0.9, "llm", "m", 100, 10, 0.01)
REQUEST = AdviceRequest("u1", "estou com azia", 2.0)


@dataclass
class Slow(FakeAdvisor):
    """Takes `call_s` of the clock, or its whole budget when that is less, and then does not answer."""

    clock: FakeClock
    call_s: float
    name: str = "openai"
    requests: list[AdviceRequest] = field(default_factory=list)

    async def understand(self, request: AdviceRequest) -> Understanding:
        self.requests.append(request)
        self.clock.now_s += min(self.call_s, request.budget_s)
        if self.call_s > request.budget_s:
            raise AdvisorTimeout("no answer within the budget")
        return ANSWER


def chain(
    *advisors: FakeAdvisor, clock: FakeClock | None = None, metrics: FakeMetrics | None = None, **kind: object
) -> AdvisorChain:
    clock = clock or FakeClock()
    return AdvisorChain(advisors, FailoverSettings.model_validate(kind), metrics, clock, clock)


@pytest.mark.parametrize(
    "failure",
    [
        AdvisorUnavailable("status 500"),
        AdvisorThrottled("status 429"),
        AdvisorTimeout("late"),
        AdvisorRefused("status 401"),
        AdvisorRejected("status 404"),
        AdvisorGarbled("json_invalid"),
    ],
    ids=lambda failure: type(failure).__name__,
)
async def test_where_the_first_fails_the_second_answers_and_both_are_paid(failure: AdvisorError) -> None:
    failing, good = FakeAdvisor(failure.spent(50, 5, 0.002)), FakeAdvisor(ANSWER, "xai")
    answer = await chain(failing, good).understand(REQUEST)
    assert (answer.provider, answer.calls, answer.macro) == ("xai", 2, "GASTROINTESTINAL")
    assert (answer.tokens_in, answer.tokens_out, answer.cost_usd) == (150, 15, pytest.approx(0.012))


async def test_a_model_that_declines_is_not_passed_on_to_another_nor_blamed() -> None:
    declining, other = FakeAdvisor(AdvisorDeclined("the model refused")), FakeAdvisor(ANSWER, "xai")
    both = chain(declining, other)
    for _ in range(5):
        with pytest.raises(AdvisorDeclined):
            await both.understand(REQUEST)
    assert other.requests == []
    assert both.health()["provedores"]["openai"]["estado"] == "closed"


async def test_a_slow_provider_leaves_time_for_the_next() -> None:
    clock = FakeClock()
    slow, good = Slow(clock, call_s=60.0), FakeAdvisor(ANSWER, "xai")
    answer = await chain(slow, good, clock=clock, first_attempt_share=0.6).understand(REQUEST)
    assert answer.provider == "xai"
    assert slow.requests[0].budget_s == pytest.approx(1.2)
    assert good.requests[0].budget_s == pytest.approx(0.8)


async def test_the_last_provider_may_take_all_the_time_there_is() -> None:
    only = FakeAdvisor(ANSWER)
    await chain(only).understand(REQUEST)
    assert only.requests[0].budget_s == pytest.approx(2.0)


async def test_a_dead_provider_costs_three_requests_and_is_then_left_alone() -> None:
    dead, good = FakeAdvisor(AdvisorUnavailable("down")), FakeAdvisor(ANSWER, "xai")
    metrics = FakeMetrics()
    both = chain(dead, good, metrics=metrics, breaker=BreakerSettings(failures_in_a_row=3))
    answers = [await both.understand(REQUEST) for _ in range(10)]
    assert {answer.provider for answer in answers} == {"xai"}
    assert len(dead.requests) == 3
    assert both.health()["provedores"]["openai"]["estado"] == "open"
    openings = [labels for name, _, labels in metrics.counts if name == "advisor_breaker_openings_total"]
    assert openings == [{"advisor": "openai", "kind": "unavailable"}]


async def test_its_return_is_noticed_by_a_probe() -> None:
    clock = FakeClock()
    back, good = FakeAdvisor(AdvisorUnavailable("down")), FakeAdvisor(ANSWER, "xai")
    both = chain(back, good, clock=clock, breaker=BreakerSettings(failures_in_a_row=1, probe_every_s=3.0))
    await both.understand(REQUEST)
    back.outcome = ANSWER
    assert (await both.understand(REQUEST)).provider == "xai"
    clock.now_s += 3.0
    assert (await both.understand(REQUEST)).provider == "openai"


async def test_with_every_provider_left_alone_the_rules_need_not_wait() -> None:
    dead = FakeAdvisor(AdvisorUnavailable("down"))
    only = chain(dead, breaker=BreakerSettings(failures_in_a_row=1))
    with pytest.raises(AdvisorUnavailable):
        await only.understand(REQUEST)
    with pytest.raises(AdvisorUnavailable) as caught:
        await only.understand(REQUEST)
    assert caught.value.calls == 0
    assert len(dead.requests) == 1


async def test_a_provider_is_left_alone_for_as_long_as_it_asks() -> None:
    clock = FakeClock()
    throttled = AdvisorThrottled("status 429")
    throttled.retry_after_s = 20.0
    busy, good = FakeAdvisor(throttled), FakeAdvisor(ANSWER, "xai")
    both = chain(busy, good, clock=clock)
    await both.understand(REQUEST)
    clock.now_s += 19.0
    await both.understand(REQUEST)
    assert len(busy.requests) == 1
    clock.now_s += 1.1
    await both.understand(REQUEST)
    assert len(busy.requests) == 2


async def test_a_refused_key_is_not_tried_again_soon() -> None:
    clock = FakeClock()
    refused, good = FakeAdvisor(AdvisorRefused("status 401")), FakeAdvisor(ANSWER, "xai")
    both = chain(refused, good, clock=clock, breaker=BreakerSettings(refused_open_s=300.0))
    await both.understand(REQUEST)
    clock.now_s += 200.0
    await both.understand(REQUEST)
    assert len(refused.requests) == 1


async def test_a_brown_out_does_not_double_the_requests() -> None:
    clock = FakeClock()
    failing, other = FakeAdvisor(AdvisorUnavailable("down")), FakeAdvisor(AdvisorUnavailable("down"), "xai")
    both = chain(
        failing,
        other,
        clock=clock,
        breaker=BreakerSettings(failures_in_a_row=100, window_calls_min=100),
        retries=RetrySettings(share=0.2, burst=2),
    )
    for _ in range(50):
        with pytest.raises(AdvisorUnavailable):
            await both.understand(REQUEST)
    assert len(failing.requests) == 50
    assert len(other.requests) <= 0.2 * 50 + 2


async def test_without_time_nobody_is_asked_and_nobody_is_blamed() -> None:
    unasked = FakeAdvisor(ANSWER)
    only = chain(unasked, breaker=BreakerSettings(failures_in_a_row=1))
    with pytest.raises(AdvisorTimeout):
        await only.understand(AdviceRequest("u1", "oi", -0.01))
    assert unasked.requests == []
    assert only.health()["provedores"]["openai"]["estado"] == "closed"


async def test_a_provider_that_had_no_time_is_not_blamed() -> None:
    clock = FakeClock()
    slow = Slow(clock, call_s=60.0)
    only = chain(slow, clock=clock, counted_timeout_ms=500, breaker=BreakerSettings(failures_in_a_row=1))
    with pytest.raises(AdvisorTimeout):
        await only.understand(AdviceRequest("u1", "oi", 0.3))
    assert only.health()["provedores"]["openai"]["estado"] == "closed"
    with pytest.raises(AdvisorTimeout):
        await only.understand(REQUEST)
    assert only.health()["provedores"]["openai"]["estado"] == "open"


async def test_cancelling_never_trips_a_breaker() -> None:
    class Hanging(FakeAdvisor):
        async def understand(self, request: AdviceRequest) -> Understanding:
            await asyncio.Event().wait()
            raise AssertionError

    only = chain(Hanging(ANSWER), breaker=BreakerSettings(failures_in_a_row=1))
    for _ in range(5):
        asking = asyncio.create_task(only.understand(REQUEST))
        await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    assert only.health()["provedores"]["openai"]["estado"] == "closed"


async def test_one_replica_learns_of_an_outage_from_another() -> None:
    clock = FakeClock()
    finds = chain(
        FakeAdvisor(AdvisorUnavailable("down")),
        FakeAdvisor(ANSWER, "xai"),
        clock=clock,
        breaker=BreakerSettings(failures_in_a_row=1),
    )
    await finds.understand(REQUEST)
    unasked, good = FakeAdvisor(ANSWER), FakeAdvisor(ANSWER, "xai")
    learns = chain(unasked, good, clock=clock)
    learns.learn(finds.states)
    assert (await learns.understand(REQUEST)).provider == "xai"
    assert unasked.requests == []


async def test_health_tells_state_latency_errors_and_cost_of_each_provider() -> None:
    clock = FakeClock()
    both = chain(Slow(clock, call_s=0.25), FakeAdvisor(ANSWER, "xai"), clock=clock)
    await both.understand(REQUEST)
    told = both.health()["provedores"]
    assert list(told) == ["openai", "xai"]
    assert told["openai"] == {
        "estado": "closed",
        "motivo": "",
        "erros": {},
        "custo_usd": 0.01,
        "p50_ms": 250.0,
        "p95_ms": 250.0,
    }
    assert told["xai"]["p50_ms"] is None


async def test_closing_closes_every_provider() -> None:
    first, second = FakeAdvisor(ANSWER), FakeAdvisor(ANSWER, "xai")
    await chain(first, second).close()
    assert (first.closed, second.closed) == (True, True)
