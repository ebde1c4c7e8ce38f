"""WebSocket frames of a client (RFC 6455) in microseconds: made once, sent many times; pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

TEXT: Final = 1
BINARY: Final = 2
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10
_NO_MASK: Final = bytes(4)
"""The bytes stay as they are, so that a frame can be made once; the server unmasks it like any other."""


class FrameInvalid(Exception):
    """The server sent what no WebSocket server sends."""


def frame(kind: int, payload: bytes) -> bytes:
    """A whole masked message."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | kind, 0x80 | size))
    elif size < 1 << 16:
        head = bytes((0x80 | kind, 0x80 | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | kind, 0x80 | 127)) + size.to_bytes(8, "big")
    return head + _NO_MASK + payload


class FrameReader:
    """The server's messages out of its bytes, in pieces of any size. Our server neither masks nor splits messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Kind and payload of every message that `data` completes. Raises FrameInvalid."""
        self._buffer += data
        while (found := self._next()) is not None:
            yield found

    def _next(self) -> tuple[int, bytes] | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        if not buffer[0] & 0x80 or buffer[0] & 0x70 or buffer[1] & 0x80:
            raise FrameInvalid("a frame that is split, compressed or masked")
        size, at = buffer[1], 2
        if size > 125:
            at = 4 if size == 126 else 10
            if len(buffer) < at:
                return None
            size = int.from_bytes(buffer[2:at], "big")
        if len(buffer) < at + size:
            return None
        found = (buffer[0] & 15, bytes(buffer[at : at + size]))
        del buffer[: at + size]
        return found
