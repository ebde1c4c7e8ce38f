"""A time limit on one await that never loses a cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

_T = TypeVar("_T")


async def within(limit_s: float | None, asking: Awaitable[_T]) -> _T:
    """What `asking` gives; raises asyncio.TimeoutError after `limit_s` seconds (None: no limit).

    `asyncio.wait_for` of Python 3.10 and 3.11 swallows a cancellation that comes in the moment in which the awaited
    thing is done. Cancelled or late, this cancels `asking` and waits until it has let go of its connection.
    """
    task = asyncio.ensure_future(asking)
    try:
        await asyncio.wait({task}, timeout=limit_s)
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # looked at, also where a cancellation came first
    if task.cancelled():
        raise asyncio.TimeoutError
    return task.result()
