"""Passwords by argon2id, hashed in a thread, one at a time: each costs 19 MiB and some 30 ms of a core."""

from __future__ import annotations

import asyncio
import hashlib
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

PASSWORD_MIN = 12
"""Signs. Length is what helps (NIST SP 800-63B); no rule about kinds of signs."""
PASSWORD_MAX = 200


class Passwords:
    """Makes and checks hashes. The cost is OWASP's least for argon2id (password storage cheat sheet: 19 MiB, 2, 1)."""

    def __init__(self, memory_kib: int = 19_456, rounds: int = 2) -> None:
        self._hasher = PasswordHasher(time_cost=rounds, memory_cost=memory_kib, parallelism=1)
        self._one_at_a_time = asyncio.Semaphore(1)
        self._nobodys = ""

    async def hash(self, password: str) -> str:
        """A salted hash that says its own cost."""
        async with self._one_at_a_time:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def right(self, password_hash: str, password: str) -> bool:
        """Whether `password` is the one of `password_hash`; an empty hash takes as long and is never right."""
        if not password_hash and not self._nobodys:
            self._nobodys = await self.hash(secrets.token_hex(16))
        async with self._one_at_a_time:
            found = await asyncio.to_thread(self._verify, password_hash or self._nobodys, password)
        return found and bool(password_hash)

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerifyMismatchError, InvalidHashError):
            return False


def digest(secret: str) -> str:
    """SHA-256 in hexadecimal of a secret that was made at random: those need no slow hash."""
    return hashlib.sha256(secret.encode()).hexdigest()
