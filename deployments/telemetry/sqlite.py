"""The SQLite store: for the single small server that wants no PostgreSQL, with the same figures readable."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from deployments.telemetry.dialects import Dialect, SqliteDialect
from deployments.telemetry.erasure import Execute, not_erased
from deployments.telemetry.errors import StoreRefused, StoreUnavailable
from deployments.telemetry.rows import TABLES, Row, decode, instant_text
from deployments.telemetry.schema import ensure_sqlite
from deployments.telemetry.store import SqlStore, UniqueViolation

T = TypeVar("T")

BUSY_TIMEOUT_S = 5.0
"""How long to wait for another replica's transaction."""


class SqliteStore(SqlStore):
    """A SQLite database of one node. Instants are kept as ISO 8601 text in UTC with microseconds.

    The file is opened, and its schema brought up to date, at the first use, in a thread of the store's own.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sqlite")
        self._db: sqlite3.Connection | None = None

    async def write(self, rows: Sequence[Row]) -> int:
        """See RowStore."""
        return await self._run(lambda: self._write(rows))

    def _write(self, rows: Sequence[Row]) -> int:
        try:
            values = [(row.kind, decode(row.kind, row.payload)) for row in rows]
        except (KeyError, ValueError) as exc:
            raise StoreRefused(type(exc).__name__) from None
        db = self._opened()
        with db:
            return sum([self._insert(db, kind, columns) for kind, columns in values])

    def _insert(self, db: sqlite3.Connection, kind: str, columns: dict[str, Any]) -> int:
        """1 when the row is new; `total_changes` would count what triggers write too."""
        table = TABLES[kind]
        names = ", ".join(table.columns)
        new = ", ".join(f"? AS {name}" for name in table.columns)
        sql = (  # begins with INSERT, or Python's sqlite3 opens no transaction for it
            f"INSERT INTO {table.name} ({names}) SELECT {names} FROM (SELECT {new}) AS new "  # noqa: S608 - our own names
            f"WHERE {not_erased(kind, 'new')} ON CONFLICT DO NOTHING"
        )
        try:
            return max(0, db.execute(sql, [_plain(columns[name]) for name in table.columns]).rowcount)
        except (sqlite3.ProgrammingError, sqlite3.InterfaceError) as exc:  # a value of a type that SQLite lacks
            raise StoreRefused(type(exc).__name__) from None

    async def close(self) -> None:
        """See Store."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None

    async def exclusively(self, lock_key: int, work: Callable[[Execute], Awaitable[None]]) -> bool:
        """See PrivacyStore. Transactions take their turns here, and what `work` does may be done twice."""
        await work(self._execute)
        return True

    async def _fetch(self, sql: str, *args: Any) -> list[dict[str, Any]]:
        return await self._run(lambda: [dict(row) for row in self._opened().execute(sql, _numbered(args))])

    async def _execute(self, sql: str, *args: Any) -> int:
        def work() -> int:
            db = self._opened()
            try:
                with db:
                    return db.execute(sql, _numbered(args)).rowcount
            except sqlite3.IntegrityError:
                raise UniqueViolation from None

        return await self._run(work)

    async def _delays_ms(self, where: str, args: Sequence[Any]) -> dict[str, Any]:
        sql = f"SELECT sent_to_counter_at, speech_ended_at FROM interacoes WHERE {where}"  # noqa: S608
        rows = await self._fetch(sql, *args)
        delays = sorted(_elapsed_ms(row["speech_ended_at"], row["sent_to_counter_at"]) for row in rows)
        return {
            "amostras": len(delays),
            "p50_ms": quantile(delays, 0.5),
            "p95_ms": quantile(delays, 0.95),
            "max_ms": quantile(delays, 1.0),
        }

    def _ids_of(self, column: str) -> tuple[str, str]:
        return f"json_each({column}) AS element", "json_extract(element.value, '$.id')"

    @property
    def _dialect(self) -> Dialect:
        return SqliteDialect()

    def _instant(self, instant: datetime) -> str:
        return instant_text(instant)

    def _day(self, column: str, begins_utc_h: int) -> str:
        return f"strftime('%Y-%m-%d', {column}, '-{begins_utc_h} hours')"

    def _opened(self) -> sqlite3.Connection:
        if self._db is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            ensure_sqlite(self._path)
            self._db = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
            self._db.row_factory = sqlite3.Row
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA foreign_keys=ON")
        return self._db

    async def _run(self, work: Callable[[], T]) -> T:
        """Work in the store's thread; SQLite's errors as ours, without their texts, which may quote a row."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.IntegrityError, sqlite3.DataError, OverflowError) as exc:
            raise StoreRefused(type(exc).__name__) from None
        except (sqlite3.Error, OSError) as exc:
            raise StoreUnavailable(type(exc).__name__) from None


def quantile(ordered: Sequence[float], q: float) -> float | None:
    """The `q` quantile (0..1) of ascending values, interpolated linearly as PostgreSQL's percentile_cont does."""
    if not ordered:
        return None
    place = q * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return round(ordered[low] + (ordered[high] - ordered[low]) * (place - low), 3)


def _elapsed_ms(begun: str, ended: str) -> float:
    return (datetime.fromisoformat(ended) - datetime.fromisoformat(begun)) / timedelta(milliseconds=1)


def _numbered(args: Sequence[Any]) -> dict[str, Any]:
    """`$1`, `$2`, … are named parameters to SQLite."""
    return {str(number): value for number, value in enumerate(args, 1)}


def _plain(value: Any) -> Any:
    return instant_text(value) if isinstance(value, datetime) else value
