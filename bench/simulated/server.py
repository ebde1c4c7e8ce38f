"""An ASGI application on a free loopback port, and the faults that a simulated provider can answer with."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from types import TracebackType
from typing import Any

import uvicorn
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

ABORT_KEY = "balto.abort"
"""Key of the ASGI scope under which `LoopbackServer` leaves a function that resets the connection."""

START_TIMEOUT_S = 5.0


class Fault(str, Enum):
    """A way for a provider to fail, named as it is written on a bench's command line."""

    UNAUTHORIZED = "unauthorized"
    """401 with the vendor's error body."""
    FORBIDDEN = "forbidden"
    """403 with the vendor's error body."""
    BAD_REQUEST = "bad_request"
    """400 with the vendor's error body."""
    THROTTLED = "throttled"
    """429 with `Retry-After`."""
    SERVER_ERROR = "server_error"
    """500 with the vendor's error body."""
    STALL = "stall"
    """No answer until `stall_s` have passed or the client hangs up; then 504."""
    TRUNCATED_JSON = "truncated_json"
    """200 with the first half of the right answer."""
    GARBAGE = "garbage"
    """200 with bytes that are not JSON, labelled as JSON."""
    WRONG_CONTENT_TYPE = "wrong_content_type"
    """200 with a web page, as a proxy in the way would answer."""
    RESET = "reset"
    """The connection is cut before any answer."""
    OVERLOADED = "overloaded"
    """503 with `Retry-After`."""
    STALL_MID_BODY = "stall_mid_body"
    """200, the first half of the right answer, then nothing until `stall_s` have passed; then the connection is cut."""
    TRICKLE = "trickle"
    """200, and the right answer in `TRICKLE_PIECES` pieces over `stall_s` seconds."""


_STATUS = {
    Fault.UNAUTHORIZED: 401,
    Fault.FORBIDDEN: 403,
    Fault.BAD_REQUEST: 400,
    Fault.THROTTLED: 429,
    Fault.SERVER_ERROR: 500,
    Fault.OVERLOADED: 503,
}

TRICKLE_PIECES = 100


