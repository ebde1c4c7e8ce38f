"""Moves a source's rows into the database: clients first, then counters, then interactions; again changes nothing."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone, tzinfo
from typing import Any, Final, Protocol

from deployments.telemetry.moving_in import MovingStore
from deployments.telemetry.records import Client, Counter, Feedback, Interaction
from deployments.telemetry.rows import encode
from deployments.telemetry.store import RowStore
from privacy.redact import Redactor
from serve_app.importer.old_rows import (
    INSTANTS,
    Interactions,
    RowRefused,
    client_of,
    counter_of,
    feedback_of,
    vad_settings_of,
)
from serve_app.importer.source import Source, SourceError

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "users": ("user_id", "email", "razao_social", "telefone"),
    "balcoes": ("balcao_id", "user_id", "nome_balcao", "api_key", "vad_config"),
    "interacoes": (
        "balcao_id",
        "timestamp",
        "transcricao_completa",
        "recomendacao_gerada",
        "resultado_feedback",
        "modelo_stt",
        "custo_estimado",
        "snr",
        *INSTANTS,
    ),
}
"""What is read of each table, in the order in which they are moved."""
NEEDED: Final = {
    "users": ("user_id", "email"),
    "balcoes": ("balcao_id", "user_id", "api_key"),
    "interacoes": ("balcao_id", "timestamp"),
}
"""Columns without which a table cannot be moved."""
_ORDER: Final = {"users": "user_id", "balcoes": "balcao_id", "interacoes": "timestamp"}


class Target(MovingStore, RowStore, Protocol):
    """The database that things are moved into."""


@dataclass(slots=True)
class Moved:
    """What became of one table's rows."""

    read: int = 0
    new: int = 0
    known: int = 0
    refused: Tally[str] = field(default_factory=Tally)
    """Rows left out, by the reason."""
    notes: Tally[str] = field(default_factory=Tally)
    """Parts of rows left out, by the reason; the row itself was moved."""


@dataclass(slots=True)
class Report:
    """What was moved, and what was not looked at."""

    tables: dict[str, Moved] = field(default_factory=lambda: {name: Moved() for name in COLUMNS})
    feedback: Moved = field(default_factory=Moved)
    redactions: int = 0
    missing_tables: list[str] = field(default_factory=list)
    ignored_tables: list[str] = field(default_factory=list)
    ignored_columns: dict[str, list[str]] = field(default_factory=dict)
    clients: list[Client] = field(default_factory=list)


class Move:
    """One run. Without a `target` nothing is written: every row that could be moved counts as new."""

    def __init__(self, source: Source, target: Target | None, redactor: Redactor, zone: tzinfo) -> None:
        self._source = source
        self._target = target
        self._interactions = Interactions(redactor, zone)
        self._clients: dict[str, Client] = {}
        self._counters: dict[str, Counter] = {}
        self._now = datetime.now(timezone.utc)
        self.report = Report()

    async def run(self) -> Report:
        """Move everything. Raises SourceError, and what the target raises; what was moved until then stays moved."""
        tables = await self._source.tables()
        self._look(tables)
        for table, work in (("users", self._client), ("balcoes", self._counter)):
            async for batch in self._batches(table, tables):
                for row in batch:
                    await self._each(table, row, work)
        async for batch in self._batches("interacoes", tables):
            await self._write(batch)
        return self.report

    def _look(self, tables: Mapping[str, Sequence[str]]) -> None:
        """Say what is ignored and what is missing. Raises SourceError where nothing of it is ours."""
        report = self.report
        report.missing_tables = [name for name in COLUMNS if name not in tables]
        report.ignored_tables = sorted(name for name in tables if name not in COLUMNS)
        if len(report.missing_tables) == len(COLUMNS):
            raise SourceError(f"none of the tables {', '.join(COLUMNS)} is there: is it the right database?")
        for name in COLUMNS.keys() & tables.keys():
            lacking = [column for column in NEEDED[name] if column not in tables[name]]
            if lacking:
                raise SourceError(f"{name}: the columns {', '.join(lacking)} are missing")
            if ignored := [column for column in tables[name] if column not in COLUMNS[name]]:
                report.ignored_columns[name] = ignored

    async def _batches(self, table: str, tables: Mapping[str, Sequence[str]]) -> Any:
        if table not in tables:
            return
        columns = [column for column in COLUMNS[table] if column in tables[table]]
        async for batch in self._source.rows(table, columns, _ORDER[table]):
            self.report.tables[table].read += len(batch)
            yield batch

    async def _each(self, table: str, row: Mapping[str, Any], work: Any) -> None:
        moved = self.report.tables[table]
        try:
            placed = await work(row)
        except RowRefused as exc:
            moved.refused[str(exc)] += 1
            return
        if placed == "taken":
            moved.refused["its key belongs to another client's counter here"] += 1
        elif placed == "new":
            moved.new += 1
        else:
            moved.known += 1

    async def _client(self, row: Mapping[str, Any]) -> str:
        client, placed = client_of(row), "new"
        if self._target is not None:
            client, placed = await self._target.place_client(client)
            self.report.clients.append(client)
        self._clients[str(row["user_id"])] = client
        return placed

    async def _counter(self, row: Mapping[str, Any]) -> str:
        client = self._clients.get(str(row["user_id"]))
        if client is None:
            raise RowRefused("its user_id is not in users")
        counter = counter_of(row, client.client_id)
        try:
            counter = replace(counter, vad_settings=vad_settings_of(row))
        except RowRefused as exc:
            self.report.tables["balcoes"].notes[str(exc)] += 1
        counter_id, placed = counter.counter_id, "new"
        if self._target is not None:
            counter_id, placed = await self._target.place_counter(counter)
        if placed != "taken":
            self._counters[str(row["balcao_id"])] = replace(counter, counter_id=counter_id)
        return placed

    async def _write(self, batch: Sequence[Mapping[str, Any]]) -> None:
        """Write one batch of interactions and what became of their suggestions."""
        interactions: list[Interaction] = []
        results: list[Feedback] = []
        for row in batch:
            try:
                interactions.append(self._interaction(row))
            except RowRefused as exc:
                self.report.tables["interacoes"].refused[str(exc)] += 1
                continue
            try:
                result = feedback_of(row, interactions[-1])
            except RowRefused as exc:
                self.report.tables["interacoes"].notes[str(exc)] += 1
            else:
                results += [result] if result is not None else []
        await self._put(self.report.tables["interacoes"], interactions)
        await self._put(self.report.feedback, results)

    def _interaction(self, row: Mapping[str, Any]) -> Interaction:
        counter = self._counters.get(str(row["balcao_id"]))
        if counter is None:
            raise RowRefused("its balcao_id is not in balcoes")
        interaction = self._interactions.interaction_of(row, counter)
        self.report.redactions += interaction.text != str(row.get("transcricao_completa") or "").strip()
        return interaction

    async def _put(self, moved: Moved, records: Sequence[Interaction | Feedback]) -> None:
        if moved is self.report.feedback:
            moved.read += len(records)
        rows = [encode(record, self._now) for record in records]
        new = len(rows) if self._target is None or not rows else await self._target.write(rows)
        moved.new += new
        moved.known += len(rows) - new
