"""The port of the database, and the questions that both databases answer with the same SQL."""

from __future__ import annotations

import json
import secrets
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Protocol

from deployments.telemetry.access import AccessQueries, AccessStore
from deployments.telemetry.console_queries import ConsoleQueries, ConsoleStore
from deployments.telemetry.costs import DAY_BEGINS_UTC_H, Cost, CostQueries
from deployments.telemetry.erasure import PrivacyQueries, PrivacyStore
from deployments.telemetry.errors import EmailTaken, KeyTaken, UnknownClient, UnknownCounter
from deployments.telemetry.moving_in import MovingQueries, MovingStore
from deployments.telemetry.outcomes import OutcomeQueries, OutcomeStore
from deployments.telemetry.records import Client, Counter
from deployments.telemetry.rollups import RollupQueries, RollupStore
from deployments.telemetry.rows import Row, readable

CODE_ALPHABET = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
"""No 0, O, 1, I, L: people type client codes."""
CODE_LENGTH = 12
"""12 of 31 signs: 59 bits."""
PAGE_MAX = 10_000
"""Interactions in one answer, at most."""


class RowStore(Protocol):
    """What the shipper needs of a database."""

    async def write(self, rows: Sequence[Row]) -> int:
        """Commit `rows`, all or none; those already there change nothing. Returns how many were new.

        Raises StoreUnavailable, or StoreRefused when the contents of some row are at fault.
        """


class Store(RowStore, AccessStore, PrivacyStore, MovingStore, OutcomeStore, ConsoleStore, RollupStore, Protocol):
    """A database: rows in, and the owner's questions. Every method may raise StoreUnavailable."""

    async def find_counter(self, key_hash: str) -> Counter | None:
        """The counter whose key has this SHA-256, revoked or not."""

    async def find_client(self, code: str) -> Client | None:
        """The client of this code."""

    async def create_client(self, email: str, company: str, phone: str) -> Client:
        """A new client with a code that cannot be guessed. Raises EmailTaken."""

    async def create_counter(self, client_code: str, name: str, key_hash: str) -> Counter:
        """A new counter of a client. Raises UnknownClient, KeyTaken."""

    async def revoke_counter(self, counter_id: str) -> None:
        """From now on the counter's key opens nothing. Raises UnknownCounter."""

    async def counters_of(self, client_code: str) -> list[Counter]:
        """A client's counters by name. Raises UnknownClient."""

    async def set_vad_settings(self, counter_id: str, settings: Mapping[str, float] | None) -> None:
        """Keep a counter's gate settings (None: the service's). Raises UnknownCounter."""

    async def interactions(
        self,
        limit: int = 100,
        offset: int = 0,
        *,
        counter_id: str | None = None,
        client_id: str | None = None,
        session_id: str | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
    ) -> list[dict[str, Any]]:
        """Interactions, newest first, all columns, by `happened_at` from `since` (inclusive) to `before` (exclusive).

        At most 10,000 at once, whatever `limit` says.
        """

    async def counter_metrics(self, counter_id: str, since: datetime | None = None) -> dict[str, Any]:
        """A counter's figures: interactions by outcome, delay quantiles in ms, cost in USD, results of suggestions."""

    async def costs(self, since: datetime, day_begins_utc_h: int = DAY_BEGINS_UTC_H, client_id: str = "") -> list[Cost]:
        """What was spent since then, by client and day, oldest day first; of one client, or of all."""

    async def session_rows(self, session_id: str) -> SessionRows:
        """What the database holds of a session."""

    async def ping(self) -> None:
        """Returns when the database answers."""

    async def close(self) -> None:
        """Release connections."""


@dataclass(frozen=True, slots=True)
class SessionRows:
    """A session's rows in the database, each part newest first and bounded."""

    utterances: list[dict[str, Any]]
    suggestions: list[dict[str, Any]]
    texts: list[dict[str, Any]]


class UniqueViolation(Exception):
    """A key exists already: raised by `_execute`, translated by the methods that know which."""


