"""An event loop whose time passes only while nobody has anything to do: hours of waiting in seconds, reproducibly."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

_T = TypeVar("_T")

EPOCH_S = 1_800_000_000.0
"""What `unix` says when the loop starts."""


class _Skipping(selectors.DefaultSelector):
    """Waits for nothing: time that would be waited is added to `now_s`."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        """What is ready now; raises RuntimeError when nothing ever will be."""
        ready: list[Any] = super().select(0)
        if not ready and timeout is None:
            raise RuntimeError("everybody waits for something that nobody will do")
        if not ready and timeout is not None and timeout > 0:
            self.now_s += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """`time()` starts at 0 and jumps to the next timer whenever all tasks wait."""

    def __init__(self) -> None:
        self._skipping = _Skipping()
        super().__init__(self._skipping)

    def time(self) -> float:
        """Virtual seconds."""
        return self._skipping.now_s

    def unix(self) -> float:
        """Virtual seconds since the epoch."""
        return EPOCH_S + self._skipping.now_s


def run(main: Coroutine[Any, Any, _T], loop: VirtualLoop | None = None) -> _T:
    """Run `main` to its end in virtual time; tasks left over are cancelled."""
    loop = loop or VirtualLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        rest = asyncio.all_tasks(loop)
        for task in rest:
            task.cancel()
        if rest:
            loop.run_until_complete(asyncio.wait(rest))
        loop.close()
