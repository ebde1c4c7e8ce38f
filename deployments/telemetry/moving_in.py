"""Clients and counters of a previous installation, put into the database so that doing it again changes nothing."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, Literal, Protocol

from deployments.telemetry.records import Client, Counter

Placed = Literal["new", "known", "taken"]
"""new: was put in. known: was there already. taken: somebody else's counter has this key."""


class MovingStore(Protocol):
    """What the importer asks of a database. Every method may raise StoreUnavailable."""

    async def place_client(self, client: Client) -> tuple[Client, Placed]:
        """Put in a client unless one of its e-mail is there; the one that is there now."""

    async def place_counter(self, counter: Counter) -> tuple[str, Placed]:
        """Put in a counter unless one of its key is there, which is left as it is; the id of the one that is there."""


class MovingQueries(ABC):
    """MovingStore in SQL that PostgreSQL and SQLite both read."""

    @abstractmethod
    async def _fetch(self, sql: str, *args: Any) -> list[dict[str, Any]]:
        """Rows of a query. Raises StoreUnavailable."""

    @abstractmethod
    async def _execute(self, sql: str, *args: Any) -> int:
        """Commit one statement; returns the rows it touched."""

    @abstractmethod
    def _instant(self, instant: datetime) -> Any:
        """An aware instant as the database takes it."""

    async def place_client(self, client: Client) -> tuple[Client, Placed]:
        """See MovingStore."""
        made = await self._execute(
            "INSERT INTO clientes (client_id, code, email, company, phone, created_at) VALUES ($1, $2, $3, $4, $5, $6) "
            "ON CONFLICT DO NOTHING",
            *(client.client_id, client.code, client.email, client.company, client.phone, self._instant(_now())),
        )
        [row] = await self._fetch(
            "SELECT client_id, code, email, company, phone FROM clientes WHERE email = $1", client.email
        )
        return Client(**row), "new" if made else "known"

    async def place_counter(self, counter: Counter) -> tuple[str, Placed]:
        """See MovingStore."""
        made = await self._execute(
            "INSERT INTO balcoes (counter_id, client_id, name, key_hash, revoked, vad_settings, created_at) "
            "VALUES ($1, $2, $3, $4, FALSE, $5, $6) ON CONFLICT DO NOTHING",
            *(counter.counter_id, counter.client_id, counter.name, counter.key_hash),
            _json(counter.vad_settings),
            self._instant(_now()),
        )
        if made:
            return counter.counter_id, "new"
        sql = "SELECT counter_id, client_id FROM balcoes WHERE key_hash = $1"
        [there] = await self._fetch(sql, counter.key_hash)
        return there["counter_id"], "known" if there["client_id"] == counter.client_id else "taken"


def _json(value: Mapping[str, float] | None) -> str | None:
    return None if value is None else json.dumps(dict(value))


def _now() -> datetime:
    return datetime.now(timezone.utc)
