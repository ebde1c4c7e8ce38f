"""The queue before the local model: who is recognised with whom, and what the late and the many get."""

import asyncio
import threading
from collections.abc import Sequence

import pytest
from stt_fakes import CountedMetrics

from deployments.speech_to_text.adapter_settings import LocalSettings
from deployments.speech_to_text.local import Local
from deployments.speech_to_text.local_whisper import Recognised
from deployments.speech_to_text.port import SttThrottled, SttTimeout, SttUnavailable, Transcript

SECOND = bytes(32_000)


class ScriptedEngine:
    """Says how long each utterance was; with a gate, begins only once it is opened."""

    def __init__(self, gate: threading.Event | None = None, error: Exception | None = None) -> None:
        self.batches: list[tuple[list[int], tuple[str, ...]]] = []
        self.begun = threading.Event()
        self._gate = gate
        self._error = error

    def recognise(self, utterances: Sequence[bytes], keyterms: Sequence[str]) -> list[Recognised]:
        self.batches.append(([len(pcm) for pcm in utterances], tuple(keyterms)))
        self.begun.set()
        if self._gate is not None:
            assert self._gate.wait(5)
        if self._error is not None:
            raise self._error
        return [Recognised(f"{len(pcm)} bytes", 0.1, -0.2) for pcm in utterances]


def local(engine: ScriptedEngine, metrics: CountedMetrics | None = None, **changes: object) -> Local:
    return Local(LocalSettings.model_validate({"model": "/m", **changes}), engine, metrics)


async def ask(provider: Local, size: int, keyterms: tuple[str, ...] = (), budget_s: float = 5.0) -> Transcript:
    return await provider.transcribe(bytes(size), keyterms=keyterms, budget_s=budget_s)


async def begun(engine: ScriptedEngine) -> None:
    assert await asyncio.to_thread(engine.begun.wait, 5)


async def test_an_utterance_is_recognised_for_nothing_and_with_its_doubt() -> None:
    provider = local(ScriptedEngine(), keyterms=("dipirona",))
    heard = await ask(provider, 64)
    await provider.close()
    assert heard == Transcript("64 bytes", (), "/m", 0.0, 0.1)


async def test_those_that_wait_are_recognised_together_and_each_gets_its_own() -> None:
    gate, metrics = threading.Event(), CountedMetrics()
    engine = ScriptedEngine(gate)
    provider = local(engine, metrics, batch_size=3)
    asking = [asyncio.create_task(ask(provider, 2))]
    await begun(engine)
    asking += [asyncio.create_task(ask(provider, size)) for size in (4, 6, 8, 10)]
    await asyncio.sleep(0)
    gate.set()
    heard = await asyncio.gather(*asking)
    await provider.close()
    assert [answer.text for answer in heard] == ["2 bytes", "4 bytes", "6 bytes", "8 bytes", "10 bytes"]
    assert [sizes for sizes, _ in engine.batches] == [[2], [4, 6, 8], [10]]
    assert metrics.counts == {("stt_local_batches", "1"): 2, ("stt_local_batches", "3"): 1}


async def test_only_utterances_with_the_same_keyterms_share_a_batch() -> None:
    gate = threading.Event()
    engine = ScriptedEngine(gate)
    provider = local(engine, keyterms=("soro",))
    asking = [asyncio.create_task(ask(provider, 2))]
    await begun(engine)
    asking += [asyncio.create_task(ask(provider, size, terms)) for size, terms in ((4, ("a",)), (6, ()), (8, ("a",)))]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*asking)
    await provider.close()
    assert engine.batches[1:] == [([4, 8], ("a", "soro")), ([6], ("soro",))]


async def test_who_is_late_gets_a_timeout_and_does_not_wait_in_the_queue_any_longer() -> None:
    gate = threading.Event()
    engine = ScriptedEngine(gate)
    provider = local(engine)
    first = asyncio.create_task(ask(provider, 2))
    await begun(engine)
    with pytest.raises(SttTimeout):
        await ask(provider, 4, budget_s=0.01)
    gate.set()
    await first
    await provider.close()
    assert [sizes for sizes, _ in engine.batches] == [[2]]


async def test_one_more_than_may_wait_is_told_so() -> None:
    gate = threading.Event()
    engine = ScriptedEngine(gate)
    provider = local(engine, max_waiting=1)
    asking = [asyncio.create_task(ask(provider, 2))]
    await begun(engine)
    asking.append(asyncio.create_task(ask(provider, 4)))
    await asyncio.sleep(0)
    with pytest.raises(SttThrottled, match="1 utterances wait"):
        await ask(provider, 6)
    gate.set()
    await asyncio.gather(*asking)
    await provider.close()
    assert [sizes for sizes, _ in engine.batches] == [[2], [4]]


async def test_a_failure_of_the_model_is_unavailable_without_its_text_and_the_next_is_tried() -> None:
    engine = ScriptedEngine(error=RuntimeError("estou com febre"))
    provider = local(engine)
    for _ in range(2):
        with pytest.raises(SttUnavailable, match="RuntimeError") as raised:
            await ask(provider, 2)
        assert "febre" not in str(raised.value)
    await provider.close()
    assert len(engine.batches) == 2


async def test_closing_answers_those_that_wait_and_refuses_the_next() -> None:
    gate = threading.Event()
    engine = ScriptedEngine(gate)
    provider = local(engine)
    first = asyncio.create_task(ask(provider, 2))
    await begun(engine)
    second = asyncio.create_task(ask(provider, 4))
    await asyncio.sleep(0)
    closing = asyncio.create_task(provider.close())
    await asyncio.sleep(0)
    gate.set()
    await closing
    assert (await first).text == "2 bytes"
    with pytest.raises(SttUnavailable, match="closed"):
        await second
    with pytest.raises(SttUnavailable, match="closed"):
        await ask(provider, 6)
