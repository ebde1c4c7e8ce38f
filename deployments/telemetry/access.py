"""Accounts beyond the key: passwords, secrets, ended sessions, lists of clients and counters, and the log of acts."""

from __future__ import annotations

import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Protocol

from deployments.telemetry.errors import UnknownCounter
from deployments.telemetry.records import Client, Counter
from deployments.telemetry.rows import readable

KEYS_AT_ONCE = 500
"""Keys asked for in one statement; PostgreSQL takes 32,767 placeholders, SQLite as many."""


@dataclass(frozen=True, slots=True)
class Credential:
    """An account's password. `password_hash` is empty where none is set; `version` grows with every change."""

    account_id: str
    password_hash: str = ""
    version: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """What became of a signed-in session: it is void once `ended`, or once the account's version is another one."""

    version: int
    ended: bool


@dataclass(frozen=True, slots=True)
class Act:
    """One administrative act, as it was ordered: who, what, to what, from which address, when (aware UTC)."""

    actor: str
    action: str
    target: str
    address: str
    happened_at: datetime
    details: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the rows that a question has, and how many it has in all."""

    total: int
    rows: list[dict[str, Any]]


class AccessStore(Protocol):
    """The questions and orders of access. Every method may raise StoreUnavailable."""

    async def find_client_by_email(self, email: str) -> Client | None:
        """The client of this e-mail, in any case of letters."""

    async def find_client_by_id(self, client_id: str) -> Client | None:
        """The client of this id."""

    async def find_counter_by_id(self, counter_id: str) -> Counter | None:
        """The counter of this id, revoked or not."""

    async def clients(self, search: str, limit: int, offset: int) -> Page:
        """Clients by name, those whose name or e-mail contains `search` or whose code it is: `client_id`, `code`,
        `email`, `company`, `phone`, `created_at`, `counters` (not revoked)."""

    async def counters(self, search: str, client_id: str, limit: int, offset: int) -> Page:
        """Counters by name, of one client or (empty `client_id`) of all, whose name contains `search`: `counter_id`,
        `name`, `revoked`, `vad_settings`, `created_at`, `client_id`, `code` and `company` of the client."""

    async def rotate_key(self, counter_id: str, key_hash: str) -> None:
        """From now on this key opens the door, revoked or not before; the old one opens nothing. Raises
        UnknownCounter."""

    async def live_keys(self, key_hashes: Sequence[str]) -> list[str]:
        """Those of `key_hashes` that open the door now."""

    async def credential(self, account_id: str) -> Credential:
        """An account's password; one of version 0 where none was ever set."""

    async def set_password(self, account_id: str, password_hash: str, expected_version: int) -> bool:
        """Set (empty: take away) a password if its version is still the expected one; whether it was."""

    async def secret(self, name: str, fresh: str) -> str:
        """A secret of the service, the same for all replicas: `fresh` becomes it where there is none."""

    async def put_one_time(self, name: str, value_hash: str, expires_at: datetime) -> None:
        """Keep the hash of a secret that works once, until `expires_at`; an earlier one of this name is void."""

    async def take_one_time(self, name: str, value_hash: str) -> bool:
        """Use a one-time secret up; whether it was there and in time."""

    async def end_session(self, web_session_id: str, expires_at: datetime) -> None:
        """A session is over before its time, which is `expires_at`."""

    async def standing(self, account_id: str, web_session_id: str) -> Standing:
        """What became of a session."""

    async def write_act(self, act: Act) -> None:
        """Put an act into the log."""

    async def acts(self, limit: int, offset: int) -> Page:
        """The log of acts, newest first."""


