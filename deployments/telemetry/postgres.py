"""PostgreSQL: batches by COPY, lookups through a small pool, migrations before the first use."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import asyncpg

from deployments.telemetry.dialects import Dialect, PostgresDialect
from deployments.telemetry.erasure import Execute, not_erased
from deployments.telemetry.errors import StoreRefused, StoreUnavailable
from deployments.telemetry.rows import TABLES, Row, decode
from deployments.telemetry.settings import TelemetrySettings
from deployments.telemetry.store import SqlStore, UniqueViolation

AWAY_S = 0.5
"""How long after a failed connection the database counts as away, so that callers do not wait in line for timeouts."""
_AT_FAULT = (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError, asyncpg.ProgramLimitExceededError)
_RECONNECT = ("25", "28", "3D", "42", "57")
"""Classes of errors after which the connection and the schema are looked at afresh: a server that only reads, or that
does not let us in, no database, no table or column, shutting down."""
_TEMPORARY = "CREATE TEMPORARY TABLE IF NOT EXISTS {lot} (LIKE {table}) ON COMMIT DELETE ROWS"


class PostgresStore(SqlStore):
    """A PostgreSQL database. `find_url` gives its URL and may start it; `migrate` brings its schema up to date.

    Both are awaited before the first use, and again after the connection was lost.
    """

    def __init__(
        self,
        settings: TelemetrySettings,
        find_url: Callable[[], Awaitable[str]],
        migrate: Callable[[str], Awaitable[None]],
    ) -> None:
        self._settings = settings
        self._find_url = find_url
        self._migrate = migrate
        self._pool: Any = None
        self._preparing = asyncio.Lock()
        self._away_until_s = 0.0

    async def write(self, rows: Sequence[Row]) -> int:
        """See RowStore: one transaction, COPY into a temporary table, then INSERT of what is new."""
        by_kind: dict[str, list[dict[str, Any]]] = {}
        try:
            for row in rows:
                by_kind.setdefault(row.kind, []).append(decode(row.kind, row.payload))
        except (KeyError, ValueError) as exc:
            raise StoreRefused(type(exc).__name__) from None
        async with self._connection() as connection, connection.transaction():
            return sum([await self._copy(connection, kind, values) for kind, values in by_kind.items()])

    async def _copy(self, connection: Any, kind: str, values: list[dict[str, Any]]) -> int:
        table = TABLES[kind]
        lot, columns = f"lote_{table.name}", ", ".join(table.columns)
        await connection.execute(_TEMPORARY.format(lot=lot, table=table.name))
        records = [tuple(value[name] for name in table.columns) for value in values]
        try:
            await connection.copy_records_to_table(lot, records=records, columns=table.columns)
        except (OverflowError, TypeError, ValueError) as exc:  # asyncpg's encoders: a value that no column can hold
            raise StoreRefused(type(exc).__name__) from None
        tag = await connection.execute(
            f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM {lot} "  # noqa: S608 - our own names
            f"WHERE {not_erased(kind, lot)} ON CONFLICT DO NOTHING"
        )
        return _touched(tag)

    async def close(self) -> None:
        """See Store."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.terminate()

    async def exclusively(self, lock_key: int, work: Callable[[Execute], Awaitable[None]]) -> bool:
        """See PrivacyStore. The lock goes with the connection, which the pool clears of locks when it takes it back."""
        async with self._connection() as connection:
            if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", lock_key):
                return False

            async def execute(sql: str, *args: Any) -> int:
                return _touched(await connection.execute(sql, *args))

            await work(execute)
            await connection.fetchval("SELECT pg_advisory_unlock($1)", lock_key)
        return True

    async def _fetch(self, sql: str, *args: Any) -> list[dict[str, Any]]:
        async with self._connection() as connection:
            return [dict(row) for row in await connection.fetch(sql, *args)]

    async def _execute(self, sql: str, *args: Any) -> int:
        async with self._connection() as connection:
            try:
                tag = await connection.execute(sql, *args)
            except asyncpg.UniqueViolationError:
                raise UniqueViolation from None
        return _touched(tag)

    async def _delays_ms(self, where: str, args: Sequence[Any]) -> dict[str, Any]:
        sql = (
            "SELECT count(*) AS amostras, percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS p50_ms, "  # noqa: S608
            "percentile_cont(0.95) WITHIN GROUP (ORDER BY ms) AS p95_ms, max(ms) AS max_ms FROM (SELECT "
            "EXTRACT(EPOCH FROM sent_to_counter_at - speech_ended_at)::double precision * 1000 AS ms "
            f"FROM interacoes WHERE {where}) AS delays"
        )
        [row] = await self._fetch(sql, *args)
        return {name: round(value, 3) if isinstance(value, float) else value for name, value in row.items()}

    def _day(self, column: str, begins_utc_h: int) -> str:
        return f"to_char({column} - interval '{begins_utc_h} hours', 'YYYY-MM-DD')"

    def _ids_of(self, column: str) -> tuple[str, str]:
        return f"LATERAL jsonb_array_elements({column}) AS element(value)", "element.value ->> 'id'"

    @property
    def _dialect(self) -> Dialect:
        return PostgresDialect()

    def _instant(self, instant: datetime) -> datetime:
        return instant

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        """A connection to the prepared database; its errors as ours, without their texts, which may quote a row."""
        pool: Any = None
        try:
            pool = await self._prepared()
            async with pool.acquire(timeout=self._settings.connect_timeout_s) as connection:
                yield connection
        except _AT_FAULT as exc:
            raise StoreRefused(f"{type(exc).__name__} {exc.sqlstate}") from None
        except (OSError, asyncio.TimeoutError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError) as exc:
            self._lost(pool)
            raise StoreUnavailable(type(exc).__name__) from None
        except asyncpg.PostgresError as exc:
            if exc.sqlstate and exc.sqlstate[:2] in _RECONNECT:
                self._lost(pool)
            raise StoreUnavailable(f"{type(exc).__name__} {exc.sqlstate}") from None

    async def _prepared(self) -> Any:
        async with self._preparing:
            if self._pool is None:
                if time.monotonic() < self._away_until_s:
                    raise StoreUnavailable("the database is away")
                try:
                    self._pool = await self._open_pool()
                except BaseException:
                    self._away_until_s = time.monotonic() + AWAY_S
                    raise
            return self._pool

    async def _open_pool(self) -> Any:
        settings = self._settings
        url = await self._find_url()
        await self._migrate(url)
        return await asyncpg.create_pool(
            url,
            min_size=0,
            max_size=settings.pool_max_size,
            timeout=settings.connect_timeout_s,
            command_timeout=settings.command_timeout_s,
            max_inactive_connection_lifetime=60.0,
            server_settings={"application_name": "balto", "timezone": "UTC", "jit": "off"},
        )

    def _lost(self, pool: Any) -> None:
        """Forget `pool`, unless somebody has put another in its place already."""
        if pool is not None and pool is self._pool:
            self._pool = None
            self._away_until_s = time.monotonic() + AWAY_S
            pool.terminate()


def _touched(tag: str) -> int:
    """The rows that a statement touched, of its command tag ("UPDATE 3")."""
    return int(tag.rsplit(" ", 1)[1])
