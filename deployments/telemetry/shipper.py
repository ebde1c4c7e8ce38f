"""Ships the outbox's rows to the database in batches, exactly once, whatever happens in between."""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from deployments.metrics import Metrics
from deployments.telemetry.errors import OutboxError, StoreRefused, StoreUnavailable
from deployments.telemetry.outbox import Outbox
from deployments.telemetry.outbox_file import Waiting
from deployments.telemetry.settings import TelemetrySettings
from deployments.telemetry.store import RowStore

log = logging.getLogger("balto.telemetry")

RETRY_MIN_S = 0.25
"""First wait after a failure; it doubles, with jitter, up to `retry_max_s`."""
REFUSED_RETRY_S = 5.0
"""How long a refused row is left alone, times its attempts."""
COMPANY_S = 0.02
"""What a row that comes after a pause waits for company: what was said at the same time comes with it."""
TICK_S = 5.0
"""How often gauges are set, and how long an idle shipper sleeps at most."""


class Shipper:
    """Takes batches from `outbox`, writes them to `store`, then deletes them from the outbox.

    A crash between commit and deletion writes the rows again, which changes nothing (`ON CONFLICT DO NOTHING`). Rows
    that the database refuses are found by halving the batch, tried `row_max_attempts` times and then set aside.
    """

    def __init__(
        self,
        outbox: Outbox,
        store: RowStore,
        settings: TelemetrySettings,
        metrics: Metrics,
        now_us: Callable[[], int] = lambda: time.time_ns() // 1000,
    ) -> None:
        self._outbox = outbox
        self._store = store
        self._settings = settings
        self._metrics = metrics
        self._now_us = now_us
        self._failures = 0
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._ticked_s = self._adopted_s = float("-inf")
        self.rows_written = 0
        """Rows that were new to the database."""
        self.rows_refused = 0
        """Rows set aside."""

    def start(self) -> None:
        """Ship from now on, until `close`."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Ship what is left, for `close_timeout_s` at most; the rest stays in the outbox."""
        self._closing.set()
        self._outbox.arrived.set()
        if self._task is None:
            return
        _, late = await asyncio.wait([self._task], timeout=self._settings.close_timeout_s)
        for task in late:
            task.cancel()
            await asyncio.wait([task])
            log.warning("outbox_not_drained")

    async def ship_once(self) -> int:
        """Ship the oldest batch that is due; returns its rows. Raises StoreUnavailable, OutboxError."""
        batch = await self._outbox.batch(self._settings.batch_max_rows, self._now_us())
        if batch:
            begun = time.perf_counter()
            await self._ship(batch)
            self._metrics.observe_ms("telemetry_batch_ms", (time.perf_counter() - begun) * 1e3)
        return len(batch)

    async def _ship(self, batch: Sequence[Waiting]) -> None:
        try:
            new = await self._store.write([waiting.row for waiting in batch])
        except StoreRefused as exc:
            await self._divide(batch, str(exc))
            return
        await self._outbox.delete(batch)
        self.rows_written += new
        self._metrics.count("telemetry_rows_written", new)

    async def _divide(self, batch: Sequence[Waiting], reason: str) -> None:
        if len(batch) > 1:
            middle = len(batch) // 2
            await self._ship(batch[:middle])
            await self._ship(batch[middle:])
        elif batch[0].attempts + 1 < self._settings.row_max_attempts:
            wait_s = REFUSED_RETRY_S * (batch[0].attempts + 1)
            await self._outbox.defer(batch[0], self._now_us() + int(wait_s * 1e6))
        else:
            await self._outbox.set_aside(batch[0], reason)
            self.rows_refused += 1
            self._metrics.count("telemetry_rows_refused")
            log.error("row_set_aside row=%s reason=%s", batch[0].row.row_id, reason)

    async def _run(self) -> None:
        while not self._closing.is_set():
            try:
                await self._tick()
                shipped = await self.ship_once()
            except (StoreUnavailable, OutboxError) as exc:
                await self._back_off(type(exc).__name__, str(exc))
            except Exception as exc:  # a fault of ours must not end the shipping; its text may quote a row
                await self._back_off("fault", type(exc).__name__)
            else:
                self._recovered()
                await self._gather(shipped)
        await self._drain()

    async def _drain(self) -> None:
        try:
            while await self.ship_once():
                pass
        except (StoreUnavailable, OutboxError) as exc:
            log.warning("outbox_not_drained reason=%s", exc)

    async def _gather(self, shipped: int) -> None:
        """After a full batch go on at once, after another one later; a row that comes after a pause goes soon."""
        if shipped >= self._settings.batch_max_rows or self._closing.is_set():
            return
        if shipped:
            await _within(self._closing, self._settings.flush_interval_ms / 1e3)
        elif not self._outbox.arrived.is_set():
            await _within(self._outbox.arrived, TICK_S)
            await _within(self._closing, COMPANY_S)
        self._outbox.arrived.clear()

    async def _back_off(self, kind: str, reason: str) -> None:
        if self._failures == 0:
            log.warning("shipping_interrupted kind=%s reason=%s", kind, reason)
        self._metrics.count("telemetry_shipping_failures", kind=kind)
        longest_s = min(RETRY_MIN_S * 2 ** min(self._failures, 20), self._settings.retry_max_s)
        self._failures += 1
        await _within(self._closing, longest_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret

    def _recovered(self) -> None:
        if self._failures:
            log.info("shipping_resumed failures=%d", self._failures)
            self._failures = 0

    async def _tick(self) -> None:
        now_s = time.monotonic()
        if now_s - self._ticked_s >= TICK_S:
            self._ticked_s = now_s
            stats = await self._outbox.stats()
            age_s = 0.0 if stats.oldest_us is None else (self._now_us() - stats.oldest_us) / 1e6
            self._metrics.gauge("telemetry_outbox_rows", stats.waiting)
            self._metrics.gauge("telemetry_outbox_oldest_s", age_s)
            self._metrics.gauge("telemetry_outbox_bytes", stats.used_bytes)
            self._metrics.gauge("telemetry_disk_free_bytes", _disk_free_bytes(self._settings.outbox_dir))
            self._metrics.gauge("telemetry_rows_set_aside", stats.refused)
        if now_s - self._adopted_s >= self._settings.adopt_interval_s:
            self._adopted_s = now_s
            await self._outbox.adopt()


def _disk_free_bytes(folder: Path) -> int:
    """Bytes free where `folder` lies; 0 where that cannot be read, which alarms as a full disk does."""
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


async def _within(event: asyncio.Event, timeout_s: float) -> None:
    """Wait for `event`, at most `timeout_s`."""
    try:
        await asyncio.wait_for(event.wait(), timeout_s)
    except asyncio.TimeoutError:
        return
