"""The console's figures by hour: counted anew from the rows wherever triggers say that an hour has changed."""

# ruff: noqa: S608 - our own names and placeholders
from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from deployments.metrics import Metrics
from deployments.telemetry.dialects import Dialect
from deployments.telemetry.erasure import Execute
from deployments.telemetry.errors import TelemetryError
from deployments.telemetry.rows import readable

log = logging.getLogger("balto.telemetry")

ROLLUP_LOCK_KEY: Final = 0x42616C746F03
"""Of pg_try_advisory_lock: "Balto", then the number of this job."""
LOT_H: Final = 6
"""Hours that are counted at once, at most: a chain of 100 busy counters has some 40,000 rows in each."""
OUTCOMES: Final = (
    "sugerido",
    "nada",
    "bloqueado",
    "alerta",
    "descartado",
    "vazio",
    "stt_falhou",
    "llm_falhou",
    "prazo",
    "perdido",
)
SUGGESTION_COUNTS: Final = ("shown", "accepted", "sold", "refused", "taken", "taken_squared")
_TAKEN: Final = "result IN ('aceita', 'vendida')"


class RollupStore(Protocol):
    """What the job needs of a database. Every method may raise StoreUnavailable."""

    async def refresh_figures(self) -> int | None:
        """Count a lot of changed hours anew, newest first; how many marks of change were used up, None where another
        replica is at it."""


class RollupQueries(ABC):
    """RollupStore in SQL that PostgreSQL and SQLite both read."""

    @property
    @abstractmethod
    def _dialect(self) -> Dialect:
        """What this database says differently."""

    @abstractmethod
    async def exclusively(self, lock_key: int, work: Callable[[Execute], Awaitable[None]]) -> bool:
        """See PrivacyStore."""

    @abstractmethod
    async def _fetch(self, sql: str, *args: Any) -> list[dict[str, Any]]:
        """Rows of a query. Raises StoreUnavailable."""

    @abstractmethod
    def _instant(self, instant: datetime) -> Any:
        """An aware instant as the database takes it."""

    async def refresh_figures(self) -> int | None:
        """See RollupStore. A row that is committed meanwhile leaves a mark of its own, for the next lot."""
        lot = await self._lot()
        if lot is None:
            return 0
        used = 0
        counted_us = time.time_ns() // 1_000

        async def work(execute: Execute) -> None:
            nonlocal used
            await execute(f"UPDATE painel_pendentes SET taken = TRUE WHERE {_IN_LOT}", *lot)
            for table, columns, keys, select in _figures(self._dialect):
                names = ", ".join(columns)
                counts = ", ".join(f"{name} = excluded.{name}" for name in columns[keys:])
                await execute(
                    f"INSERT INTO {table} ({names}) {select} "
                    f"ON CONFLICT ({', '.join(columns[:keys])}) DO UPDATE SET {counts}",
                    *lot,
                    counted_us,
                )
                await execute(f"DELETE FROM {table} WHERE {_IN_LOT} AND {_MARKED} AND round <> $3", *lot, counted_us)
            used = await execute(f"DELETE FROM painel_pendentes WHERE {_IN_LOT} AND taken", *lot)

        return used if await self.exclusively(ROLLUP_LOCK_KEY, work) else None

    async def _lot(self) -> tuple[Any, Any] | None:
        """The newest marked hours: from the first one on and before the instant after the last one."""
        [newest] = await self._fetch("SELECT max(hour) AS hour_at FROM painel_pendentes")
        if newest["hour_at"] is None:
            return None
        last = readable(newest)["hour_at"]
        [oldest] = await self._fetch(
            "SELECT min(hour) AS hour_at FROM painel_pendentes WHERE hour > $1", self._instant(last - LOT_H * _HOUR)
        )
        first = readable(oldest)["hour_at"] or last
        return self._instant(first), self._instant(last + _HOUR)


_HOUR: Final = timedelta(hours=1)
_IN_LOT = "hour >= $1 AND hour < $2"
_MARKED = f"(client_id, hour) IN (SELECT client_id, hour FROM painel_pendentes WHERE {_IN_LOT} AND taken)"
_KEYS = ("hour", "client_id", "counter_id")