class AccessQueries(ABC):
    """AccessStore in SQL that PostgreSQL and SQLite both read, on top of the two verbs that each database brings."""

    @abstractmethod
    async def _fetch(self, sql: str, *args: Any) -> list[dict[str, Any]]:
        """Rows of a query. Raises StoreUnavailable."""

    @abstractmethod
    async def _execute(self, sql: str, *args: Any) -> int:
        """Commit one statement; returns the rows it touched."""

    @abstractmethod
    def _instant(self, instant: datetime) -> Any:
        """An aware instant as the database takes it."""

    async def find_client_by_email(self, email: str) -> Client | None:
        """See AccessStore."""
        rows = await self._fetch(f"{_CLIENT} WHERE email = $1", email.strip().lower())
        return Client(**rows[0]) if rows else None

    async def find_client_by_id(self, client_id: str) -> Client | None:
        """See AccessStore."""
        rows = await self._fetch(f"{_CLIENT} WHERE client_id = $1", client_id)
        return Client(**rows[0]) if rows else None

    async def find_counter_by_id(self, counter_id: str) -> Counter | None:
        """See AccessStore."""
        sql = "SELECT counter_id, client_id, name, key_hash, revoked, vad_settings FROM balcoes WHERE counter_id = $1"
        rows = await self._fetch(sql, counter_id)
        return Counter(**readable(rows[0])) if rows else None

    async def clients(self, search: str, limit: int, offset: int) -> Page:
        """See AccessStore."""
        where = "WHERE lower(company) LIKE $1 ESCAPE '\\' OR email LIKE $1 ESCAPE '\\' OR code = $2"
        args = (_containing(search), search.strip())
        return await self._page(
            "clientes", f"{_CLIENT_ROW} {where} ORDER BY company, client_id", where, args, limit, offset
        )

    async def counters(self, search: str, client_id: str, limit: int, offset: int) -> Page:
        """See AccessStore."""
        where = "WHERE lower(b.name) LIKE $1 ESCAPE '\\' AND ($2 = '' OR b.client_id = $2)"
        args = (_containing(search), client_id)
        order = "ORDER BY b.name, b.counter_id"
        return await self._page("balcoes b", f"{_COUNTER_ROW} {where} {order}", where, args, limit, offset)

    async def rotate_key(self, counter_id: str, key_hash: str) -> None:
        """See AccessStore."""
        sql = "UPDATE balcoes SET key_hash = $1, revoked = FALSE WHERE counter_id = $2"
        if not await self._execute(sql, key_hash, counter_id):
            raise UnknownCounter(counter_id)

    async def live_keys(self, key_hashes: Sequence[str]) -> list[str]:
        """See AccessStore."""
        live: list[str] = []
        for first in range(0, len(key_hashes), KEYS_AT_ONCE):
            some = key_hashes[first : first + KEYS_AT_ONCE]
            marks = ", ".join(f"${n}" for n in range(1, len(some) + 1))
            sql = f"SELECT key_hash FROM balcoes WHERE NOT revoked AND key_hash IN ({marks})"  # noqa: S608 - only marks
            live += [row["key_hash"] for row in await self._fetch(sql, *some)]
        return live

    async def credential(self, account_id: str) -> Credential:
        """See AccessStore."""
        sql = "SELECT account_id, password_hash, version FROM senhas WHERE account_id = $1"
        rows = await self._fetch(sql, account_id)
        return Credential(**rows[0]) if rows else Credential(account_id)

    async def set_password(self, account_id: str, password_hash: str, expected_version: int) -> bool:
        """See AccessStore."""
        now = self._instant(datetime.now(timezone.utc))
        if expected_version == 0:
            sql = (
                "INSERT INTO senhas (account_id, password_hash, version, changed_at) VALUES ($1, $2, 1, $3) "
                "ON CONFLICT DO NOTHING"
            )
            return bool(await self._execute(sql, account_id, password_hash, now))
        sql = (
            "UPDATE senhas SET password_hash = $1, version = version + 1, changed_at = $2 "
            "WHERE account_id = $3 AND version = $4"
        )
        return bool(await self._execute(sql, password_hash, now, account_id, expected_version))

    async def secret(self, name: str, fresh: str) -> str:
        """See AccessStore."""
        await self._execute("INSERT INTO segredos (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING", name, fresh)
        [row] = await self._fetch("SELECT value FROM segredos WHERE name = $1", name)
        return str(row["value"])

    async def put_one_time(self, name: str, value_hash: str, expires_at: datetime) -> None:
        """See AccessStore."""
        sql = (
            "INSERT INTO segredos (name, value, expires_at) VALUES ($1, $2, $3) "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at"
        )
        await self._execute(sql, name, value_hash, self._instant(expires_at))

    async def take_one_time(self, name: str, value_hash: str) -> bool:
        """See AccessStore."""
        sql = "DELETE FROM segredos WHERE name = $1 AND value = $2 AND expires_at > $3"
        return bool(await self._execute(sql, name, value_hash, self._instant(datetime.now(timezone.utc))))

    async def end_session(self, web_session_id: str, expires_at: datetime) -> None:
        """See AccessStore."""
        now = self._instant(datetime.now(timezone.utc))
        await self._execute("DELETE FROM sessoes_encerradas WHERE expires_at < $1", now)
        sql = "INSERT INTO sessoes_encerradas (web_session_id, expires_at) VALUES ($1, $2) ON CONFLICT DO NOTHING"
        await self._execute(sql, web_session_id, self._instant(expires_at))

    async def standing(self, account_id: str, web_session_id: str) -> Standing:
        """See AccessStore."""
        sql = (
            "SELECT coalesce((SELECT version FROM senhas WHERE account_id = $1), 0) AS version, "
            "(SELECT count(*) FROM sessoes_encerradas WHERE web_session_id = $2) AS ended"
        )
        [row] = await self._fetch(sql, account_id, web_session_id)
        return Standing(int(row["version"]), bool(row["ended"]))

    async def write_act(self, act: Act) -> None:
        """See AccessStore."""
        details = None if act.details is None else json.dumps(act.details, ensure_ascii=False)
        sql = (
            "INSERT INTO auditoria (act_id, happened_at, actor, action, target, address, details) "
            "VALUES ($1, $2, $3, $4, $5, $6, $7)"
        )
        what = (act.actor, act.action, act.target, act.address, details)
        await self._execute(sql, str(uuid.uuid4()), self._instant(act.happened_at), *what)

    async def acts(self, limit: int, offset: int) -> Page:
        """See AccessStore."""
        sql = "SELECT * FROM auditoria ORDER BY happened_at DESC, act_id DESC"
        return await self._page("auditoria", sql, "", (), limit, offset)

    async def _page(self, table: str, sql: str, where: str, args: Sequence[Any], limit: int, offset: int) -> Page:
        [count] = await self._fetch(f"SELECT count(*) AS n FROM {table} {where}", *args)  # noqa: S608 - our own text
        n = len(args)
        rows = await self._fetch(f"{sql} LIMIT ${n + 1} OFFSET ${n + 2}", *args, limit, offset)
        return Page(int(count["n"]), [readable(row) for row in rows])


