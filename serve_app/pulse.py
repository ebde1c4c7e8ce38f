"""Feels how late a replica's event loop comes, a few times a second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

BEAT_S = 0.25


class Pulse:
    """Calls `beat` with the loop's lateness in seconds and the monotonic time, for as long as it is not closed."""

    def __init__(self, beat: Callable[[float, float], None], every_s: float = BEAT_S) -> None:
        self._beat = beat
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; again: nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._keep_beating(), name="pulse")

    async def close(self) -> None:
        """Stop."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _keep_beating(self) -> None:
        while True:
            due_s = time.monotonic() + self._every_s
            await asyncio.sleep(self._every_s)
            now_s = time.monotonic()
            self._beat(max(0.0, now_s - due_s), now_s)
