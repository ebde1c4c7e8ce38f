"""What a counter is told: one queue, one writer, so that messages leave in order and nobody waits for a slow socket."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Final, Protocol

from starlette.websockets import WebSocketDisconnect

from serve_app.time_limit import time_limit

log = logging.getLogger("balto.outlet")

QUEUE_MAX: Final = 256
"""Messages waiting for a counter that does not read; at the limit the connection is given up."""
SEND_TIMEOUT_S: Final = 10.0
_GONE: Final = (RuntimeError, OSError, WebSocketDisconnect, asyncio.TimeoutError)
"""How a send says that the counter is closed, reset, or does not read."""


class Socket(Protocol):
    """The sending half of a WebSocket."""

    async def send_text(self, data: str) -> None:
        """Send one text message."""

    async def close(self, code: int = 1000, reason: str | None = None) -> None:
        """Close the connection."""


class Outlet:
    """Sends text messages in the order in which they were given; after the first failure it is `dead`."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._queue: asyncio.Queue[tuple[str, asyncio.Future[bool] | None]] = asyncio.Queue(QUEUE_MAX)
        self._writer: asyncio.Task[None] | None = None
        self.dead = False

    def say(self, message: str) -> None:
        """Send `message` when its turn comes; nobody waits."""
        self._put(message, None)

    async def deliver(self, message: str) -> bool:
        """Send `message` and wait until the socket has taken it; False when the counter cannot be reached."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if not self._put(message, future):
            return False
        return await future

    async def close(self, code: int, within_s: float = SEND_TIMEOUT_S) -> None:
        """Send what is queued, then close the connection with `code`."""
        if not self.dead:
            with contextlib.suppress(asyncio.TimeoutError):  # it does not read: what is queued is not for it
                await asyncio.wait_for(self._queue.join(), within_s)
        already_dead = self.dead
        self.abandon()
        if not already_dead:
            await self._close_socket(code)

    def abandon(self) -> None:
        """The connection is gone: nothing more is sent."""
        self.dead = True
        if self._writer is not None:
            self._writer.cancel()
        while not self._queue.empty():
            _, future = self._queue.get_nowait()
            self._queue.task_done()
            _settle(future, delivered=False)

    def _put(self, message: str, future: asyncio.Future[bool] | None) -> bool:
        if self.dead:
            return False
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name="outlet")
        try:
            self._queue.put_nowait((message, future))
        except asyncio.QueueFull:
            self.abandon()
            return False
        return True

    async def _write(self) -> None:
        while True:
            message, future = await self._queue.get()
            delivered = False
            try:
                async with time_limit(SEND_TIMEOUT_S):
                    await self._socket.send_text(message)
                delivered = True
            except _GONE:
                self.dead = True
            except Exception as exc:  # a message that cannot be sent must not leave those behind it waiting for ever
                log.error("outlet_failed error=%s", type(exc).__name__)
                self.dead = True
            finally:
                _settle(future, delivered=delivered)
                self._queue.task_done()
            if not delivered:
                self.abandon()
                return

    async def _close_socket(self, code: int) -> None:
        try:
            await asyncio.wait_for(self._socket.close(code), SEND_TIMEOUT_S)
        except _GONE:
            self.dead = True


def _settle(future: asyncio.Future[bool] | None, *, delivered: bool) -> None:
    if future is not None and not future.done():
        future.set_result(delivered)
