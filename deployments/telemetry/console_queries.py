"""What the owner's console asks: figures over time and by part, the latest interactions, a search, one interaction."""

# ruff: noqa: S608 - our own names and placeholders
from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from cestas.ordering import ArmCount, Uplift, uplift
from deployments.telemetry.dialects import Dialect
from deployments.telemetry.rollups import OUTCOMES, SUGGESTION_COUNTS
from deployments.telemetry.rows import readable

ROWS_MAX: Final = 200
"""Rows of one answer that is a list of interactions, cestas, counters or blocks."""
WORDS_MAX: Final = 8
SUMMARY: Final = (
    "interaction_id",
    "client_id",
    "counter_id",
    "session_id",
    "happened_at",
    "recorded_at",
    "outcome",
    "origin",
    "discard_reason",
    "text",
    "cesta",
    "items",
    "blocked",
    "advice_origin",
    "simulated",
    "duration_s",
    "speech_ended_at",
    "sent_to_counter_at",
)
"""What a list of interactions shows of each."""


@dataclass(frozen=True, slots=True)
class View:
    """Which part of what was recorded: from `since` on and before `before` (aware); of one client, of one counter, or
    (empty) of all."""

    since: datetime
    before: datetime
    client_id: str = ""
    counter_id: str = ""


@dataclass(frozen=True, slots=True)
class Search:
    """Which interactions of a view: these words' beginnings in the text, this outcome, older than (instant, id)."""

    words: tuple[str, ...] = ()
    outcome: str = ""
    older_than: tuple[datetime, str] | None = None


@dataclass(frozen=True, slots=True)
class Tables:
    """What became of suggestions, each row with `shown`, `accepted`, `sold`, `refused`: by `cesta`, by counter
    (`counter_id`, `name`), by `hour` of the day from 0; and the learned order's uplift, None where it is not known."""

    by_cesta: list[dict[str, Any]]
    by_counter: list[dict[str, Any]]
    by_hour: list[dict[str, Any]]
    uplift: Uplift | None


class ConsoleStore(Protocol):
    """The console's questions. Every method may raise StoreUnavailable."""

    async def volume(self, view: View, step_s: int) -> list[dict[str, Any]]:
        """By `slot` (whole steps after `view.since`): `interactions`, each outcome, `audio_s`, `stt_usd`, `llm_usd`."""

    async def delays(self, view: View, step_s: int) -> list[dict[str, Any]]:
        """By `slot` and `bucket_ms` (its lower edge): `n` suggestions, end of speech → counter."""

    async def suggestions(self, view: View) -> Tables:
        """What became of suggestions."""

    async def blocks(self, view: View) -> list[dict[str, Any]]:
        """What the safety gate held back, most often first: `rule_id`, `item_id`, `n`."""

    async def search(self, view: View, search: Search, limit: int) -> list[dict[str, Any]]:
        """Interactions, newest first, the columns of SUMMARY."""

    async def latest(self, recorded_after: datetime, limit: int) -> list[dict[str, Any]]:
        """Interactions recorded since, newest first, the columns of SUMMARY."""

    async def interaction(self, interaction_id: str) -> dict[str, Any] | None:
        """All columns of one, and `retornos`: what the counter reported of its suggestion, oldest first."""

    async def figures_behind(self) -> int:
        """Hours of some client that are not counted yet."""


