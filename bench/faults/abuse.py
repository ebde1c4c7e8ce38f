"""`python -m bench.faults.abuse KIND`: one client that does what no counter does, from a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

NICENESS: Final = 10
"""It stands for another machine: it must not have the service's processor first."""
ALL_AT_ONCE: Final = 200
PIECE: Final = b"\x11\x07" * 16_000
"""A second of audio."""
BYTES_PER_S: Final = 100 * 32_000
BIG: Final = b"\0" * (16 << 20)
LONG_TEXT: Final = json.dumps({"comando": "texto", "texto": "estou com dor de cabeça " * 400})
BETWEEN_S: Final = 0.05


class Abuser:
    """What came of it is counted in `seen`."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url
        self._key = key
        self.seen: Counter[str] = Counter()

    async def bytes(self) -> None:
        """A hundred times as much audio as a microphone gives."""
        async with self._counter() as ws:
            for _ in range(1000):
                await ws.send(PIECE)
                self.seen["bytes"] += len(PIECE)
                await asyncio.sleep(len(PIECE) / BYTES_PER_S)

    async def connections(self) -> None:
        """Two hundred new connections a second, each with its handshake."""
        attempts = set()
        for _ in range(ALL_AT_ONCE):
            attempts.add(asyncio.create_task(self._once(self._connected)))
            await asyncio.sleep(1 / ALL_AT_ONCE)
        await asyncio.wait(attempts)

    async def slow(self) -> None:
        """Two hundred requests whose heads come a byte at a time, and never end."""
        where = urlsplit(self._url)
        head = f"GET {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\n".encode() + b"x-slow: " + b"x" * 4000

        async def one() -> None:
            _, writer = await asyncio.open_connection(where.hostname, where.port)
            try:
                for byte in head:
                    writer.write(bytes([byte]))
                    await writer.drain()
                    self.seen["bytes"] += 1
                    await asyncio.sleep(0.5)
            finally:
                writer.close()

        await asyncio.gather(*(self._once(one) for _ in range(ALL_AT_ONCE)))

    async def big(self) -> None:
        """Messages of 16 MiB."""
        async with self._counter() as ws:
            await ws.send(BIG)
            self.seen["messages"] += 1
            await ws.wait_closed()

    async def text(self) -> None:
        """Typed words without end."""
        async with self._counter() as ws:
            while True:
                await ws.send(LONG_TEXT)
                self.seen["messages"] += 1

    async def again(self, what: Callable[[], Awaitable[None]]) -> None:
        """Do it for ever, however it ends."""
        while True:
            await self._once(what)
            await asyncio.sleep(BETWEEN_S)

    async def _connected(self) -> None:
        async with self._counter():
            self.seen["connections"] += 1

    async def _once(self, what: Callable[[], Awaitable[None]]) -> None:
        try:
            await what()
        except (OSError, WebSocketException, asyncio.TimeoutError) as exc:
            self.seen[type(exc).__name__] += 1

    @contextlib.asynccontextmanager
    async def _counter(self) -> Any:
        async with connect(self._url, compression=None, proxy=None, max_size=1 << 20, close_timeout=1) as ws:
            await self._introduce(ws)
            yield ws

    async def _introduce(self, ws: ClientConnection) -> None:
        handshake = {"comando": "auth", "versao": 4, "api_key": self._key, "sessao": None, "desde": 0}
        await ws.send(json.dumps({**handshake, "formato": "pcm_s16le_16k"}))
        answer = json.loads(await ws.recv())
        self.seen[str(answer.get("codigo") or answer.get("comando"))] += 1


KINDS: Final = ("bytes", "connections", "slow", "big", "text")


async def abuse(kind: str, url: str, key: str, seconds: float) -> dict[str, int]:
    """Abuse for so long; what came of it, by what it was."""
    abuser = Abuser(url, key)
    with contextlib.suppress(asyncio.TimeoutError, AttributeError):  # websockets aborts a transport that is gone
        await asyncio.wait_for(abuser.again(getattr(abuser, kind)), seconds)
    return dict(abuser.seen)


def main() -> None:
    """Do it, and print what came of it as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.faults.abuse", description=__doc__)
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--url", required=True)
    parser.add_argument("--seconds", type=float, default=30.0)
    options = parser.parse_args()
    os.nice(NICENESS)
    key = os.environ["BENCH_COUNTER_KEY"]
    print(json.dumps(asyncio.run(abuse(options.kind, options.url, key, options.seconds))))


if __name__ == "__main__":
    main()
