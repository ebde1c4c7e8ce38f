"""Several providers behind one stage, in virtual time: what a customer notices when one of them fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from stt_fakes import SECOND, CountedMetrics

from bench.providers.scripted import Scripted, Step
from bench.providers.virtual import VirtualLoop, run
from deployments.resilience.settings import BreakerSettings, HedgeSettings, RetrySettings
from deployments.speech_to_text.port import (
    SttRefused,
    SttThrottled,
    SttTimeout,
    SttUnavailable,
    Transcription,
    TranscriptionRequest,
)
from deployments.speech_to_text.providers import Plan
from deployments.speech_to_text.routing import RoutingSettings
from deployments.speech_to_text.settings import SpeechToTextSettings
from deployments.speech_to_text.stage import SpeechToText

DOWN = Step(SttUnavailable("503"), 0.02)
GOOD = Step("tem soro?", 0.3)
HANGS = Step(None)


def dead(name: str = "a") -> Scripted:
    return Scripted(name, otherwise=lambda: DOWN)


def well(name: str = "b", after_s: float = 0.3, usd_per_hour: float = 0.0) -> Scripted:
    return Scripted(name, otherwise=lambda: Step(f"ouvido por {name}", after_s), usd_per_hour=usd_per_hour)


def alone(provider: Scripted, **changes: Any) -> list[Transcription]:
    return hear([provider], 1, **changes)


def request(number: int = 0, **changes: Any) -> TranscriptionRequest:
    return TranscriptionRequest(**{"utterance_id": f"u-{number}", "pcm": SECOND, "budget_s": 3.0, **changes})


def in_virtual_time(test: Callable[[VirtualLoop], Awaitable[None]]) -> None:
    loop = VirtualLoop()

    async def main() -> None:
        await asyncio.wait_for(test(loop), 36_000)

    run(main(), loop)


def stage_of(
    loop: VirtualLoop, providers: list[Scripted], metrics: CountedMetrics | None = None, **changes: Any
) -> Any:
    plans = [Plan(provider, f"modelo-{provider.name}", max_retries=1) for provider in providers]
    return SpeechToText(SpeechToTextSettings(**changes), metrics, plans, loop.unix)


def hear(providers: list[Scripted], count: int, every_s: float = 1.0, **changes: Any) -> list[Transcription]:
    """`count` utterances, each `every_s` after the one before has been answered."""
    answers: list[Transcription] = []

    async def talk(loop: VirtualLoop) -> None:
        stage = stage_of(loop, providers, **changes)
        for number in range(count):
            answers.append(await stage.transcribe(request(number)))
            await asyncio.sleep(every_s)
        await stage.close()

    in_virtual_time(talk)
    assert not any(provider.open for provider in providers)
    return answers


def test_when_the_first_provider_fails_the_second_answers_the_same_utterance() -> None:
    (answer,) = hear([dead(), well()], 1)
    assert (answer.status, answer.text, answer.provider, answer.attempts) == ("ok", "ouvido por b", "b", 2)
    assert answer.elapsed_ms < 400


def test_a_dead_provider_costs_three_requests_and_one_probe_every_three_seconds() -> None:
    first = dead()
    answers = hear([first, well()], 30, every_s=1.0)
    assert {answer.status for answer in answers} == {"ok"}
    before_opening = [at for at in first.asked_at_s if at < 4.0]
    assert len(before_opening) == 3
    gaps = [later - sooner for sooner, later in zip(first.asked_at_s[2:], first.asked_at_s[3:], strict=False)]
    assert min(gaps) >= 3.0
    assert max(gaps) <= 5.0


def test_nobody_waits_for_a_probe() -> None:
    first = Scripted("a", DOWN, DOWN, DOWN, otherwise=lambda: HANGS)
    answers = hear([first, well()], 12, every_s=1.0)
    assert len(first.asked_at_s) > 3
    assert all(answer.elapsed_ms < 400 for answer in answers)


def test_a_provider_that_is_back_is_noticed_within_one_probe() -> None:
    first = Scripted("a", *[DOWN] * 3, otherwise=lambda: Step("voltei", 0.1))
    answers = hear([first, well()], 8, every_s=1.0)
    assert [answer.provider for answer in answers[3:]].index("a") <= 3
    assert answers[-1].provider == "a"


def test_a_stalling_first_provider_leaves_the_second_time_enough() -> None:
    (answer,) = hear([Scripted("a", HANGS), well()], 1)
    assert (answer.status, answer.provider, answer.hedged) == ("ok", "b", True)
    assert answer.elapsed_ms == pytest.approx(0.6 * 2950 + 300, abs=5)


def test_a_provider_that_stalls_for_everybody_is_soon_left_alone() -> None:
    first = Scripted("a", otherwise=lambda: HANGS)
    answers = hear([first, well()], 12, every_s=0.5)
    assert {answer.status for answer in answers} == {"ok"}
    assert sum(answer.elapsed_ms > 1_000 for answer in answers) <= 4


def test_a_slow_answer_is_overtaken_and_its_cost_counted() -> None:
    usual = [Step("ouvido por a", 0.8)] * 40
    first = Scripted("a", *usual, Step("tarde demais", 2.5), usd_per_hour=0.36)
    second = well("b", 0.2, usd_per_hour=0.72)
    answers = hear([first, second], 41, hedge=HedgeSettings(samples_min=10))
    last = answers[-1]
    assert (last.text, last.hedged, last.attempts) == ("ouvido por b", True, 2)
    assert last.elapsed_ms == pytest.approx(1_240, abs=5)  # 1.3 times the usual 0.8 s, then 0.2 s
    assert last.cost_usd == pytest.approx((0.36 + 0.72) / 3600)
    assert first.cancelled == 1
    assert sum(answer.cost_usd for answer in answers) == pytest.approx(first.ledger_usd + second.ledger_usd)


def test_hedges_stay_within_their_share_of_the_traffic_even_when_everything_is_slow() -> None:
    number = iter(range(1000))
    first = Scripted("a", otherwise=lambda: Step("ouvido por a", 0.5 if next(number) < 50 else 1.2))
    second = well("b", 0.1)
    hear([first, second], 400, every_s=0.1, hedge=HedgeSettings(samples_min=10, share=0.05, burst=2))
    assert 0 < len(second.asked_at_s) <= 0.05 * 400 + 2


def test_a_hedge_that_loses_changes_nothing_for_either_provider() -> None:
    first = Scripted("a", *[Step("a", 0.8)] * 40, otherwise=lambda: Step("a", 1.2))
    second = well("b", 2.0)
    answers = hear([first, second], 60, hedge=HedgeSettings(samples_min=10))
    assert {answer.text for answer in answers} == {"a"}
    assert second.cancelled == len(second.asked_at_s) > 0
    assert all(state.open_until_unix_s == 0 for state in answers[-1].states)


def test_where_all_answers_take_alike_nobody_is_asked_twice() -> None:
    second = well("b", 0.1)
    hear([Scripted("a", otherwise=lambda: Step("a", 0.8)), second], 100, hedge=HedgeSettings(samples_min=10))
    assert second.asked_at_s == []


def test_too_many_requests_send_the_next_utterances_elsewhere_for_as_long_as_asked() -> None:
    throttled = SttThrottled("429")
    throttled.retry_after_s = 5.0
    first = Scripted("a", Step(throttled), otherwise=lambda: GOOD)
    answers = hear([first, well()], 9, every_s=1.0)
    assert [answer.provider for answer in answers] == ["b"] * 4 + ["a"] * 5


def test_a_revoked_key_is_tried_once() -> None:
    refused = SttRefused("401")
    refused.of_key = True
    first = Scripted("a", otherwise=lambda: Step(refused))
    answers = hear([first, well()], 40, every_s=1.0)
    assert {answer.provider for answer in answers} == {"b"}
    assert len(first.asked_at_s) == 1


def test_one_rejected_utterance_does_not_condemn_the_provider() -> None:
    answers = hear([Scripted("a", Step(SttRefused("400")), otherwise=lambda: GOOD), well()], 3)
    assert [answer.provider for answer in answers] == ["b", "a", "a"]


def test_with_every_provider_dead_nothing_is_made_up_and_each_utterance_says_why() -> None:
    a, b = dead("a"), dead("b")
    answers = hear([a, b], 20, every_s=0.2)
    assert {answer.status for answer in answers} == {"indisponivel"}
    assert {answer.error for answer in answers} == {"SttUnavailable", "SttResting"}
    assert all(answer.text == "" and answer.elapsed_ms <= 3_000 for answer in answers)
    assert len(a.asked_at_s) < 20


def test_an_utterance_waits_for_a_lone_provider_that_may_be_back_in_time() -> None:
    first = Scripted("a", *[DOWN] * 4, otherwise=lambda: GOOD)
    answers = hear([first], 4, every_s=0.5, breaker=BreakerSettings(probe_every_s=2.0))
    assert [answer.status for answer in answers] == ["indisponivel", "indisponivel", "ok", "ok"]


def test_the_callers_leaving_is_no_failure_and_what_was_sent_is_billed() -> None:
    first, metrics = Scripted("a", otherwise=lambda: Step("a", 1.0), usd_per_hour=3.6), CountedMetrics()

    async def leave(loop: VirtualLoop) -> None:
        stage = stage_of(loop, [first, well()], metrics)
        for number in range(10):
            asking = asyncio.ensure_future(stage.transcribe(request(number)))
            await asyncio.sleep(0.2)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
        await asyncio.sleep(0)
        health = await stage.health()
        assert health["providers"]["a"]["state"] == "closed"
        assert stage._chain.running_on == 0
        await stage.close()

    in_virtual_time(leave)
    assert metrics.counts["stt_cost_usd", "a"] == pytest.approx(first.ledger_usd) == pytest.approx(0.01)
    assert first.closed


def test_an_outage_that_one_replica_found_costs_the_next_one_nothing() -> None:
    first, other = dead("a"), dead("a")

    async def talk(loop: VirtualLoop) -> None:
        finder, told = stage_of(loop, [first, well()]), stage_of(loop, [other, well()])
        for number in range(3):
            found = await finder.transcribe(request(number))
        answer = await told.transcribe(request(9, known=found.states))
        assert (answer.provider, answer.attempts) == ("b", 1)
        assert other.asked_at_s == []

    in_virtual_time(talk)


def test_retries_stay_within_their_budget_in_a_brown_out() -> None:
    number = iter(range(10_000))
    first = Scripted("a", otherwise=lambda: Step(SttUnavailable("503")) if next(number) % 2 == 0 else GOOD)
    generous = BreakerSettings(failures_in_a_row=100, window_calls_min=100, failure_share=1.0)
    hear([first], 200, breaker=generous, retry=RetrySettings(share=0.1, burst=1))
    assert 200 < len(first.asked_at_s) <= 200 + 0.1 * 200 + 1


def test_a_timeout_that_had_no_fair_chance_does_not_count() -> None:
    first = Scripted("a", otherwise=lambda: HANGS)

    async def hurry(loop: VirtualLoop) -> None:
        stage = stage_of(loop, [first])
        for number in range(10):
            assert (await stage.transcribe(request(number, budget_s=0.3))).status == "prazo"
        assert (await stage.health())["providers"]["a"]["state"] == "closed"

    in_virtual_time(hurry)
    assert first.cancelled == 10


def test_health_says_of_each_provider_how_it_is_and_what_it_cost() -> None:
    async def look(loop: VirtualLoop) -> None:
        stage = stage_of(loop, [dead("a"), well("b", usd_per_hour=3.6)])
        for number in range(4):
            await stage.transcribe(request(number))
        health = await stage.health()
        assert health["degraded"]
        a, b = health["providers"]["a"], health["providers"]["b"]
        assert (a["state"], a["reason"], a["errors"], a["openings"]) == ("open", "unavailable", {"unavailable": 3}, 1)
        assert (b["state"], b["p50_ms"], b["answered"], b["cost_usd"]) == ("closed", 300, 4, 0.004)

    in_virtual_time(look)


def test_a_provider_left_alone_is_said_once_and_its_return_too(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", "balto"):
        hear([Scripted("a", *[DOWN] * 4, otherwise=lambda: GOOD), well()], 30, every_s=1.0)
    said = [record.getMessage() for record in caplog.records if record.getMessage().startswith("stt_provider")]
    assert said == ["stt_provider_left_alone", "stt_provider_back"]


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"pcm": SECOND * 4, "snr_db": 30.0}, "barato"),
        ({"pcm": SECOND * 4, "snr_db": 8.0}, "robusto"),
        ({"pcm": SECOND * 1, "snr_db": 30.0}, "robusto"),
        ({"pcm": SECOND * 4}, "robusto"),
        ({"pcm": SECOND * 4, "snr_db": 30.0, "client_id": "c-1"}, "robusto"),
    ],
)
def test_the_economical_provider_hears_what_is_long_and_clean(changes: dict[str, Any], asked: str) -> None:
    routing = RoutingSettings.model_construct(
        economical="barato", robust="robusto", economical_from_s=2.5, economical_from_snr_db=20.0,
        by_client={"c-1": ("robusto",)}, compare_with=None, comparison_share=0.0,
    )  # fmt: skip

    async def ask(loop: VirtualLoop) -> None:
        stage = stage_of(loop, [well("outro"), well("barato"), well("robusto")], routing=routing)
        assert (await stage.transcribe(request(**changes))).provider == asked

    in_virtual_time(ask)


def test_a_clients_audio_goes_to_no_provider_but_its_own_even_when_they_fail() -> None:
    other = well("b")
    routing = RoutingSettings.model_construct(
        **RoutingSettings().model_dump() | {"by_client": {"c-1": ("a",)}, "compare_with": "b", "comparison_share": 1.0}
    )

    async def ask(loop: VirtualLoop) -> None:
        stage = stage_of(loop, [Scripted("a", GOOD, DOWN, DOWN, DOWN), other], routing=routing)
        assert (await stage.transcribe(request(0, client_id="c-1"))).status == "ok"
        assert (await stage.transcribe(request(1, client_id="c-1"))).status == "indisponivel"
        await stage.close()

    in_virtual_time(ask)
    assert other.asked_at_s == []


def test_a_sample_is_compared_without_anybody_waiting_for_it() -> None:
    metrics = CountedMetrics()
    second = Scripted("b", otherwise=lambda: Step("tem soro, moça?", 5.0), usd_per_hour=3.6)
    routing = RoutingSettings.model_construct(
        **RoutingSettings().model_dump() | {"compare_with": "b", "comparison_share": 0.3}
    )

    async def talk(loop: VirtualLoop) -> None:
        stage = stage_of(loop, [Scripted("a", otherwise=lambda: GOOD), second], metrics, routing=routing)
        for number in range(200):
            answer = await stage.transcribe(request(number))
            assert (answer.text, answer.elapsed_ms) == ("tem soro?", pytest.approx(300))
            await asyncio.sleep(1)
        await asyncio.sleep(10)
        await stage.close()

    in_virtual_time(talk)
    compared = metrics.counts["stt_comparisons", "a", "b", "ok"]
    assert compared == len(second.asked_at_s)
    assert 40 <= compared <= 80
    assert metrics.counts["stt_compared_differences", "a", "b"] == compared  # one word more, each time
    assert metrics.counts["stt_cost_usd", "b"] == pytest.approx(second.ledger_usd)


def test_a_text_that_nobody_said_is_an_empty_utterance_with_its_reason() -> None:
    (answer,) = alone(Scripted("a", Step("Legendas pela comunidade Amara.org")))
    assert (answer.status, answer.text, answer.discarded, answer.error) == ("vazio", "", "inventado", "")


def test_a_late_timeout_of_the_adapter_is_left_to_the_next_provider() -> None:
    (answer,) = hear([Scripted("a", Step(SttTimeout("2.5 s"), 1.0)), well()], 1)
    assert (answer.status, answer.provider) == ("ok", "b")