class ConsoleQueries(ABC):
    """ConsoleStore in SQL that PostgreSQL and SQLite both read."""

    @abstractmethod
    async def _fetch(self, sql: str, *args: Any) -> list[dict[str, Any]]:
        """Rows of a query. Raises StoreUnavailable."""

    @abstractmethod
    def _instant(self, instant: datetime) -> Any:
        """An aware instant as the database takes it."""

    @property
    @abstractmethod
    def _dialect(self) -> Dialect:
        """What this database says differently."""

    async def volume(self, view: View, step_s: int) -> list[dict[str, Any]]:
        """See ConsoleStore."""
        sums = ", ".join(f"sum({name}) AS {name}" for name in ("interactions", *OUTCOMES))
        totals = ", ".join(f"sum({name}) AS {name}" for name in ("audio_s", "stt_usd", "llm_usd"))
        where, args = self._of(view)
        slot = self._dialect.slot("hour", "$1", f"${len(args) + 1}")
        sql = f"SELECT {slot} AS slot, {sums}, {totals} FROM painel_horas WHERE {where} GROUP BY 1 ORDER BY 1"
        return _numbers(await self._fetch(sql, *args, step_s))

    async def delays(self, view: View, step_s: int) -> list[dict[str, Any]]:
        """See ConsoleStore."""
        where, args = self._of(view)
        slot = self._dialect.slot("hour", "$1", f"${len(args) + 1}")
        sql = (
            f"SELECT {slot} AS slot, bucket_ms, sum(n) AS n FROM painel_atrasos WHERE {where} "
            "GROUP BY 1, 2 ORDER BY 1, 2"
        )
        return _numbers(await self._fetch(sql, *args, step_s))

    async def suggestions(self, view: View) -> Tables:
        """See ConsoleStore."""
        where, args = self._of(view, "c.")
        sums = ", ".join(f"sum(c.{name}) AS {name}" for name in SUGGESTION_COUNTS[:4])
        source = f"{sums} FROM painel_cestas c"
        most = f"ORDER BY shown DESC, 1 LIMIT {ROWS_MAX}"
        by_cesta = f"SELECT c.cesta, {source} WHERE {where} GROUP BY 1 {most}"
        by_counter = (
            f"SELECT c.counter_id, coalesce(max(b.name), '') AS name, {source} "
            f"LEFT JOIN balcoes b ON b.counter_id = c.counter_id WHERE {where} GROUP BY 1 {most}"
        )
        by_hour = f"SELECT {self._dialect.slot('c.hour', '$1', '3600')} % 24 AS hour, {source} WHERE {where} GROUP BY 1"
        return Tables(
            _numbers(await self._fetch(by_cesta, *args)),
            _numbers(await self._fetch(by_counter, *args)),
            _numbers(await self._fetch(f"{by_hour} ORDER BY 1", *args)),
            await self._uplift(where, args),
        )

    async def _uplift(self, where: str, args: Sequence[Any]) -> Uplift | None:
        rows = await self._fetch(
            "SELECT c.client_id, c.cesta, c.ordering, sum(c.shown) AS shown, sum(c.taken) AS taken, "
            f"sum(c.taken_squared) AS taken_squared FROM painel_cestas c WHERE {where} AND c.ordering <> '' "
            "AND NOT c.simulated GROUP BY 1, 2, 3",
            *args,
        )
        arms = {
            (row["client_id"], row["cesta"], row["ordering"]): ArmCount(
                int(row["shown"]), int(row["taken"]), int(row["taken_squared"])
            )
            for row in rows
        }
        none = ArmCount(0, 0, 0)
        places = sorted({(client, cesta) for client, cesta, _ in arms})
        return uplift((arms.get((*place, "aprendida"), none), arms.get((*place, "mantida"), none)) for place in places)

    async def blocks(self, view: View) -> list[dict[str, Any]]:
        """See ConsoleStore."""
        where, args = self._of(view)
        sql = (
            f"SELECT rule_id, item_id, sum(n) AS n FROM painel_bloqueios WHERE {where} "
            f"GROUP BY 1, 2 ORDER BY n DESC, 1, 2 LIMIT {ROWS_MAX}"
        )
        return _numbers(await self._fetch(sql, *args))

    async def search(self, view: View, search: Search, limit: int) -> list[dict[str, Any]]:
        """See ConsoleStore."""
        where, args = self._of(view, column="happened_at")
        if search.outcome:
            args.append(search.outcome)
            where += f" AND outcome = ${len(args)}"
        if search.words:
            args.append(self._dialect.words(search.words[:WORDS_MAX]))
            where += f" AND {self._dialect.has_words(f'${len(args)}')}"
        if search.older_than is not None:
            args += [self._instant(search.older_than[0]), search.older_than[1]]
            where += f" AND (happened_at, interaction_id) < (${len(args) - 1}, ${len(args)})"
        args.append(min(limit, ROWS_MAX))
        sql = (
            f"SELECT {', '.join(SUMMARY)} FROM interacoes WHERE {where} "
            f"ORDER BY happened_at DESC, interaction_id DESC LIMIT ${len(args)}"
        )
        return [readable(row) for row in await self._fetch(sql, *args)]

    async def latest(self, recorded_after: datetime, limit: int) -> list[dict[str, Any]]:
        """See ConsoleStore."""
        sql = (
            f"SELECT {', '.join(SUMMARY)} FROM interacoes WHERE recorded_at > $1 "
            "ORDER BY recorded_at DESC, happened_at DESC LIMIT $2"
        )
        return [readable(row) for row in await self._fetch(sql, self._instant(recorded_after), min(limit, ROWS_MAX))]

    async def interaction(self, interaction_id: str) -> dict[str, Any] | None:
        """See ConsoleStore."""
        rows = await self._fetch("SELECT * FROM interacoes WHERE interaction_id = $1", interaction_id)
        if not rows:
            return None
        told = await self._fetch(
            "SELECT item_id, result, reported_at FROM retornos WHERE suggestion_id = $1 AND counter_id = $2 "
            "ORDER BY reported_at LIMIT 50",
            rows[0]["suggestion_id"] or "",
            rows[0]["counter_id"],
        )
        return {**readable(rows[0]), "retornos": [readable(row) for row in told]}

    async def figures_behind(self) -> int:
        """See ConsoleStore."""
        [row] = await self._fetch("SELECT count(*) AS n FROM (SELECT DISTINCT hour, client_id FROM painel_pendentes) p")
        return int(row["n"])

    def _of(self, view: View, table: str = "", column: str = "hour") -> tuple[str, list[Any]]:
        """The condition of a view and its arguments, of which the first is `view.since`."""
        args = [self._instant(view.since), self._instant(view.before)]
        where = f"{table}{column} >= $1 AND {table}{column} < $2"
        for name, value in (("client_id", view.client_id), ("counter_id", view.counter_id)):
            if value:
                args.append(value)
                where += f" AND {table}{name} = ${len(args)}"
        return where, args


