"""What every adapter of speech recognition does alike, whatever its vendor does: one suite for all of them."""

import asyncio
import logging
import time
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from bench.simulated.faults import Latency
from bench.simulated.server import Fault
from deployments.speech_to_text.port import (
    Priced,
    SttError,
    SttRefused,
    SttStalled,
    SttThrottled,
    SttTimeout,
    SttUnavailable,
)
from tests.support.stt_rigs import RIGS, SECOND, SECRET, Adapter, Rig, Vendor

pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")  # the SDK's own

SPOKEN = "estou com dor de cabeça"
LATE_S = 0.15
"""How much later than its deadline an answer may be."""

FAULTS: dict[Fault, type[SttError]] = {
    Fault.SERVER_ERROR: SttUnavailable,
    Fault.OVERLOADED: SttUnavailable,
    Fault.THROTTLED: SttThrottled,
    Fault.RESET: SttUnavailable,
    Fault.GARBAGE: SttUnavailable,
    Fault.TRUNCATED_JSON: SttUnavailable,
    Fault.WRONG_CONTENT_TYPE: SttUnavailable,
    Fault.UNAUTHORIZED: SttRefused,
    Fault.FORBIDDEN: SttRefused,
    Fault.BAD_REQUEST: SttRefused,
    Fault.STALL_MID_BODY: SttStalled,
}
"""Every fault that is known at once, and what it is to the port."""

every_adapter = pytest.mark.parametrize("rig", RIGS, ids=lambda rig: rig.name)


@asynccontextmanager
async def connected(rig: Rig, *script: Any, key: str = SECRET, **changes: Any) -> AsyncIterator[tuple[Vendor, Adapter]]:
    """A vendor, and an adapter that has connected to it."""
    async with rig.vendor(*script, **changes) as vendor:
        adapter = rig.adapter(vendor.base_url, key)
        if not rig.streams:
            await adapter.warm()
        try:
            yield vendor, adapter
        finally:
            await adapter.close()


async def failure(adapter: Adapter, budget_s: float = 3.0) -> tuple[SttError, float]:
    """The error that one second of audio ends in, and after how many seconds."""
    started = time.monotonic()
    with pytest.raises(SttError) as raised:
        await adapter.transcribe(SECOND, keyterms=(), budget_s=budget_s)
    return raised.value, time.monotonic() - started


@every_adapter
async def test_a_good_answer_comes_with_its_words_and_its_price(rig: Rig) -> None:
    async with connected(rig, SPOKEN) as (vendor, adapter):
        heard = await adapter.transcribe(SECOND, keyterms=("soro",), budget_s=3.0)
        assert isinstance(adapter, Priced)
        assert heard.cost_usd > 0
        assert heard.cost_usd == pytest.approx(adapter.price_usd(SECOND, ("soro",)))
        (entry,) = vendor.ledger.of()
    assert heard.text == SPOKEN
    assert [word.text for word in heard.words] == ([] if rig.streams else SPOKEN.split())
    assert all(0 <= word.start_s < word.end_s <= 1.01 for word in heard.words)
    assert (entry.audio_s, entry.bytes, entry.outcome) == (1.0, len(SECOND), "answered")
    assert entry.keyterms >= 1


@every_adapter
async def test_nothing_said_is_an_empty_text(rig: Rig) -> None:
    async with connected(rig, "") as (_, adapter):
        heard = await adapter.transcribe(SECOND, keyterms=(), budget_s=3.0)
    assert (heard.text, heard.words) == ("", ())


