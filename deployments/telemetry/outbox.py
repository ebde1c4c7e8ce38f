"""The durable outbox of one replica: rows are synced to the local disk before anybody hears that they are recorded."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from deployments.metrics import Metrics
from deployments.telemetry.errors import OutboxError, OutboxFailed, OutboxFull
from deployments.telemetry.outbox_file import OutboxFile, OutboxStats, Waiting, forget_session, read_session
from deployments.telemetry.rows import Row
from deployments.telemetry.sealing import Seal
from deployments.telemetry.slots import Slot, adopt_leftovers, siblings, take_slot

T = TypeVar("T")

PENDING_ROWS_MAX = 5000
"""Rows that may wait in memory for the disk; more are refused (OutboxFull)."""
GROUP_ROWS_MAX = 1000
"""Rows synced together by one commit."""


class Outbox:
    """Rows on their way to the database. SQLite works in a thread of its own, never on the event loop.

    Callers of `record` that arrive while the disk syncs share the next sync (group commit).
    """

    def __init__(self, directory: Path, max_bytes: int, metrics: Metrics, seal: Seal | None = None) -> None:
        self._seal = seal or Seal()
        self._directory = directory
        self._max_bytes = max_bytes
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="outbox")
        self._slot: Slot | None = None
        self._file: OutboxFile | None = None
        self._pending: list[tuple[Sequence[Row], asyncio.Future[None]]] = []
        self._pending_rows = 0
        self._committer: asyncio.Task[None] | None = None
        self.arrived = asyncio.Event()
        """Set whenever rows have been recorded; whoever ships them clears it."""

    async def open(self) -> None:
        """Take a slot and open its file. Raises OutboxFailed."""
        await self._run(self._open)

    def _open(self) -> None:
        slot = take_slot(self._directory)
        try:
            self._file = OutboxFile(slot.path, self._max_bytes)
        except BaseException:
            slot.release()
            raise
        self._slot = slot

    async def record(self, rows: Sequence[Row]) -> None:
        """Keep `rows`, all or none; returns once they are synced to the disk. Raises OutboxFull, OutboxFailed."""
        if self._pending_rows + len(rows) > PENDING_ROWS_MAX:
            raise OutboxFull("too many rows wait for the disk")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending.append((rows, done))
        self._pending_rows += len(rows)
        if self._committer is None or self._committer.done():
            self._committer = asyncio.create_task(self._commit_pending())
        await done

    async def _commit_pending(self) -> None:
        while self._pending:
            group = self._next_group()
            rows = [row for rows, _ in group for row in rows]
            begun = time.perf_counter()
            error = await self._commit(rows)
            self._pending_rows -= len(rows)
            self._metrics.observe_ms("telemetry_commit_ms", (time.perf_counter() - begun) * 1e3)
            for _, done in group:
                if not done.done():
                    done.set_result(None) if error is None else done.set_exception(error)
            if error is None:
                self.arrived.set()

    def _next_group(self) -> list[tuple[Sequence[Row], asyncio.Future[None]]]:
        size, count = 0, 0
        for rows, _ in self._pending:
            if count and size + len(rows) > GROUP_ROWS_MAX:
                break
            size, count = size + len(rows), count + 1
        group, self._pending = self._pending[:count], self._pending[count:]
        return group

    async def _commit(self, rows: Sequence[Row]) -> OutboxError | None:
        try:
            await self._run(lambda: self._opened().add([self._seal.seal_row(row) for row in rows]))
        except OutboxError as exc:
            return exc
        except Exception as exc:  # whatever it is, those who wait must hear of it
            return OutboxFailed(type(exc).__name__)
        return None

    async def batch(self, limit: int, now_us: int) -> list[Waiting]:
        """The oldest rows that are due at `now_us` (µs since 1970), at most `limit`. Raises OutboxFailed."""

        def read() -> list[Waiting]:
            due = self._opened().batch(limit, now_us)
            return [replace(waiting, row=self._seal.open_row(waiting.row)) for waiting in due]

        return await self._run(read)

    async def delete(self, rows: Sequence[Waiting]) -> None:
        """Forget rows that the database has committed. Raises OutboxFailed."""
        await self._run(lambda: self._opened().delete(row.seq for row in rows))

    async def defer(self, row: Waiting, retry_us: int) -> None:
        """Count one refusal of a row and leave it alone until `retry_us`. Raises OutboxFailed."""
        await self._run(lambda: self._opened().defer(row.seq, retry_us))

    async def set_aside(self, row: Waiting, reason: str) -> None:
        """Take a row that the database keeps refusing out of the way. Raises OutboxFailed."""
        await self._run(lambda: self._opened().set_aside(row.seq, reason))

    async def adopt(self) -> int:
        """Take over what dead replicas of this node left; returns the rows moved. Raises OutboxFailed."""
        return await self._run(lambda: adopt_leftovers(self._opened()))

    async def of_session(self, session_id: str) -> list[Row]:
        """A session's rows that wait in any outbox of this node. Raises OutboxFailed."""

        def read() -> list[Row]:
            mine = self._opened()
            others = [row for path in siblings(mine.path) for row in read_session(path, session_id)]
            return [self._seal.open_row(row) for row in others + mine.of_session(session_id)]

        return await self._run(read)

    async def forget_session(self, session_id: str) -> int:
        """Erase a session's rows from every outbox of this node; returns how many. Raises OutboxFailed."""

        def forget() -> int:
            mine = self._opened()
            others = sum(forget_session(path, session_id) for path in siblings(mine.path))
            return others + mine.forget_session(session_id)

        return await self._run(forget)

    async def stats(self) -> OutboxStats:
        """What this outbox holds. Raises OutboxFailed."""
        return await self._run(lambda: self._opened().stats())

    async def close(self) -> None:
        """Finish the commits under way, close the file and release the slot; what it holds stays."""
        if self._committer is not None:
            await self._committer
        await self._run(self._close)
        self._thread.shutdown(wait=False)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
        if self._slot is not None:
            self._slot.release()
        self._file = self._slot = None

    def _opened(self) -> OutboxFile:
        if self._file is None:
            raise OutboxFailed("the outbox is closed")
        return self._file

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except sqlite3.Error as exc:
            raise OutboxFailed(type(exc).__name__) from None
