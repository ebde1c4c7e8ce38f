"""What is kept of people: erased and given out by session, and thinned out by age."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol, TypeAlias

from deployments.telemetry.rows import readable

Execute: TypeAlias = Callable[..., Awaitable[int]]
"""Commits one statement with its arguments; returns the rows it touched."""

FEEDBACK_INSTANT = "reported_at"
RETENTION_LOCK_KEY = 0x42616C746F02
"""Of pg_try_advisory_lock: "Balto", then the retention job's number."""


@dataclass(frozen=True, slots=True)
class SessionContents:
    """What the database holds of a session, oldest first, in Python's types."""

    interactions: list[dict[str, Any]]
    feedback: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Erased:
    """How many rows of a session were erased; `waiting` were in this node's outboxes, `audio` are files kept on it."""

    interactions: int
    feedback: int
    waiting: int
    audio: int


class PrivacyStore(Protocol):
    """Erasing and giving out. Every method may raise StoreUnavailable."""

    async def erase_session(self, session_id: str, at: datetime) -> tuple[int, int]:
        """Delete a session's interactions and results of suggestions, and refuse what happened in it up to `at`
        should it still arrive; returns how many of each."""

    async def session_contents(self, session_id: str, limit: int, offset: int) -> SessionContents:
        """A session's rows, of each table at most `limit` after the first `offset`."""

    async def exclusively(self, lock_key: int, work: Callable[[Execute], Awaitable[None]]) -> bool:
        """Do `work` unless another replica is at it; whether it was done."""

    def instant(self, instant: datetime) -> Any:
        """An aware instant as the database takes it."""


class PrivacyQueries(ABC):
    """PrivacyStore in SQL that PostgreSQL and SQLite both read."""

    @abstractmethod
    async def _fetch(self, sql: str, *args: Any) -> list[dict[str, Any]]:
        """Rows of a query. Raises StoreUnavailable."""

    @abstractmethod
    async def _execute(self, sql: str, *args: Any) -> int:
        """Commit one statement; returns the rows it touched."""

    @abstractmethod
    def _instant(self, instant: datetime) -> Any:
        """An aware instant as the database takes it."""

    @abstractmethod
    async def exclusively(self, lock_key: int, work: Callable[[Execute], Awaitable[None]]) -> bool:
        """See PrivacyStore."""

    async def erase_session(self, session_id: str, at: datetime) -> tuple[int, int]:
        """See PrivacyStore."""
        await self._execute(
            "INSERT INTO sessoes_apagadas (session_id, erased_at) VALUES ($1, $2) "
            "ON CONFLICT (session_id) DO UPDATE SET erased_at = excluded.erased_at",
            session_id,
            self._instant(at),
        )
        interactions = await self._execute("DELETE FROM interacoes WHERE session_id = $1", session_id)
        feedback = await self._execute("DELETE FROM retornos WHERE session_id = $1", session_id)
        return interactions, feedback

    async def session_contents(self, session_id: str, limit: int, offset: int) -> SessionContents:
        """See PrivacyStore."""
        return SessionContents(
            await self._part("interacoes", "happened_at, interaction_id", session_id, limit, offset),
            await self._part("retornos", f"{FEEDBACK_INSTANT}, feedback_id", session_id, limit, offset),
        )

    def instant(self, instant: datetime) -> Any:
        """See PrivacyStore."""
        return self._instant(instant)

    async def _part(self, table: str, order: str, session_id: str, limit: int, offset: int) -> list[dict[str, Any]]:
        sql = f"SELECT * FROM {table} WHERE session_id = $1 ORDER BY {order} LIMIT $2 OFFSET $3"  # noqa: S608
        return [readable(row) for row in await self._fetch(sql, session_id, limit, offset)]


def not_erased(kind: str, row: str) -> str:
    """The SQL condition under which a row of `kind` may be written: its session is not erased, or it came later.

    `row` is the name under which the statement knows the row's columns.
    """
    instant = "happened_at" if kind == "interaction" else FEEDBACK_INSTANT
    return (
        f"NOT EXISTS (SELECT 1 FROM sessoes_apagadas AS a WHERE a.session_id = {row}.session_id "  # noqa: S608
        f"AND {row}.{instant} <= a.erased_at)"
    )


def json_ready(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows with instants as ISO 8601 text, as JSON takes them."""
    return [{k: v.isoformat() if isinstance(v, datetime) else v for k, v in row.items()} for row in rows]