class SqlStore(
    AccessQueries, PrivacyQueries, MovingQueries, CostQueries, OutcomeQueries, ConsoleQueries, RollupQueries, ABC
):
    """The questions, on top of the two verbs that each database brings: `_fetch` and `_execute`.

    Placeholders are `$1`, `$2`, …, which PostgreSQL and SQLite both read; instants are passed through `_instant`.
    """

    @abstractmethod
    async def _fetch(self, sql: str, *args: Any) -> list[dict[str, Any]]:
        """Rows of a query. Raises StoreUnavailable."""

    @abstractmethod
    async def _execute(self, sql: str, *args: Any) -> int:
        """Commit one statement; returns the rows it touched. Raises UniqueViolation, StoreUnavailable."""

    @abstractmethod
    async def _delays_ms(self, where: str, args: Sequence[Any]) -> dict[str, Any]:
        """`p50_ms`, `p95_ms`, `max_ms`, `amostras` of sent_to_counter_at - speech_ended_at, interpolated linearly."""

    @abstractmethod
    def _instant(self, instant: datetime) -> Any:
        """An aware instant as the database takes it."""

    async def find_counter(self, key_hash: str) -> Counter | None:
        """See Store."""
        rows = await self._fetch(f"{_COUNTERS} WHERE key_hash = $1", key_hash)
        return _counter(rows[0]) if rows else None

    async def find_client(self, code: str) -> Client | None:
        """See Store."""
        rows = await self._fetch("SELECT client_id, code, email, company, phone FROM clientes WHERE code = $1", code)
        return Client(**rows[0]) if rows else None

    async def create_client(self, email: str, company: str, phone: str) -> Client:
        """See Store."""
        code = "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_LENGTH))
        client = Client(str(uuid.uuid4()), code, email.strip().lower(), company, phone)
        try:
            await self._execute(
                "INSERT INTO clientes (client_id, code, email, company, phone, created_at) "
                "VALUES ($1, $2, $3, $4, $5, $6)",
                *(client.client_id, client.code, client.email, client.company, client.phone, self._now()),
            )
        except UniqueViolation:
            raise EmailTaken("a client of this e-mail exists") from None
        return client

    async def create_counter(self, client_code: str, name: str, key_hash: str) -> Counter:
        """See Store."""
        client = await self._client(client_code)
        counter = Counter(str(uuid.uuid4()), client.client_id, name, key_hash)
        try:
            await self._execute(
                "INSERT INTO balcoes (counter_id, client_id, name, key_hash, revoked, created_at) "
                "VALUES ($1, $2, $3, $4, FALSE, $5)",
                *(counter.counter_id, counter.client_id, counter.name, counter.key_hash, self._now()),
            )
        except UniqueViolation:
            raise KeyTaken("a counter of this key exists") from None
        return counter

    async def revoke_counter(self, counter_id: str) -> None:
        """See Store."""
        if not await self._execute("UPDATE balcoes SET revoked = TRUE WHERE counter_id = $1", counter_id):
            raise UnknownCounter(counter_id)

    async def counters_of(self, client_code: str) -> list[Counter]:
        """See Store."""
        client = await self._client(client_code)
        rows = await self._fetch(f"{_COUNTERS} WHERE client_id = $1 ORDER BY name, counter_id", client.client_id)
        return [_counter(row) for row in rows]

    async def set_vad_settings(self, counter_id: str, settings: Mapping[str, float] | None) -> None:
        """See Store."""
        text = None if settings is None else json.dumps(dict(settings))
        if not await self._execute("UPDATE balcoes SET vad_settings = $1 WHERE counter_id = $2", text, counter_id):
            raise UnknownCounter(counter_id)

    async def interactions(
        self,
        limit: int = 100,
        offset: int = 0,
        *,
        counter_id: str | None = None,
        client_id: str | None = None,
        session_id: str | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
    ) -> list[dict[str, Any]]:
        """See Store."""
        where, args = self._where(counter_id=counter_id, client_id=client_id, session_id=session_id, since=since)
        if before is not None:
            args.append(self._instant(before))
            where += f" AND happened_at < ${len(args)}"
        sql = (
            f"SELECT * FROM interacoes WHERE {where} "  # noqa: S608 - only names and placeholders
            f"ORDER BY happened_at DESC, interaction_id DESC LIMIT ${len(args) + 1} OFFSET ${len(args) + 2}"
        )
        return [readable(row) for row in await self._fetch(sql, *args, min(limit, PAGE_MAX), offset)]

    async def counter_metrics(self, counter_id: str, since: datetime | None = None) -> dict[str, Any]:
        """See Store."""
        where, args = self._where(counter_id=counter_id, since=since)
        by_outcome = await self._fetch(
            f"SELECT outcome, count(*) AS n, coalesce(sum(stt_cost_usd), 0) AS stt, "  # noqa: S608
            f"coalesce(sum(advisor_cost_usd), 0) AS advisor, coalesce(sum(duration_s), 0) AS audio "
            f"FROM interacoes WHERE {where} GROUP BY outcome ORDER BY outcome",
            *args,
        )
        results = await self._fetch(
            "SELECT result, count(*) AS n FROM retornos WHERE counter_id = $1 GROUP BY result ORDER BY result",
            counter_id,
        )
        return {
            "balcao_id": counter_id,
            "interacoes": sum(row["n"] for row in by_outcome),
            "por_desfecho": {row["outcome"]: row["n"] for row in by_outcome},
            "atraso": await self._delays_ms(f"{where} AND sent_to_counter_at >= speech_ended_at", args),
            "custo_stt_usd": round(sum(row["stt"] for row in by_outcome), 9),
            "custo_llm_usd": round(sum(row["advisor"] for row in by_outcome), 9),
            "audio_s": round(sum(row["audio"] for row in by_outcome), 6),
            "retornos": {row["result"]: row["n"] for row in results},
        }

    async def session_rows(self, session_id: str) -> SessionRows:
        """See Store."""
        return SessionRows(*[await self._of_session(session_id, *part) for part in _SESSION_PARTS])

    async def ping(self) -> None:
        """See Store."""
        await self._fetch("SELECT 1")

    async def _of_session(self, session_id: str, condition: str, limit: int) -> list[dict[str, Any]]:
        sql = (
            f"SELECT {_SESSION_COLUMNS} FROM interacoes WHERE session_id = $1 AND {condition} "  # noqa: S608 - our names
            "ORDER BY happened_at DESC, interaction_id DESC LIMIT $2"
        )
        return [readable(row) for row in await self._fetch(sql, session_id, limit)]

    async def _client(self, code: str) -> Client:
        client = await self.find_client(code)
        if client is None:
            raise UnknownClient("no client of this code")
        return client

    def _where(self, since: datetime | None = None, **equal: str | None) -> tuple[str, list[Any]]:
        args: list[Any] = [value for value in equal.values() if value is not None]
        names = [name for name, value in equal.items() if value is not None]
        conditions = [f"{name} = ${n}" for n, name in enumerate(names, 1)]
        if since is not None:
            args.append(self._instant(since))
            conditions.append(f"happened_at >= ${len(args)}")
        return " AND ".join(conditions) or "TRUE", args

    def _now(self) -> Any:
        return self._instant(datetime.now(timezone.utc))


_COUNTERS = "SELECT counter_id, client_id, name, key_hash, revoked, vad_settings FROM balcoes"
_SESSION_COLUMNS = (
    "interaction_id, counter_id, first_sample, end_sample, suggestion_id, items, text, entities, outcome, "
    "advice_origin, simulated, sent_to_counter_at, happened_at"
)
_SESSION_PARTS = (("end_sample IS NOT NULL", 200), ("suggestion_id IS NOT NULL", 1000), ("text <> ''", 40))


def _counter(row: dict[str, Any]) -> Counter:
    return Counter(**readable(row))
