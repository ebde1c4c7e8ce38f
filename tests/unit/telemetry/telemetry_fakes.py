"""A scripted database and ready-made records for the tests of telemetry."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from deployments.telemetry.errors import StoreRefused, StoreUnavailable
from deployments.telemetry.records import Client, Counter, Feedback, Interaction
from deployments.telemetry.rows import Row
from deployments.telemetry.store import SessionRows

NOW = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=timezone.utc)


def interaction(number: int, **fields: Any) -> Interaction:
    known: dict[str, Any] = {
        "interaction_id": f"i-{number}",
        "client_id": "c-1",
        "counter_id": "b-1",
        "session_id": "s-1",
        "utterance_id": f"u-{number}",
        "node": "n-1",
        "software_version": "4.0.0",
        "outcome": "sugerido",
        "speech_ended_at": NOW,
    }
    return Interaction(**{**known, **fields})


def feedback(number: int) -> Feedback:
    return Feedback(f"f-{number}", "sg-1", "it-1", "aceita", "b-1", "s-1", NOW)


class FakeStore:
    """A database in memory: it can be away, slow, and refuse rows by id; it ignores rows that it has already."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        self.writes: list[list[str]] = []
        self.away = False
        self.poison: set[str] = set()
        self.wrote = asyncio.Event()
        self.turned_away = asyncio.Event()
        self.answering = asyncio.Event()
        self.answering.set()
        self.counters: dict[str, Counter] = {}
        self.clients: dict[str, Client] = {}
        self.session = SessionRows([], [], [])
        self.closed = False

    async def write(self, rows: Sequence[Row]) -> int:
        self._reach()
        await self.answering.wait()
        self.writes.append([row.row_id for row in rows])
        if self.poison & {row.row_id for row in rows}:
            raise StoreRefused("DataError 22P02")
        new = [row for row in rows if row.row_id not in self.rows]
        self.rows.update({row.row_id: row for row in new})
        self.wrote.set()
        return len(new)

    async def find_counter(self, key_hash: str) -> Counter | None:
        self._reach()
        return self.counters.get(key_hash)

    async def revoke_counter(self, counter_id: str) -> None:
        self._reach()
        for key_hash, counter in self.counters.items():
            if counter.counter_id == counter_id:
                self.counters[key_hash] = Counter(counter_id, counter.client_id, counter.name, key_hash, revoked=True)

    async def session_rows(self, session_id: str) -> SessionRows:
        self._reach()
        return self.session

    async def exclusively(self, lock_key: int, work: Any) -> bool:
        self._reach()
        return False  # as if another replica were at it

    async def ping(self) -> None:
        self._reach()

    async def close(self) -> None:
        self.closed = True

    def _reach(self) -> None:
        if self.away:
            self.turned_away.set()
            raise StoreUnavailable("OSError")

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"the fake database does not answer {name}")
