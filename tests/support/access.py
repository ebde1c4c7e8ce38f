"""Passwords, secrets, sessions and acts in memory, as the database keeps them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from deployments.telemetry.access import Act, Credential, Page, Standing
from deployments.telemetry.errors import StoreUnavailable, UnknownCounter
from deployments.telemetry.records import Client, Counter


@dataclass(kw_only=True)
class MemoryAccess:
    """An AccessStore; `down` makes it a database that is away."""

    counters_known: dict[str, Counter] = field(default_factory=dict)
    clients_known: dict[str, Client] = field(default_factory=dict)
    credentials: dict[str, Credential] = field(default_factory=dict)
    secrets: dict[str, str] = field(default_factory=dict)
    one_time: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)
    log: list[Act] = field(default_factory=list)
    away: bool = False

    async def find_client_by_email(self, email: str) -> Client | None:
        self._reach()
        return next((c for c in self.clients_known.values() if c.email == email.strip().lower()), None)

    async def find_client_by_id(self, client_id: str) -> Client | None:
        self._reach()
        return self.clients_known.get(client_id)

    async def find_counter_by_id(self, counter_id: str) -> Counter | None:
        self._reach()
        return self.counters_known.get(counter_id)

    async def rotate_key(self, counter_id: str, key_hash: str) -> None:
        self._reach()
        if counter_id not in self.counters_known:
            raise UnknownCounter(counter_id)
        self.counters_known[counter_id] = replace(self.counters_known[counter_id], key_hash=key_hash, revoked=False)

    async def live_keys(self, key_hashes: list[str]) -> list[str]:
        self._reach()
        live = {counter.key_hash for counter in self._all_counters() if not counter.revoked}
        return [key_hash for key_hash in key_hashes if key_hash in live]

    async def credential(self, account_id: str) -> Credential:
        self._reach()
        return self.credentials.get(account_id, Credential(account_id))

    async def set_password(self, account_id: str, password_hash: str, expected_version: int) -> bool:
        if (await self.credential(account_id)).version != expected_version:
            return False
        self.credentials[account_id] = Credential(account_id, password_hash, expected_version + 1)
        return True

    async def secret(self, name: str, fresh: str) -> str:
        self._reach()
        return self.secrets.setdefault(name, fresh)

    async def put_one_time(self, name: str, value_hash: str, expires_at: datetime) -> None:
        self._reach()
        self.one_time[name] = (value_hash, expires_at)

    async def take_one_time(self, name: str, value_hash: str) -> bool:
        self._reach()
        known = self.one_time.get(name)
        if known is None or known[0] != value_hash or known[1] < datetime.now(timezone.utc):
            return False
        del self.one_time[name]
        return True

    async def end_session(self, web_session_id: str, expires_at: datetime) -> None:
        self._reach()
        self.ended.add(web_session_id)

    async def standing(self, account_id: str, web_session_id: str) -> Standing:
        return Standing((await self.credential(account_id)).version, web_session_id in self.ended)

    async def write_act(self, act: Act) -> None:
        self._reach()
        self.log.append(act)

    async def acts(self, limit: int, offset: int) -> Page:
        self._reach()
        rows: list[dict[str, Any]] = [{"actor": act.actor, "action": act.action} for act in reversed(self.log)]
        return Page(len(rows), rows[offset : offset + limit])

    def _all_counters(self) -> list[Counter]:
        return [*self.counters_known.values(), *getattr(self, "counters", [])]

    def _reach(self) -> None:
        if self.away or getattr(self, "down", False):
            raise StoreUnavailable("down")