def _figures(sql: Dialect) -> tuple[tuple[str, tuple[str, ...], int, str], ...]:
    """Of each table of figures: name, columns, how many of them are its key, and what selects them. $1 and $2 are the
    lot's bounds, $3 is `round`."""
    hour = sql.hour_of("i.happened_at")
    rows = (
        f"(SELECT {hour} AS hour, i.* FROM interacoes i WHERE i.happened_at >= $1 AND i.happened_at < $2 AND "
        f"(i.client_id, {hour}) IN (SELECT client_id, hour FROM painel_pendentes WHERE {_IN_LOT} AND taken)) i"
    )
    outcomes = ", ".join(f"sum(CASE WHEN outcome = '{name}' THEN 1 ELSE 0 END)" for name in OUTCOMES)
    ms = sql.elapsed_ms("i.speech_ended_at", "i.sent_to_counter_at")
    source, item, rule = sql.blocks()
    number = "CAST($3 AS BIGINT)"
    return (
        (
            "painel_horas",
            (*_KEYS, "interactions", *OUTCOMES, "audio_s", "stt_usd", "llm_usd", "round"),
            3,
            f"SELECT i.hour, i.client_id, i.counter_id, count(*), {outcomes}, coalesce(sum(i.duration_s), 0), "
            f"coalesce(sum(i.stt_cost_usd), 0), coalesce(sum(i.advisor_cost_usd), 0), {number} "
            f"FROM {rows} GROUP BY 1, 2, 3",
        ),
        (
            "painel_atrasos",
            (*_KEYS, "bucket_ms", "n", "round"),
            4,
            f"SELECT hour, client_id, counter_id, {_bucket(sql)}, count(*), {number} FROM (SELECT i.hour, i.client_id, "
            f"i.counter_id, {ms} AS ms FROM {rows} WHERE i.sent_to_counter_at >= i.speech_ended_at) d "
            "GROUP BY 1, 2, 3, 4",
        ),
        (
            "painel_cestas",
            (*_KEYS, "cesta", "ordering", "simulated", *SUGGESTION_COUNTS, "round"),
            6,
            "WITH f AS (SELECT i.hour, i.client_id, i.counter_id, i.cesta, i.ordering, i.simulated, i.suggestion_id, "
            f"max(CASE WHEN {_TAKEN} THEN 1 ELSE 0 END) AS accepted, "
            "max(CASE WHEN result = 'vendida' THEN 1 ELSE 0 END) AS sold, "
            "max(CASE WHEN result = 'recusada' THEN 1 ELSE 0 END) AS refused, "
            f"count(DISTINCT CASE WHEN {_TAKEN} AND item_id <> '' THEN item_id END) AS taken FROM {rows} "
            "LEFT JOIN retornos r ON r.suggestion_id = i.suggestion_id AND r.counter_id = i.counter_id "
            "WHERE i.suggestion_id IS NOT NULL GROUP BY 1, 2, 3, 4, 5, 6, 7) "
            "SELECT hour, client_id, counter_id, cesta, ordering, simulated, count(*), sum(accepted), sum(sold), "
            f"sum(refused), sum(taken), sum(taken * taken), {number} FROM f GROUP BY 1, 2, 3, 4, 5, 6",
        ),
        (
            "painel_bloqueios",
            (*_KEYS, "item_id", "rule_id", "n", "round"),
            5,
            f"SELECT i.hour, i.client_id, i.counter_id, {item}, {rule}, count(*), {number} FROM {rows} "
            f"CROSS JOIN {source} WHERE {item} IS NOT NULL AND {rule} IS NOT NULL GROUP BY 1, 2, 3, 4, 5",
        ),
    )


def _bucket(sql: Dialect) -> str:
    """Lower edges of delay buckets: steps of 10 ms below 1 s, 100 ms below 10 s, 1 s below a minute."""
    steps = " ".join(f"WHEN ms < {100 * step} THEN {sql.whole(f'ms / {step}')} * {step}" for step in (10, 100))
    return f"CASE {steps} WHEN ms < 60000 THEN {sql.whole('ms / 1000')} * 1000 ELSE 60000 END"


class Rollups:
    """The job: one task, owned here, ended by `close`. Figures are at most `every_s` and one lot behind the rows."""

    def __init__(self, store: RollupStore, metrics: Metrics, every_s: float) -> None:
        self._store = store
        self._metrics = metrics
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Refresh from now on, until `close`."""
        self._task = asyncio.create_task(self._run(), name="rollups")

    async def close(self) -> None:
        """End the job; what a lot had begun is counted again by the next one."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def run_once(self) -> int:
        """Refresh until nothing is left; returns the marks used up. Raises TelemetryError."""
        total = 0
        while used := await self._store.refresh_figures():
            total += used
            self._metrics.count("console_hours_counted", used)
        return total

    async def _run(self) -> None:
        while True:
            try:
                await self.run_once()
            except TelemetryError as exc:
                self._failed(type(exc).__name__)
            except Exception as exc:  # a fault of ours must not end the figures for good; its text may quote a row
                self._failed(type(exc).__name__)
            await asyncio.sleep(self._every_s)

    def _failed(self, error: str) -> None:
        self._metrics.count("console_rollup_failures")
        log.warning("rollup_failed error=%s", error)
