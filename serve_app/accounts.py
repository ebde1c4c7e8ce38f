"""Clients, counters and their keys: who may connect, remembered long enough to outlive a dead database."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from deployments.telemetry.records import Client, Counter


class AccountsSettings(BaseModel):
    """How long a counter's key is trusted without asking the database again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    key_cache_s: float = Field(4.0, ge=0, le=60)
    """A revoked key stops working within this time."""
    key_cache_outage_s: float = Field(86_400, ge=0)
    """While the database is out of reach, keys that it knew this recently still open the door."""
    key_cache_max: int = Field(20_000, ge=1)
    key_watch_s: float = Field(2.0, gt=0, le=60)
    """How often the keys of connected counters are looked at: one that was revoked is closed within this time."""


class Directory(Protocol):
    """Where accounts are kept (the telemetry stage)."""

    async def find_counter(self, key_hash: str) -> Counter | None:
        """The counter whose key has this hash, or None."""

    async def create_client(self, email: str, company: str, phone: str) -> Client:
        """Register a chain."""

    async def create_counter(self, client_code: str, name: str, key_hash: str) -> Counter:
        """Register a counter."""

    async def live_keys(self, key_hashes: Sequence[str]) -> list[str]:
        """Those of `key_hashes` that open the door now."""


class DirectoryUnavailable(Exception):
    """The accounts cannot be read now, and this key is not one that was known before."""


@dataclass(frozen=True, slots=True)
class _Known:
    counter: Counter | None
    asked_at_s: float


def new_key() -> str:
    """A counter's key: 256 random bits, shown once."""
    return f"bk_{secrets.token_urlsafe(32)}"


def hash_of(key: str) -> str:
    """SHA-256 of a key in hexadecimal. A plain hash is enough: keys are random, not chosen by people."""
    return hashlib.sha256(key.encode("utf-8", "replace")).hexdigest()


class Accounts:
    """Looks up keys by their hash, and keeps what it found."""

    def __init__(
        self, settings: AccountsSettings, directory: Directory, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._directory = directory
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def counter_of(self, key: str) -> Counter | None:
        """The counter that `key` belongs to; None when it is unknown or revoked. Raises DirectoryUnavailable."""
        key_hash = hash_of(key)
        known = self._known.get(key_hash)
        if known is None or self._clock() - known.asked_at_s > self._settings.key_cache_s:
            known = await self._ask(key_hash, known)
        counter = known.counter
        if counter is None or counter.revoked or not hmac.compare_digest(counter.key_hash, key_hash):
            return None
        return counter

    async def dead_among(self, key_hashes: Collection[str]) -> set[str]:
        """Those of `key_hashes` that open the door no more: revoked, or replaced. Raises DirectoryUnavailable."""
        try:
            live = await self._directory.live_keys(sorted(key_hashes))
        except Exception as exc:  # any way of not reaching the database: nothing is known to be revoked
            raise DirectoryUnavailable from exc
        dead = set(key_hashes) - set(live)
        for key_hash in dead:
            self._known.pop(key_hash, None)
        return dead

    async def register_counter(self, client_code: str, name: str) -> tuple[Counter, str]:
        """A new counter of the client with this code, and its key, which is not kept."""
        key = new_key()
        return await self._directory.create_counter(client_code, name, hash_of(key)), key

    async def register_client(self, email: str, company: str, phone: str) -> Client:
        """A new chain; its code registers counters."""
        return await self._directory.create_client(email, company, phone)

    async def _ask(self, key_hash: str, known: _Known | None) -> _Known:
        try:
            counter = await self._directory.find_counter(key_hash)
        except Exception as exc:  # any way of not reaching the database is the same to a counter at the door
            if known is None or self._clock() - known.asked_at_s > self._settings.key_cache_outage_s:
                raise DirectoryUnavailable from exc
            return known
        found = _Known(counter, self._clock())
        if counter is not None:  # unknown keys are not kept: guessing must not fill the memory
            self._known[key_hash] = found
            self._known.move_to_end(key_hash)
            while len(self._known) > self._settings.key_cache_max:
                self._known.popitem(last=False)
        else:
            self._known.pop(key_hash, None)
        return found