def _numbers(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows whose sums are Python's numbers: PostgreSQL's sum of integers is a Decimal."""
    return [{name: _number(value) for name, value in row.items()} for row in rows]


def _number(value: Any) -> Any:
    return value if isinstance(value, str | int | float) or value is None else int(value)


class ConsoleRelay(ABC):
    """ConsoleStore by way of somebody else who answers it: `_relay` carries a question there and brings its answer."""

    @abstractmethod
    async def _relay(self, question: str, *args: Any) -> Any:
        """The answer to the method named `question` of a ConsoleStore."""

    async def volume(self, view: View, step_s: int) -> list[dict[str, Any]]:
        """See ConsoleStore."""
        rows: list[dict[str, Any]] = await self._relay("volume", view, step_s)
        return rows

    async def delays(self, view: View, step_s: int) -> list[dict[str, Any]]:
        """See ConsoleStore."""
        rows: list[dict[str, Any]] = await self._relay("delays", view, step_s)
        return rows

    async def suggestions(self, view: View) -> Tables:
        """See ConsoleStore."""
        tables: Tables = await self._relay("suggestions", view)
        return tables

    async def blocks(self, view: View) -> list[dict[str, Any]]:
        """See ConsoleStore."""
        rows: list[dict[str, Any]] = await self._relay("blocks", view)
        return rows

    async def search(self, view: View, search: Search, limit: int) -> list[dict[str, Any]]:
        """See ConsoleStore."""
        rows: list[dict[str, Any]] = await self._relay("search", view, search, limit)
        return rows

    async def latest(self, recorded_after: datetime, limit: int) -> list[dict[str, Any]]:
        """See ConsoleStore."""
        rows: list[dict[str, Any]] = await self._relay("latest", recorded_after, limit)
        return rows

    async def interaction(self, interaction_id: str) -> dict[str, Any] | None:
        """See ConsoleStore."""
        row: dict[str, Any] | None = await self._relay("interaction", interaction_id)
        return row

    async def figures_behind(self) -> int:
        """See ConsoleStore."""
        return int(await self._relay("figures_behind"))
