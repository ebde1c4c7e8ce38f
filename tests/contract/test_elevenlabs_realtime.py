"""ElevenLabs' realtime transcription through its real SDK, against a simulated WebSocket server on loopback."""

import asyncio
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from bench.simulated.elevenlabs_realtime import RealtimeFault, SimulatedElevenLabsRealtime, Step
from bench.simulated.faults import Latency
from bench.simulated.server import Fault
from deployments.speech_to_text.adapter_settings import RealtimeSettings
from deployments.speech_to_text.elevenlabs_realtime import ElevenLabsRealtime, ElevenLabsSession
from deployments.speech_to_text.port import SttError, SttRefused, SttThrottled, SttTimeout, SttUnavailable

KEY = "xi-simulated"
SECOND = bytes(range(256)) * 125
FIRST = "estou com dor de cabeça"
SECOND_TEXT = "tem dipirona em gotas"


class Counted:
    """Metrics that remember what was counted."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str], float] = {}

    def count(self, name: str, value: float = 1.0, **labels: str) -> None:
        key = (name, *labels.values())
        self.counts[key] = self.counts.get(key, 0) + value  # type: ignore[index, arg-type]

    def observe_ms(self, name: str, value_ms: float, **labels: str) -> None:
        raise AssertionError("realtime observes nothing")

    def gauge(self, name: str, value: float, **labels: str) -> None:
        raise AssertionError("realtime has no gauges")


def settings(base_url: str, **changes: Any) -> RealtimeSettings:
    return RealtimeSettings(api_key=SecretStr(KEY), base_url=base_url, **changes)


@asynccontextmanager
async def speaking(
    *script: Step,
    metrics: Counted | None = None,
    on_partial: Any = None,
    latency: Latency | None = None,
    **changes: Any,
) -> AsyncIterator[tuple[SimulatedElevenLabsRealtime, ElevenLabsSession]]:
    """A server, and one session with it."""
    async with SimulatedElevenLabsRealtime(*script, latency=latency, texts=(SECOND_TEXT,)) as server:
        provider = ElevenLabsRealtime(settings(server.base_url, **changes), metrics)
        try:
            yield server, await provider.open(("dipirona",), 3.0, on_partial)
        finally:
            await provider.close()


async def test_audio_is_fed_while_it_is_spoken_and_the_text_comes_at_the_commit() -> None:
    async with speaking(FIRST, SECOND_TEXT) as (server, session):
        for _ in range(4):
            await session.feed(SECOND[:8000])
        first = await session.commit(3.0)
        await session.feed(SECOND)
        second = await session.commit(3.0)
        (query,) = server.queries
    assert (first.text, second.text) == (FIRST, SECOND_TEXT)
    assert (first.model, first.words) == ("scribe_v2_realtime", ())
    assert list(server.chunks_s) == [0.25] * 4 + [1.0]
    assert query == {
        "model_id": ["scribe_v2_realtime"],
        "audio_format": ["pcm_16000"],
        "commit_strategy": ["manual"],
        "language_code": ["por"],
        "include_timestamps": ["false"],
        "keyterms": ["dipirona"],
    }


async def test_each_commit_costs_what_was_fed_for_it_and_the_session_knows_the_sum() -> None:
    async with speaking(FIRST, cost_usd_per_hour=0.36, keyterms_cost_usd_per_hour=0.0) as (server, session):
        await session.feed(SECOND * 3)
        heard = await session.commit(3.0)
        await session.feed(SECOND)
        assert session.spent_usd == pytest.approx(4 * 0.36 / 3600)
        await until(lambda: sum(entry.audio_s for entry in server.ledger.entries) == 4.0)
        await session.close()
        await until(lambda: server.ledger.outcomes() == {"answered": 1, "abandoned": 1})
    assert heard.cost_usd == pytest.approx(3 * 0.36 / 3600)


async def test_partials_come_while_somebody_speaks_each_once_and_none_of_the_utterance_before() -> None:
    told: list[str] = []
    counted = Counted()
    script = (FIRST, RealtimeFault.STALE_PARTIALS)
    async with speaking(*script, metrics=counted, on_partial=told.append) as (_, session):
        await session.feed(SECOND * 2)
        await until(lambda: session.partial == "estou com dor de")
        await session.commit(3.0)
        assert session.partial == ""
        first = list(told)
        await session.feed(SECOND)
        await until(lambda: len(told) == 6)
        await session.commit(3.0)
    assert first == ["estou", "estou com", "estou com dor", "estou com dor de"]
    assert len(set(told)) == len(told)
    assert FIRST not in told
    assert counted.counts[("stt_realtime_dropped", "partial")] >= 4  # type: ignore[index]


async def test_a_doubled_final_is_dropped_and_not_taken_for_the_next_utterance() -> None:
    counted = Counted()
    async with speaking(RealtimeFault.DOUBLED_FINAL, FIRST, metrics=counted) as (_, session):
        await session.feed(SECOND)
        first = await session.commit(3.0)
        await session.feed(SECOND)
        second = await session.commit(3.0)
    assert (first.text, second.text) == (SECOND_TEXT, FIRST)
    assert counted.counts[("stt_realtime_dropped", "final")] == 1  # type: ignore[index]


async def test_a_double_that_comes_after_the_next_commit_gives_way_to_that_ones_own_final() -> None:
    async with speaking(RealtimeFault.LATE_DOUBLE, FIRST, latency=Latency(60)) as (_, session):
        await session.feed(SECOND)
        await session.commit(3.0)
        await session.feed(SECOND)
        second = await session.commit(3.0)
    assert second.text == FIRST


async def test_somebody_who_says_the_same_twice_is_heard_twice() -> None:
    async with speaking("sim", "sim", doubled_final_wait_s=0.1) as (_, session):
        texts = []
        for _ in range(2):
            await session.feed(SECOND)
            texts.append((await session.commit(3.0)).text)
    assert texts == ["sim", "sim"]


@pytest.mark.parametrize(
    ("fault", "kind", "of_key"),
    [
        (RealtimeFault.AUTH_ERROR, SttRefused, True),
        (RealtimeFault.QUOTA, SttRefused, True),
        (RealtimeFault.INVALID, SttRefused, False),
        (RealtimeFault.RATE_LIMITED, SttThrottled, False),
        (RealtimeFault.SESSION_LIMIT, SttUnavailable, False),
        (RealtimeFault.FINAL_WITHOUT_TEXT, SttUnavailable, False),
    ],
)
async def test_the_vendors_error_messages_are_typed_and_their_text_is_not_repeated(
    fault: RealtimeFault, kind: type[SttError], of_key: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    async with speaking(fault) as (_, session):
        await session.feed(SECOND)
        with pytest.raises(SttError) as raised:
            await session.commit(3.0)
        assert not session.alive
    assert type(raised.value) is kind
    assert getattr(raised.value, "of_key", False) is of_key
    assert FIRST not in "".join(traceback.format_exception(raised.value)) + "".join(capsys.readouterr())


async def test_a_socket_that_dies_while_somebody_speaks_is_a_typed_error_and_batch_can_take_over() -> None:
    async with speaking(RealtimeFault.CLOSE_MID_UTTERANCE) as (_, session):
        await session.feed(SECOND)
        await until(lambda: not session.alive)
        with pytest.raises(SttUnavailable):
            await session.feed(SECOND)
        with pytest.raises(SttUnavailable):
            await session.commit(3.0)


async def test_a_silent_stall_ends_at_the_deadline_and_the_session_is_not_used_again() -> None:
    async with speaking(Fault.STALL) as (_, session):
        await session.feed(SECOND)
        started = time.monotonic()
        with pytest.raises(SttTimeout):
            await session.commit(0.3)
        assert 0.29 <= time.monotonic() - started < 0.45
        with pytest.raises(SttTimeout):
            await session.feed(SECOND)


async def test_a_cancelled_commit_ends_the_session() -> None:
    async with speaking(Fault.STALL) as (_, session):
        await session.feed(SECOND)
        committing = asyncio.create_task(session.commit(10.0))
        await asyncio.sleep(0.05)
        committing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await committing
        assert not session.alive


async def test_too_little_audio_is_refused_without_asking_and_the_session_goes_on() -> None:
    async with speaking(FIRST) as (_, session):
        await session.feed(SECOND[:3200])
        with pytest.raises(SttRefused) as raised:
            await session.commit(3.0)
        await session.feed(SECOND)
        assert (await session.commit(3.0)).text == FIRST
    assert not raised.value.of_key


async def test_a_session_without_a_key_is_refused_with_the_name_of_the_setting() -> None:
    provider = ElevenLabsRealtime(RealtimeSettings())
    with pytest.raises(SttRefused, match="ELEVENLABS_API_KEY") as raised:
        await provider.open((), 1.0)
    await provider.close()
    assert raised.value.of_key


async def test_a_session_that_is_refused_after_the_handshake_is_refused_at_its_opening() -> None:
    async with SimulatedElevenLabsRealtime(RealtimeFault.REFUSED_SESSION, FIRST) as server:
        provider = ElevenLabsRealtime(settings(server.base_url))
        with pytest.raises(SttRefused) as raised:
            await provider.open((), 3.0)
        session = await provider.open((), 3.0)
        await session.feed(SECOND)
        assert (await session.commit(3.0)).text == FIRST
        assert server.connections == 1
        await provider.close()
    assert raised.value.of_key


async def test_keyterms_that_the_vendor_would_refuse_are_left_out() -> None:
    many = ("soro fisiológico nasal infantil", *(f"termo {number}" for number in range(60)))
    async with SimulatedElevenLabsRealtime() as server:
        provider = ElevenLabsRealtime(settings(server.base_url))
        await provider.open(many, 3.0)
        await provider.close()
        (query,) = server.queries
    assert query["keyterms"] == list(many[1:51])


async def test_zero_retention_is_asked_for_when_it_is_set() -> None:
    async with speaking(zero_retention=True) as (server, _):
        assert server.queries[0]["enable_logging"] == ["false"]


async def test_closing_the_provider_hangs_up_every_session() -> None:
    async with SimulatedElevenLabsRealtime() as server:
        provider = ElevenLabsRealtime(settings(server.base_url))
        sessions = [await provider.open((), 3.0) for _ in range(3)]
        assert server.connections == 3
        await provider.close()
        assert not any(session.alive for session in sessions)
        with pytest.raises(SttUnavailable):
            await sessions[0].feed(SECOND)


async def until(happened: Any, seconds: float = 3.0) -> None:
    """Wait until `happened()`: what was sent arrives a little later."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)