class AccessRelay(ABC):
    """AccessStore by way of somebody else who answers it: `_relay` carries a question there and brings its answer."""

    @abstractmethod
    async def _relay(self, question: str, *args: Any) -> Any:
        """The answer to the method named `question` of an AccessStore."""

    async def find_client_by_email(self, email: str) -> Client | None:
        """See AccessStore."""
        found: Client | None = await self._relay("find_client_by_email", email)
        return found

    async def find_client_by_id(self, client_id: str) -> Client | None:
        """See AccessStore."""
        found: Client | None = await self._relay("find_client_by_id", client_id)
        return found

    async def find_counter_by_id(self, counter_id: str) -> Counter | None:
        """See AccessStore."""
        found: Counter | None = await self._relay("find_counter_by_id", counter_id)
        return found

    async def clients(self, search: str, limit: int, offset: int) -> Page:
        """See AccessStore."""
        page: Page = await self._relay("clients", search, limit, offset)
        return page

    async def counters(self, search: str, client_id: str, limit: int, offset: int) -> Page:
        """See AccessStore."""
        page: Page = await self._relay("counters", search, client_id, limit, offset)
        return page

    async def rotate_key(self, counter_id: str, key_hash: str) -> None:
        """See AccessStore."""
        await self._relay("rotate_key", counter_id, key_hash)

    async def live_keys(self, key_hashes: Sequence[str]) -> list[str]:
        """See AccessStore."""
        live: list[str] = await self._relay("live_keys", list(key_hashes))
        return live

    async def credential(self, account_id: str) -> Credential:
        """See AccessStore."""
        credential: Credential = await self._relay("credential", account_id)
        return credential

    async def set_password(self, account_id: str, password_hash: str, expected_version: int) -> bool:
        """See AccessStore."""
        return bool(await self._relay("set_password", account_id, password_hash, expected_version))

    async def secret(self, name: str, fresh: str) -> str:
        """See AccessStore."""
        return str(await self._relay("secret", name, fresh))

    async def put_one_time(self, name: str, value_hash: str, expires_at: datetime) -> None:
        """See AccessStore."""
        await self._relay("put_one_time", name, value_hash, expires_at)

    async def take_one_time(self, name: str, value_hash: str) -> bool:
        """See AccessStore."""
        return bool(await self._relay("take_one_time", name, value_hash))

    async def end_session(self, web_session_id: str, expires_at: datetime) -> None:
        """See AccessStore."""
        await self._relay("end_session", web_session_id, expires_at)

    async def standing(self, account_id: str, web_session_id: str) -> Standing:
        """See AccessStore."""
        standing: Standing = await self._relay("standing", account_id, web_session_id)
        return standing

    async def write_act(self, act: Act) -> None:
        """See AccessStore."""
        await self._relay("write_act", act)

    async def acts(self, limit: int, offset: int) -> Page:
        """See AccessStore."""
        page: Page = await self._relay("acts", limit, offset)
        return page


_CLIENT = "SELECT client_id, code, email, company, phone FROM clientes"
_CLIENT_ROW = (
    "SELECT client_id, code, email, company, phone, created_at, (SELECT count(*) FROM balcoes AS b "
    "WHERE b.client_id = clientes.client_id AND NOT b.revoked) AS counters FROM clientes"
)
_COUNTER_ROW = (
    "SELECT b.counter_id, b.name, b.revoked, b.vad_settings, b.created_at, b.client_id, c.code, c.company "
    "FROM balcoes AS b JOIN clientes AS c ON c.client_id = b.client_id"
)


def _containing(search: str) -> str:
    """A LIKE pattern (escape sign: backslash) for texts in lower case that contain `search` as it is."""
    plain = search.strip().lower().replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{plain}%"
