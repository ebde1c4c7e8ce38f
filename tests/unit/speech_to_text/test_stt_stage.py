"""The speech-to-text stage: every utterance ends in one typed outcome, within its budget."""

import asyncio
import logging
import pickle
import time

import pytest
from stt_fakes import SECOND, CountedMetrics, ScriptedProvider

from deployments.resilience.settings import BreakerSettings
from deployments.speech_to_text.port import (
    SttRefused,
    SttThrottled,
    SttTimeout,
    SttUnavailable,
    Transcript,
    TranscriptionRequest,
    Word,
)
from deployments.speech_to_text.providers import Plan
from deployments.speech_to_text.settings import SpeechToTextSettings
from deployments.speech_to_text.stage import SpeechToText

SPOKEN = "estou com dor de cabeça"
WORDS = (Word("estou", 0.0, 0.3, 0.9), Word("com", 0.3, 0.5, None))


def spoken(text: str = SPOKEN) -> Transcript:
    return Transcript(text, WORDS, "modelo-1", 0.002)


def stage(provider: ScriptedProvider, max_retries: int = 1, metrics: CountedMetrics | None = None) -> SpeechToText:
    settings = SpeechToTextSettings(
        retry_pause_s=0.0, min_attempt_s=0.01, breaker=BreakerSettings(failures_in_a_row=20)
    )
    return SpeechToText(settings, metrics, Plan(provider, "modelo-1", max_retries))


def request(budget_s: float = 3.0, pcm: bytes = SECOND) -> TranscriptionRequest:
    return TranscriptionRequest("u-1", pcm, budget_s, ("dipirona",))


async def test_words_come_back_with_who_heard_them_and_what_they_cost() -> None:
    provider = ScriptedProvider(spoken())
    answer = await stage(provider).transcribe(request())
    assert (answer.status, answer.text, answer.words) == ("ok", SPOKEN, WORDS)
    assert (answer.provider, answer.model, answer.simulated, answer.cost_usd) == ("roteiro", "modelo-1", False, 0.002)
    assert (answer.attempts, answer.error) == (1, "")
    assert provider.keyterms == [("dipirona",)]


async def test_silence_is_an_outcome_of_its_own_and_no_failure() -> None:
    answer = await stage(ScriptedProvider(spoken("  "))).transcribe(request())
    assert (answer.status, answer.text, answer.words, answer.error) == ("vazio", "", (), "")


async def test_audio_too_short_to_hold_a_word_costs_no_request() -> None:
    provider = ScriptedProvider()
    answer = await stage(provider).transcribe(request(pcm=SECOND[:3_000]))
    assert (answer.status, answer.attempts, provider.budgets_s) == ("vazio", 0, [])


def throttled() -> SttThrottled:
    """Too many requests, for a moment."""
    error = SttThrottled("429")
    error.retry_after_s = 0.01
    return error


@pytest.mark.parametrize(
    ("error", "status", "attempts"),
    [
        (SttUnavailable("503"), "indisponivel", 2),
        (throttled(), "limite", 2),
        (SttRefused("401"), "recusado", 1),
        (SttTimeout("2.5 s"), "prazo", 1),
    ],
)
async def test_failures_end_in_their_own_status_without_words(error: Exception, status: str, attempts: int) -> None:
    answer = await stage(ScriptedProvider(error, error)).transcribe(request())
    assert (answer.status, answer.attempts, answer.error) == (status, attempts, type(error).__name__)
    assert (answer.text, answer.words, answer.cost_usd) == ("", (), 0.0)


async def test_a_provider_that_stumbles_once_is_asked_again() -> None:
    answer = await stage(ScriptedProvider(SttUnavailable("reset"), spoken())).transcribe(request())
    assert (answer.status, answer.text, answer.attempts) == ("ok", SPOKEN, 2)


async def test_no_more_attempts_than_the_settings_allow() -> None:
    provider = ScriptedProvider(*[SttUnavailable("down")] * 9)
    answer = await stage(provider, max_retries=3).transcribe(request())
    assert (answer.attempts, len(provider.budgets_s)) == (4, 4)


