"""Keeps an answer's body for us and gives a vendor's SDK an empty one, where its own reading costs too much."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import httpx

_kept: ContextVar[list[bytes] | None] = ContextVar("kept_body", default=None)
"""Where the body of the request that this task is making goes; hooks of httpx run in the same task."""


@contextmanager
def kept_body() -> Iterator[list[bytes]]:
    """Inside, a successful answer's body arrives in the list, in pieces, and the SDK reads `null`.

    It stays empty where the answer is a failure or compressed: then the SDK's own reading counts.
    """
    pieces: list[bytes] = []
    token = _kept.set(pieces)
    try:
        yield pieces
    finally:
        _kept.reset(token)


async def keep_body(response: httpx.Response) -> None:
    """A response hook of httpx; put it last, so that what other hooks watch is still watched."""
    pieces = _kept.get()
    plain = response.headers.get("content-encoding", "identity") == "identity"
    if pieces is not None and response.is_success and plain and isinstance(response.stream, httpx.AsyncByteStream):
        response.stream = _Emptied(response.stream, pieces)


class _Emptied(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, pieces: list[bytes]) -> None:
        self._stream = stream
        self._pieces = pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            self._pieces.append(piece)
        yield b"null"

    async def aclose(self) -> None:
        await self._stream.aclose()
