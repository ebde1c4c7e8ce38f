"""Rows reach the database exactly once, whatever the database does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from telemetry_fakes import NOW, FakeStore, interaction

from deployments.metrics import NoMetrics
from deployments.telemetry.errors import OutboxError, OutboxFailed, OutboxFull, StoreUnavailable
from deployments.telemetry.outbox import PENDING_ROWS_MAX, Outbox
from deployments.telemetry.rows import encode
from deployments.telemetry.settings import TelemetrySettings
from deployments.telemetry.shipper import Shipper


def rows(*numbers: int, **fields: str):
    return [encode(interaction(number, **fields), NOW) for number in numbers]


def row_ids(*numbers: int) -> list[str]:
    return [f"interaction:i-{number}" for number in numbers]


class Clock:
    def __init__(self) -> None:
        self.us = 1_000_000_000

    def __call__(self) -> int:
        return self.us


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[Outbox]:
    outbox = Outbox(tmp_path / "outbox", 10_000_000, NoMetrics())
    await outbox.open()
    yield outbox
    await outbox.close()


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def shipper(outbox: Outbox, store: FakeStore, clock: Clock) -> Shipper:
    return Shipper(outbox, store, TelemetrySettings(batch_max_rows=10, flush_interval_ms=10), NoMetrics(), clock)


async def test_a_batch_is_written_and_then_forgotten(outbox: Outbox, store: FakeStore, shipper: Shipper):
    await outbox.record(rows(1, 2))
    assert await shipper.ship_once() == 2
    assert await shipper.ship_once() == 0
    assert (list(store.rows), shipper.rows_written) == (row_ids(1, 2), 2)
    assert (await outbox.stats()).waiting == 0


async def test_batches_are_bounded_and_in_order(outbox: Outbox, store: FakeStore, shipper: Shipper):
    await outbox.record(rows(*range(25)))
    assert [await shipper.ship_once() for _ in range(4)] == [10, 10, 5, 0]
    assert [row for batch in store.writes for row in batch] == row_ids(*range(25))


async def test_after_a_pause_a_row_goes_at_once_and_the_next_ones_gather(outbox: Outbox, store: FakeStore):
    shipper = Shipper(outbox, store, TelemetrySettings(flush_interval_ms=60_000), NoMetrics())
    shipper.start()
    await asyncio.sleep(0.05)
    await outbox.record(rows(1))
    for _ in range(500):
        if store.rows:
            break
        await asyncio.sleep(0.01)
    assert list(store.rows) == row_ids(1)
    await outbox.record(rows(2))
    await asyncio.sleep(0.1)
    assert list(store.rows) == row_ids(1)
    await shipper.close()
    assert list(store.rows) == row_ids(1, 2)


async def test_a_database_that_is_away_delays_rows_and_loses_none(outbox: Outbox, store: FakeStore, shipper: Shipper):
    store.away = True
    await outbox.record(rows(1))
    with pytest.raises(StoreUnavailable):
        await shipper.ship_once()
    await outbox.record(rows(2))
    store.away = False
    await shipper.ship_once()
    assert list(store.rows) == row_ids(1, 2)


async def test_a_crash_between_commit_and_deletion_writes_no_row_twice(
    tmp_path: Path, outbox: Outbox, store: FakeStore, shipper: Shipper
):
    await outbox.record(rows(1, 2))
    await store.write([w.row for w in await outbox.batch(10, 0)])  # committed, and then the power went
    assert await shipper.ship_once() == 2
    assert (list(store.rows), shipper.rows_written) == (row_ids(1, 2), 0)
    assert (await outbox.stats()).waiting == 0


async def test_a_row_that_the_database_refuses_holds_up_nobody(outbox: Outbox, store: FakeStore, shipper: Shipper):
    store.poison = set(row_ids(3))
    await outbox.record(rows(*range(8)))
    await shipper.ship_once()
    assert sorted(store.rows) == row_ids(0, 1, 2, 4, 5, 6, 7)
    assert (await outbox.stats()).waiting == 1


async def test_a_refused_row_is_tried_again_later_and_then_set_aside_without_its_text(
    outbox: Outbox, store: FakeStore, shipper: Shipper, clock: Clock, caplog: pytest.LogCaptureFixture
):
    store.poison = set(row_ids(1))
    await outbox.record(rows(1, text="dor de cabeça"))
    tries = []
    with caplog.at_level(logging.INFO, "balto"):
        for _ in range(5):
            tries.append(await shipper.ship_once())
            assert await shipper.ship_once() == 0  # not due yet
            clock.us += 60_000_000
    stats = await outbox.stats()
    assert tries == [1, 1, 1, 0, 0]
    assert (stats.waiting, stats.refused, shipper.rows_refused) == (0, 1, 1)
    assert "row_set_aside row=interaction:i-1 reason=DataError 22P02" in caplog.text
    assert "cabeça" not in caplog.text


async def test_a_row_refused_once_by_accident_is_written_at_the_next_try(
    outbox: Outbox, store: FakeStore, shipper: Shipper, clock: Clock
):
    store.poison = set(row_ids(1))
    await outbox.record(rows(1))
    await shipper.ship_once()
    store.poison = set()
    clock.us += 60_000_000
    await shipper.ship_once()
    assert list(store.rows) == row_ids(1)


async def test_recording_does_not_wait_for_a_slow_database(outbox: Outbox, store: FakeStore, shipper: Shipper):
    store.answering.clear()
    await outbox.record(rows(1))
    shipping = asyncio.create_task(shipper.ship_once())
    await asyncio.wait_for(outbox.record(rows(2)), 1.0)
    assert (await outbox.stats()).waiting == 2
    store.answering.set()
    await shipping


async def test_callers_that_come_while_the_disk_syncs_share_the_next_sync(outbox: Outbox):
    groups: list[int] = []
    file = outbox._opened()

    class Counting:
        def add(self, rows):
            groups.append(len(rows))
            file.add(rows)

        def __getattr__(self, name):
            return getattr(file, name)

    outbox._file = Counting()
    await asyncio.gather(*(outbox.record(rows(n)) for n in range(200)))
    assert sum(groups) == 200
    assert len(groups) <= 3


async def test_too_many_rows_waiting_for_the_disk_are_refused_at_once(outbox: Outbox):
    with pytest.raises(OutboxFull):
        await outbox.record(rows(1) * (PENDING_ROWS_MAX + 1))


async def test_a_failing_disk_is_told_to_everybody_who_waits(outbox: Outbox):
    class Broken:
        def add(self, rows):
            raise OutboxFailed("disk I/O error")

        def close(self):
            return None

    outbox._opened().close()
    outbox._file = Broken()
    results = await asyncio.gather(*(outbox.record(rows(n)) for n in range(5)), return_exceptions=True)
    assert all(isinstance(result, OutboxError) for result in results)
    assert len(results) == 5


async def test_a_caller_that_gives_up_harms_nobody(outbox: Outbox):
    given_up = asyncio.create_task(outbox.record(rows(1)))
    other = asyncio.create_task(outbox.record(rows(2)))
    await asyncio.sleep(0)
    given_up.cancel()
    await other
    assert (await outbox.stats()).waiting == 2


async def test_the_shipper_at_work_ships_what_arrives_and_drains_when_it_closes(
    outbox: Outbox, store: FakeStore, shipper: Shipper
):
    shipper.start()
    await outbox.record(rows(1))
    await asyncio.wait_for(store.wrote.wait(), 2)
    await outbox.record(rows(*range(2, 40)))
    await shipper.close()
    assert sorted(store.rows) == sorted(row_ids(*range(1, 40)))


async def test_the_shipper_survives_an_outage_and_says_so_once(
    outbox: Outbox, store: FakeStore, shipper: Shipper, caplog: pytest.LogCaptureFixture
):
    store.away = True
    with caplog.at_level(logging.INFO, "balto"):
        shipper.start()
        await outbox.record(rows(1))
        await asyncio.wait_for(store.turned_away.wait(), 2)
        store.away = False
        await asyncio.wait_for(store.wrote.wait(), 2)
        await shipper.close()
    assert caplog.text.count("shipping_interrupted") == 1
    assert caplog.text.count("shipping_resumed") == 1


async def test_a_fault_of_our_own_does_not_end_the_shipping_nor_put_a_text_into_the_log(
    outbox: Outbox, store: FakeStore, caplog: pytest.LogCaptureFixture
):
    class Faulty(FakeStore):
        async def write(self, rows):
            if not self.writes:
                self.writes.append([])
                raise RuntimeError("dor de cabeça")
            return await super().write(rows)

    faulty = Faulty()
    shipper = Shipper(outbox, faulty, TelemetrySettings(flush_interval_ms=10), NoMetrics())
    await outbox.record(rows(1))
    with caplog.at_level(logging.INFO, "balto"):
        shipper.start()
        await asyncio.wait_for(faulty.wrote.wait(), 2)
        await shipper.close()
    assert "kind=fault reason=RuntimeError" in caplog.text
    assert "cabeça" not in caplog.text


async def test_closing_does_not_wait_for_a_database_that_hangs(tmp_path: Path, outbox: Outbox, store: FakeStore):
    shipper = Shipper(outbox, store, TelemetrySettings(close_timeout_s=0.05), NoMetrics())
    store.answering.clear()
    await outbox.record(rows(1))
    shipper.start()
    await asyncio.wait_for(shipper.close(), 1.0)
    assert (await outbox.stats()).waiting == 1