async def test_a_retry_that_the_provider_forbids_for_longer_than_the_budget_is_not_made() -> None:
    throttled = SttThrottled("429")
    throttled.retry_after_s = 30.0
    provider = ScriptedProvider(throttled, spoken())
    started = time.monotonic()
    answer = await stage(provider).transcribe(request(budget_s=3.0))
    assert (answer.status, answer.attempts) == ("limite", 1)
    assert time.monotonic() - started < 1.0


async def test_each_attempt_gets_only_what_is_left_of_the_budget() -> None:
    provider = ScriptedProvider(SttUnavailable("down"), spoken())
    await stage(provider).transcribe(request(budget_s=2.0))
    first, second = provider.budgets_s
    assert 2.0 >= first > second > 1.5


async def test_a_provider_that_never_answers_is_left_at_the_deadline() -> None:
    answer = await stage(ScriptedProvider("hang")).transcribe(request(budget_s=0.05))
    assert (answer.status, answer.error, answer.attempts) == ("prazo", "SttTimeout", 1)
    assert answer.elapsed_ms < 1_000


async def test_an_utterance_that_arrives_after_its_deadline_costs_no_request() -> None:
    provider = ScriptedProvider()
    answer = await stage(provider).transcribe(request(budget_s=-1.0))
    assert (answer.status, answer.attempts, provider.budgets_s) == ("prazo", 0, [])


async def test_an_error_nobody_foresaw_is_an_outcome_and_its_text_stays_out_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.DEBUG, "balto"):
        answer = await stage(ScriptedProvider(RuntimeError(SPOKEN))).transcribe(request())
    assert (answer.status, answer.error) == ("indisponivel", "RuntimeError")
    assert [record.getMessage() for record in caplog.records] == ["stt_broken", "stt_failed"]
    assert all(SPOKEN not in str(vars(record)) for record in caplog.records)


async def test_cancelling_the_caller_cancels_the_request() -> None:
    task = asyncio.create_task(stage(ScriptedProvider("hang")).transcribe(request()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_health_turns_degraded_on_failure_and_recovers_with_the_next_words() -> None:
    speech_to_text = stage(ScriptedProvider(SttRefused("401"), spoken()))
    await speech_to_text.transcribe(request())
    health = await speech_to_text.health()
    assert (health["degraded"], health["last_status"], health["failures_in_a_row"]) == (True, "recusado", 1)
    await speech_to_text.transcribe(request())
    health = await speech_to_text.health()
    assert (health["degraded"], health["requests"], health["failures"]) == (False, 2, 1)


async def test_outcomes_cost_and_audio_sent_are_counted() -> None:
    metrics = CountedMetrics()
    speech_to_text = stage(ScriptedProvider(SttUnavailable("down"), spoken()), metrics=metrics)
    await speech_to_text.transcribe(request())
    assert metrics.counts["stt_outcomes", "roteiro", "ok"] == 1
    assert metrics.counts["stt_audio_sent_s", "roteiro"] == 2.0  # one second, sent twice
    assert metrics.counts["stt_cost_usd", "roteiro"] == pytest.approx(0.002)
    assert metrics.observed == ["stt_attempt_ms", "stt_attempt_ms", "stt_ms"]


async def test_outcomes_cross_processes() -> None:
    answer = await stage(ScriptedProvider(throttled(), spoken())).transcribe(request())
    assert pickle.loads(pickle.dumps(answer)) == answer


async def test_closing_the_stage_closes_its_provider() -> None:
    provider = ScriptedProvider()
    await stage(provider).close()
    assert provider.closed


def test_errors_of_the_port_survive_a_process_boundary() -> None:
    throttled = SttThrottled("429")
    throttled.retry_after_s = 7.0
    copy = pickle.loads(pickle.dumps(throttled))
    assert (type(copy), copy.retry_after_s, copy.retryable, copy.status) == (SttThrottled, 7.0, True, "limite")


def test_connections_are_opened_before_the_first_utterance_and_once():
    class Cold(ScriptedProvider):
        warmed = 0

        async def warm(self):
            self.warmed += 1
            return True

    async def started():
        provider = Cold()
        stage = SpeechToText(SpeechToTextSettings(), plans=Plan(provider, "m", 0))
        for _ in range(3):
            stage.warm()
            for _ in range(4):
                await asyncio.sleep(0)
        await stage.close()
        return provider.warmed

    assert asyncio.run(started()) == 1