class FaultResponse(Response):
    """One `Fault` as a response that a Starlette endpoint returns.

    `error_body` is the vendor's JSON for errors, `right_answer` the body that would have been sent (cut in half for
    `TRUNCATED_JSON`). Read the request's body before returning this, or a stall cannot notice that the client left.
    """

    def __init__(
        self,
        fault: Fault,
        *,
        error_body: Mapping[str, Any],
        right_answer: bytes = b'{"text": "um texto que nunca chega inteiro"}',
        retry_after_s: int = 1,
        stall_s: float = 30.0,
    ) -> None:
        content, media_type = _body(fault, error_body, right_answer)
        asks_for_time = fault in (Fault.THROTTLED, Fault.OVERLOADED)
        headers = {"retry-after": str(retry_after_s)} if asks_for_time else None
        super().__init__(content, _STATUS.get(fault, 200), headers=headers, media_type=media_type)
        self._fault = fault
        self._stall_s = stall_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, stall or cut, by the fault."""
        if self._fault is Fault.RESET:
            await _cut(scope, receive)
            return
        if self._fault in (Fault.STALL_MID_BODY, Fault.TRICKLE):
            await self._slowly(scope, receive, send)
            return
        if self._fault is Fault.STALL:
            if await _left_within(receive, self._stall_s):
                return
            self.status_code = 504
        await super().__call__(scope, receive, send)

    async def _slowly(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The headers at once, the body in pieces; a client that leaves ends it."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if self._fault is Fault.STALL_MID_BODY:
            half = bytes(self.body[: len(self.body) // 2])
            await send({"type": "http.response.body", "body": half, "more_body": True})
            if not await _left_within(receive, self._stall_s):
                await _cut(scope, receive)
            return
        size = max(1, -(-len(self.body) // TRICKLE_PIECES))
        for start in range(0, len(self.body), size):
            piece = bytes(self.body[start : start + size])
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if await _left_within(receive, self._stall_s / TRICKLE_PIECES):
                return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def _body(fault: Fault, error_body: Mapping[str, Any], right_answer: bytes) -> tuple[bytes, str]:
    if fault is Fault.TRUNCATED_JSON:
        return right_answer[: len(right_answer) // 2], "application/json"
    if fault in (Fault.STALL_MID_BODY, Fault.TRICKLE):
        return right_answer, "application/json"
    if fault is Fault.GARBAGE:
        return bytes(range(128, 256)), "application/json"
    if fault is Fault.WRONG_CONTENT_TYPE:
        return b"<html><body>Sign in to the network</body></html>", "text/html"
    return json.dumps(error_body).encode(), "application/json"


async def _until_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue


async def _left_within(receive: Receive, seconds: float) -> bool:
    """Whether the client hung up within `seconds`."""
    try:
        await asyncio.wait_for(_until_disconnect(receive), seconds)
    except asyncio.TimeoutError:
        return False
    return True


async def _cut(scope: Scope, receive: Receive) -> None:
    """Reset the connection."""
    abort: Callable[[], None] = scope[ABORT_KEY]
    abort()
    await _until_disconnect(receive)


class _QuietServer(uvicorn.Server):
    """A uvicorn that leaves the process's signal handlers alone and ends as soon as it is told to: it lives inside a
    test or a bench."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.told_to_end: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def main_loop(self) -> None:
        """Tick ten times a second, as uvicorn does, until told to end."""
        ticks = 0
        while not await self.on_tick(ticks):
            ticks = (ticks + 1) % 10
            await asyncio.wait([self.told_to_end], timeout=0.1)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class LoopbackServer:
    """`app` on 127.0.0.1 while the `async with` block runs; `port` 0 takes a free port.

    `base_url` is `http://127.0.0.1:PORT` without a slash at the end. Requests still unanswered at the end of the
    block are cancelled. Raises OSError when the port is taken and TimeoutError when the server does not come up.
    """

    def __init__(self, app: ASGIApp, port: int = 0) -> None:
        self._app = app
        # With the protocol named, asyncio sets TCP_NODELAY on what it accepts; without, every answer is 40 ms late.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(("127.0.0.1", port))
        except OSError:
            self._socket.close()
            raise
        self.port: int = self._socket.getsockname()[1]
        self._server: _QuietServer | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def base_url(self) -> str:
        """Where the application answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def connections(self) -> int:
        """Connections that clients hold open now, idle ones included."""
        return len(self._server.server_state.connections) if self._server else 0

    async def __aenter__(self) -> LoopbackServer:
        """Start the server and wait until it accepts connections."""
        config = uvicorn.Config(
            self._with_abort,
            interface="asgi3",
            lifespan="off",
            log_level="critical",  # requests cancelled at the end of the block are meant
            access_log=False,
            timeout_graceful_shutdown=0,
        )
        self._server = _QuietServer(config)
        self._task = asyncio.create_task(self._server.serve([self._socket]))
        try:
            await asyncio.wait_for(self._started(), START_TIMEOUT_S)
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the server and wait until its task has ended."""
        await self._stop()

    async def serve_forever(self) -> None:
        """Return when the server ends: for a command line that lives until Ctrl-C."""
        if self._task is not None:
            await self._task

    async def _started(self) -> None:
        while self._server is not None and not self._server.started:
            if self._task is not None and self._task.done():
                await self._task
                raise RuntimeError("the server ended before it started")
            await asyncio.sleep(0.005)

    async def _stop(self) -> None:
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            if not self._server.told_to_end.done():
                self._server.told_to_end.set_result(None)
            await asyncio.wait([self._task])
        self._socket.close()

    async def _with_abort(self, scope: Scope, receive: Receive, send: Send) -> None:
        transport = getattr(getattr(send, "__self__", None), "transport", None)
        if transport is not None:
            scope[ABORT_KEY] = transport.abort
        await self._app(scope, receive, send)
