"""A counter of any generation that says a few things and listens, by the `websockets` library: not by our client."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from audio.utterance import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ
from bench.protocol.checks import CheckFailed
from serve_app.client import pcm_of_wav
from serve_app.settings import ROOT

COMPLAINT: Final = "estou com azia depois do almoço"
ANSWER_S: Final = 10.0
CHUNK_S: Final = 0.25
PING_EVERY_S: Final = 0.3
SPEED: Final = 4.0
"""Times real time: a server takes 16."""


@cache
def spoken() -> bytes:
    """The sample's first sentence, 16 kHz s16le, with the quiet before and after that a gate needs."""
    pcm = pcm_of_wav((ROOT / "samples" / "balcao.wav").read_bytes())
    return pcm[: int(6.2 * SAMPLE_RATE_HZ) * BYTES_PER_SAMPLE]


class Talk:
    """One connection; what came is kept."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self.messages: list[dict[str, Any]] = []
        self.close_code: int | None = None

    def say(self, **message: Any) -> None:
        """Send a message."""
        with contextlib.suppress(ConnectionClosed):
            self._socket.send(json.dumps(message))

    def raw(self, data: str | bytes) -> None:
        """Send anything."""
        with contextlib.suppress(ConnectionClosed):
            self._socket.send(data)

    def stream(self, data: bytes, piece: int = int(CHUNK_S * SAMPLE_RATE_HZ) * BYTES_PER_SAMPLE) -> None:
        """Send audio in pieces, at `SPEED`."""
        for at in range(0, len(data), piece):
            self.raw(data[at : at + piece])
            time.sleep(CHUNK_S / SPEED)

    @contextlib.contextmanager
    def alive(self) -> Iterator[None]:
        """Not silent meanwhile: a session that is gets taken over."""
        done = threading.Event()

        def ping() -> None:
            while not done.wait(PING_EVERY_S):
                self.say(comando="ping")

        pinging = threading.Thread(target=ping)
        pinging.start()
        try:
            yield
        finally:
            done.set()
            pinging.join()

    def wait(self, comando: str, timeout_s: float = ANSWER_S) -> dict[str, Any]:
        """The next message of that kind. Raises CheckFailed."""
        for message in self._until(time.monotonic() + timeout_s):
            if message.get("comando") == comando:
                return message
        raise CheckFailed(f"no `{comando}` within {timeout_s:.0f} s (close {self.close_code})")

    def closed(self, timeout_s: float = ANSWER_S) -> int:
        """The code that the server closes with. Raises CheckFailed."""
        for _ in self._until(time.monotonic() + timeout_s):
            continue
        if self.close_code is None:
            raise CheckFailed(f"not closed within {timeout_s:.0f} s")
        return self.close_code

    def count(self, comando: str) -> int:
        """How many messages of that kind came so far."""
        return sum(message.get("comando") == comando for message in self.messages)

    def _until(self, deadline: float) -> Iterator[dict[str, Any]]:
        while self.close_code is None and (left := deadline - time.monotonic()) > 0:
            try:
                text = self._socket.recv(timeout=left)
            except TimeoutError:
                return
            except ConnectionClosed as exc:
                self.close_code = exc.rcvd.code if exc.rcvd else 1006
                return
            self.messages.append(json.loads(text))
            yield self.messages[-1]


@contextlib.contextmanager
def talk(url: str, **handshake: Any) -> Iterator[Talk]:
    """A connection on which the handshake was sent, if one is given. Raises CheckFailed."""
    try:
        socket = connect(url, compression=None, open_timeout=ANSWER_S, close_timeout=2.0, proxy=None)
    except (OSError, TimeoutError) as exc:
        raise CheckFailed(f"no connection: {type(exc).__name__}") from None
    with socket:
        talking = Talk(socket)
        if handshake:
            talking.say(**handshake)
        yield talking
