"""One simulated counter: a socket of its own, the handshake of its generation, pieces when they are due."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal, cast
from urllib.parse import urlsplit

from bench.load.frames import BINARY, CLOSE, PING, PONG, TEXT, FrameInvalid, FrameReader, frame
from bench.load.stream import FORMATO, Format

Generation = Literal[3, 4]
MAX_HEAD_BYTES: Final = 16_384


@dataclass
class CounterSeen:
    """What one counter saw. Instants in seconds since the epoch."""

    number: int
    phase_ms: int
    began_at: float = 0.0
    """When the first sample of its stream was due to be spoken; 0: it never came to that."""
    pieces: int = 0
    sent_bytes: int = 0
    suggestions: dict[str, list[float]] = field(default_factory=dict)
    """Suggestion id → every time that it came."""
    heard: int = 0
    alerts: int = 0
    refusal: str = ""
    """`codigo` of the error it was turned away with, or what kept it from connecting."""
    closed: int | None = None
    """The close code; 1006 where the connection was cut; None while it is open."""
    ended_by_us: bool = False

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self)


class SimulatedCounter(asyncio.Protocol):
    """Connects, shows its key, and is then given pieces to send; it never reads audio or keeps what was sent."""

    def __init__(
        self, url: str, key: str, generation: Generation, kind: Format, seen: CounterSeen, ready: Callable[[], None]
    ) -> None:
        self.seen = seen
        self.streaming = False
        self.closed = asyncio.get_running_loop().create_future()
        self._url = urlsplit(url)
        self._key = key
        self._generation = generation
        self._kind = kind
        self._ready = ready
        self._head: bytearray | None = bytearray()
        self._frames = FrameReader()
        self._transport: asyncio.Transport | None = None

    async def connect(self) -> None:
        """Open the socket. Raises OSError."""
        secure = self._url.scheme == "wss"
        port = self._url.port or (443 if secure else 80)
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, self._url.hostname or "", port, ssl=secure or None)

    def send(self, data: bytes) -> None:
        """Send a frame that was made before."""
        if self._transport is not None and self.streaming:
            self._transport.write(data)
            self.seen.pieces += 1
            self.seen.sent_bytes += len(data)

    def finish(self) -> None:
        """End the stream; the server closes when all is answered."""
        if self._transport is not None and self.streaming:
            self.streaming = False
            self.seen.ended_by_us = True
            self._transport.write(frame(TEXT, b'{"comando":"fim"}'))

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for the upgrade."""
        self._transport = cast("asyncio.Transport", transport)
        nonce = base64.b64encode(secrets.token_bytes(16)).decode()
        lines = [
            f"GET {self._url.path or '/'} HTTP/1.1",
            f"Host: {self._url.netloc}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {nonce}",
            "Sec-WebSocket-Version: 13",
            *(["x-request-disconnect-disabled: ?1"] if self._generation == 4 else []),
        ]
        self._transport.write("\r\n".join([*lines, "", ""]).encode())

    def data_received(self, data: bytes) -> None:
        """Take the answer to the upgrade, then messages."""
        try:
            if self._head is not None:
                self._head += data
                self._take_head()
            else:
                self._take(data)
        except (FrameInvalid, ValueError) as exc:
            self._turned_away(type(exc).__name__)
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note how it ended."""
        self.streaming = False
        if self.seen.closed is None:
            self.seen.closed = 1006
        if not self.closed.done():
            self.closed.set_result(None)

    def _take_head(self) -> None:
        head = self._head or bytearray()
        end = head.find(b"\r\n\r\n")
        if end < 0:
            if len(head) > MAX_HEAD_BYTES:
                raise FrameInvalid("an endless answer")
            return
        status = bytes(head[9:12]).decode(errors="replace")
        if status != "101":
            self._turned_away(f"http {status}")
            self.abort()
            return
        self._head = None
        self._write_text(self._handshake())
        if self._generation == 3:
            self._begin()
        self._take(bytes(head[end + 4 :]))

    def _handshake(self) -> dict[str, Any]:
        if self._generation == 3:
            return {"api_key": self._key}
        said = {"comando": "auth", "versao": 4, "api_key": self._key, "sessao": None, "desde": 0}
        return {**said, "formato": FORMATO[self._kind]}

    def _take(self, data: bytes) -> None:
        for kind, payload in self._frames.feed(data):
            if kind == TEXT:
                self._message(json.loads(payload))
            elif kind == PING and self._transport is not None:
                self._transport.write(frame(PONG, payload))
            elif kind == CLOSE:
                self.seen.closed = int.from_bytes(payload[:2], "big") if len(payload) >= 2 else 1005
                self.streaming = False
                if self._transport is not None:
                    self._transport.write(frame(CLOSE, payload[:2]))
                    self._transport.close()

    def _message(self, message: dict[str, Any]) -> None:
        match message.get("comando"):
            case "sessao":
                self._begin()
            case "recomendar":
                self.seen.suggestions.setdefault(str(message.get("id")), []).append(time.time())
            case "ouvido":
                self.seen.heard += 1
            case "aviso" if message.get("codigo") == "chame_farmaceutico":
                self.seen.alerts += 1
            case "erro":
                self._turned_away(str(message.get("codigo")))

    def _begin(self) -> None:
        self.seen.began_at = time.time()
        self.streaming = True
        self._ready()

    def _turned_away(self, why: str) -> None:
        self.seen.refusal = self.seen.refusal or why

    def _write_text(self, message: dict[str, Any]) -> None:
        if self._transport is not None:
            self._transport.write(frame(TEXT, json.dumps(message).encode()))


def audio_frames(pieces: tuple[bytes, ...]) -> tuple[bytes, ...]:
    """The pieces as frames; a piece of nothing is not sent."""
    return tuple(frame(BINARY, piece) if piece else b"" for piece in pieces)