@every_adapter
async def test_every_fault_is_a_typed_error_at_once_and_says_no_word_and_no_key(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    kinds: dict[Fault, type[SttError]] = {}
    faults = {fault: kind for fault, kind in FAULTS.items() if not (rig.streams and fault is Fault.STALL_MID_BODY)}
    with caplog.at_level(logging.INFO):
        async with connected(rig, *faults) as (_, adapter):
            for fault in faults:
                error, after_s = await failure(adapter)
                told = "".join(traceback.format_exception(error)) + caplog.text
                kinds[fault] = type(error)
                assert (fault, after_s < 1.5, error.__cause__) == (fault, True, None)
                assert SPOKEN not in told
                assert SECRET not in told
    assert kinds == faults


@every_adapter
async def test_a_throttled_request_says_how_long_to_wait(rig: Rig) -> None:
    async with connected(rig, Fault.THROTTLED) as (_, adapter):
        error, _ = await failure(adapter)
    assert (error.retry_after_s, error.retryable) == (1.0, True)


@every_adapter
async def test_only_a_refused_key_is_blamed_on_the_key(rig: Rig) -> None:
    async with connected(rig, Fault.UNAUTHORIZED, Fault.BAD_REQUEST) as (_, adapter):
        errors = [(await failure(adapter))[0] for _ in range(2)]
    assert [error.of_key for error in errors if isinstance(error, SttRefused)] == [True, False]


@every_adapter
async def test_a_key_that_is_revoked_while_the_service_runs_is_refused(rig: Rig) -> None:
    async with connected(rig, SPOKEN) as (vendor, adapter):
        assert (await adapter.transcribe(SECOND, keyterms=(), budget_s=3.0)).text == SPOKEN
        vendor.revoke_key()
        error, _ = await failure(adapter)
    assert isinstance(error, SttRefused)
    assert error.of_key


@every_adapter
@pytest.mark.parametrize("fault", [Fault.STALL, Fault.TRICKLE], ids=lambda fault: fault.value)
async def test_a_vendor_that_is_too_slow_is_given_up_at_the_deadline(rig: Rig, fault: Fault) -> None:
    async with connected(rig, SPOKEN, fault, fault, fault, stall_s=8.0) as (_, adapter):
        await adapter.transcribe(SECOND, keyterms=(), budget_s=3.0)
        for _ in range(3):  # a machine that is busy with something else may be late once
            error, after_s = await failure(adapter, budget_s=0.5)
            assert type(error) is SttTimeout
            assert after_s >= 0.49
            if after_s < 0.5 + LATE_S:
                break
    assert after_s < 0.5 + LATE_S


@every_adapter
async def test_no_server_at_all_is_unavailable_and_cannot_be_warmed(rig: Rig) -> None:
    async with rig.vendor() as vendor:
        gone = vendor.base_url
    adapter = rig.adapter(gone, SECRET)
    warmed = await adapter.warm()
    error, _ = await failure(adapter)
    await adapter.close()
    assert type(error) is SttUnavailable
    assert warmed is (rig.name == "assemblyai_rest")  # it has nothing to warm


@every_adapter
async def test_a_tls_handshake_that_fails_is_unavailable(rig: Rig) -> None:
    async with rig.vendor() as vendor:
        adapter = rig.adapter(vendor.base_url.replace("http://", "https://"), SECRET)
        error, after_s = await failure(adapter)
        await adapter.close()
    assert type(error) is SttUnavailable
    assert after_s < 1.5


@every_adapter
async def test_a_cancelled_request_hangs_up_and_the_next_one_is_answered(rig: Rig) -> None:
    async with connected(rig, Fault.STALL, SPOKEN) as (vendor, adapter):
        asking = asyncio.create_task(adapter.transcribe(SECOND, keyterms=(), budget_s=20.0))
        await until(lambda: any(entry.outcome == "failed" for entry in vendor.ledger.entries))
        before = vendor.connections
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await until(lambda: vendor.connections < before)
        assert (await adapter.transcribe(SECOND, keyterms=(), budget_s=5.0)).text == SPOKEN


@every_adapter
async def test_closing_leaves_no_connection_and_no_task(rig: Rig) -> None:
    before = asyncio.all_tasks()
    async with rig.vendor(SPOKEN, Fault.RESET, SPOKEN) as vendor:
        serving = asyncio.all_tasks()
        adapter = rig.adapter(vendor.base_url, SECRET)
        await adapter.transcribe(SECOND, keyterms=(), budget_s=3.0)
        await failure(adapter)
        await adapter.transcribe(SECOND, keyterms=(), budget_s=3.0)
        await adapter.close()
        await until(lambda: vendor.connections == 0)
        await until(lambda: not {task for task in asyncio.all_tasks() - serving if not task.done()})
    assert asyncio.all_tasks() == before


@every_adapter
async def test_many_utterances_at_once_are_each_answered_once(rig: Rig) -> None:
    async with connected(rig, latency=Latency(50)) as (vendor, adapter):
        asking = [adapter.transcribe(SECOND, keyterms=(), budget_s=10.0) for _ in range(10)]
        heard = await asyncio.gather(*asking)
        billed = vendor.ledger.of()
    assert all(answer.text for answer in heard)
    assert len(billed) == 10


@every_adapter
async def test_the_bill_is_what_the_vendor_received(rig: Rig) -> None:
    async with connected(rig, SPOKEN, Fault.SERVER_ERROR, SPOKEN) as (vendor, adapter):
        halves = [SECOND, SECOND * 2, SECOND * 3]
        paid = (await adapter.transcribe(halves[0], keyterms=(), budget_s=3.0)).cost_usd
        await failure(adapter)
        paid += (await adapter.transcribe(halves[2], keyterms=(), budget_s=3.0)).cost_usd
        received_s = sum(entry.audio_s for entry in vendor.ledger.of())
    assert received_s == 4.0
    assert paid == pytest.approx(adapter.price_usd(SECOND * 4), rel=1e-9)


async def until(happened: Any, seconds: float = 3.0) -> None:
    """Wait until `happened()`; a server notices a closed socket a little later."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)
