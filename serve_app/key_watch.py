"""Looks again and again at the keys of the counters that are connected, so that a revoked one does not stay."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from serve_app.accounts import Accounts, DirectoryUnavailable

log = logging.getLogger("balto.door")

LOOK_TIMEOUT_S = 3.0


class KeyWatch:
    """One task of one door. While the accounts are out of reach nobody is closed."""

    def __init__(
        self,
        accounts: Accounts,
        every_s: float,
        connected: Callable[[], set[str]],
        close: Callable[[set[str]], Awaitable[None]],
    ) -> None:
        self._accounts = accounts
        self._every_s = every_s
        self._connected = connected
        self._close = close
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look; again: nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._look_forever(), name="key-watch")

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def look(self) -> None:
        """Close every connected counter whose key opens the door no more."""
        key_hashes = self._connected()
        if not key_hashes:
            return
        try:
            dead = await asyncio.wait_for(self._accounts.dead_among(key_hashes), LOOK_TIMEOUT_S)
        except (DirectoryUnavailable, asyncio.TimeoutError):
            log.warning("key_watch_unavailable")
            return
        if dead:
            log.info("keys_revoked counters=%d", len(dead))
            await self._close(dead)

    async def _look_forever(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.look()
            except Exception as exc:  # a fault of ours must not end the watch
                log.error("key_watch_failed error=%s", type(exc).__name__)
