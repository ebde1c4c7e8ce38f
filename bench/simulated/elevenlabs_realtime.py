"""A simulated ElevenLabs realtime transcription on loopback: the documented messages, and the faults that are known."""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import itertools
import json
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from bench.simulated.elevenlabs import BYTES_PER_S, DEFAULT_TEXTS
from bench.simulated.faults import Entry, Latency, Ledger
from bench.simulated.server import ABORT_KEY, Fault, FaultResponse, LoopbackServer

MIN_COMMIT_S = 0.3
"""A commit of less audio is answered with `commit_throttled`."""

PARTIAL_EVERY_S = 0.5
"""A partial comes with every so much audio."""


class RealtimeFault(str, Enum):
    """A way for a stream to fail inside a session that was accepted."""

    STALE_PARTIALS = "stale_partials"
    """Every partial comes three times, the utterance before's among them."""
    DOUBLED_FINAL = "doubled_final"
    """The final comes twice in a row."""
    LATE_DOUBLE = "late_double"
    """The final comes again right after the next commit, before that one's own final."""
    CLOSE_MID_UTTERANCE = "close_mid_utterance"
    """The socket is closed with 1011 at the first audio."""
    REFUSED_SESSION = "refused_session"
    """The socket is accepted, then `auth_error` comes instead of `session_started`, and it is closed."""
    AUTH_ERROR = "auth_error"
    """`auth_error` at the commit: the key was revoked while the session was open."""
    QUOTA = "quota_exceeded"
    """`quota_exceeded` at the commit."""
    RATE_LIMITED = "rate_limited"
    """`rate_limited` at the commit."""
    INVALID = "invalid_request"
    """`invalid_request` at the commit."""
    SESSION_LIMIT = "session_time_limit_exceeded"
    """`session_time_limit_exceeded` at the commit, then a close."""
    FINAL_WITHOUT_TEXT = "final_without_text"
    """A final whose text is null."""


Step = Fault | RealtimeFault | str | None
"""What one handshake or one commit meets: a fault, a text, or None for the next text in rotation."""

_AT_HANDSHAKE = frozenset(
    {
        Fault.UNAUTHORIZED,
        Fault.FORBIDDEN,
        Fault.BAD_REQUEST,
        Fault.THROTTLED,
        Fault.OVERLOADED,
        Fault.SERVER_ERROR,
        Fault.WRONG_CONTENT_TYPE,
    }
)
"""Faults that refuse the WebSocket with an HTTP answer."""

_MESSAGES = frozenset(
    {RealtimeFault.AUTH_ERROR, RealtimeFault.QUOTA, RealtimeFault.RATE_LIMITED, RealtimeFault.INVALID}
)


@dataclass
class _Stream:
    """One open session."""

    socket: WebSocket
    keyterms: int
    entry: Entry | None = None
    pcm_bytes: int = 0
    next_partial_bytes: int = int(PARTIAL_EVERY_S * BYTES_PER_S)
    step: Step = None
    text: str = ""
    previous: str = ""
    doubled: str = ""
    chores: set[asyncio.Task[None]] = field(default_factory=set)


class SimulatedElevenLabsRealtime:
    """`/v1/speech-to-text/realtime` while the `async with` block runs.

    Each commit takes one step of `script`, then the texts in rotation; a step that belongs to the handshake is met by
    the next connection. `latency` is the time from a commit to its final.
    """

    def __init__(
        self,
        *script: Step,
        texts: Sequence[str] = DEFAULT_TEXTS,
        latency: Latency | None = None,
        ledger: Ledger | None = None,
        api_key: str = "xi-simulated",
        retry_after_s: int = 1,
        stall_s: float = 30.0,
        port: int = 0,
    ) -> None:
        self.ledger = ledger or Ledger()
        self.queries: deque[dict[str, list[str]]] = deque(maxlen=1000)
        """The options of each session that was accepted."""
        self.chunks_s: deque[float] = deque(maxlen=10_000)
        """The length of each piece of audio."""
        self._script = deque(script)
        self._texts = itertools.cycle(texts)
        self._latency = latency or Latency()
        self._api_key = api_key
        self._retry_after_s = retry_after_s
        self._stall_s = stall_s
        route = WebSocketRoute("/v1/speech-to-text/realtime", self._session)
        self._server = LoopbackServer(Starlette(routes=[route]), port)

    @property
    def base_url(self) -> str:
        """What to give the SDK as its base URL."""
        return self._server.base_url

    @property
    def connections(self) -> int:
        """Connections that clients hold open now."""
        return self._server.connections

    def revoke_key(self) -> None:
        """From now on no key is right."""
        self._api_key = ""

    async def __aenter__(self) -> SimulatedElevenLabsRealtime:
        """Start to listen."""
        await self._server.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        """Stop to listen; open sessions are cancelled."""
        await self._server.__aexit__(*error)

    async def serve_forever(self) -> None:
        """Return when the server ends."""
        await self._server.serve_forever()

    async def _session(self, socket: WebSocket) -> None:
        if not self._api_key or socket.headers.get("xi-api-key") != self._api_key:
            await self._deny(socket, Fault.UNAUTHORIZED)
            return
        if self._script and self._script[0] in _AT_HANDSHAKE:
            await self._deny(socket, Fault(self._script.popleft()))
            return
        await socket.accept()
        query = socket.query_params
        self.queries.append({name: query.getlist(name) for name in query})
        stream = _Stream(socket, len(query.getlist("keyterms")))
        if self._script and self._script[0] is RealtimeFault.REFUSED_SESSION:
            self._script.popleft()
            await self._say(stream, "auth_error", error="You must be authenticated to use this endpoint.")
            await socket.close(1008)
            return
        await self._say(stream, "session_started", session_id="simulated", config={"sample_rate": 16_000})
        try:
            while True:
                await self._message(stream, json.loads(await socket.receive_text()))
        except WebSocketDisconnect:
            return
        finally:
            if stream.entry is not None and stream.entry.outcome == "open":
                stream.entry.outcome = "abandoned"
            for chore in list(stream.chores):
                chore.cancel()

    async def _deny(self, socket: WebSocket, fault: Fault) -> None:
        answer = FaultResponse(fault, error_body={"detail": {"status": fault.value}}, retry_after_s=self._retry_after_s)
        await socket.send_denial_response(answer)

    async def _message(self, stream: _Stream, message: dict[str, Any]) -> None:
        pcm = base64.b64decode(message["audio_base_64"])
        if pcm:
            await self._audio(stream, pcm)
        if message["commit"]:
            await self._commit(stream)

    async def _audio(self, stream: _Stream, pcm: bytes) -> None:
        if stream.entry is None:
            stream.entry = self.ledger.received("elevenlabs_realtime", keyterms=stream.keyterms)
            stream.step = self._script.popleft() if self._script else None
            said = stream.step if isinstance(stream.step, str) and not isinstance(stream.step, Enum) else None
            stream.text = next(self._texts) if said is None else said
        stream.entry.audio_s += len(pcm) / BYTES_PER_S
        stream.entry.bytes += len(pcm)
        stream.pcm_bytes += len(pcm)
        self.chunks_s.append(len(pcm) / BYTES_PER_S)
        if stream.step is RealtimeFault.CLOSE_MID_UTTERANCE:
            await stream.socket.close(1011, "internal error")
            raise WebSocketDisconnect(1011)
        while stream.pcm_bytes >= stream.next_partial_bytes:
            await self._partial(stream)

    async def _partial(self, stream: _Stream) -> None:
        """As many words as seconds heard, twice over."""
        words = stream.text.split()
        heard = " ".join(words[: round(2 * stream.next_partial_bytes / BYTES_PER_S)])
        stream.next_partial_bytes += int(PARTIAL_EVERY_S * BYTES_PER_S)
        again = [stream.previous, heard, heard] if stream.step is RealtimeFault.STALE_PARTIALS else []
        for text in [heard, *again]:
            await self._say(stream, "partial_transcript", text=text)

    async def _commit(self, stream: _Stream) -> None:
        entry, step = stream.entry, stream.step
        if entry is None or entry.audio_s < MIN_COMMIT_S:
            await self._say(stream, "commit_throttled", error="Commit request ignored: too little audio")
            return
        if stream.doubled:
            await self._say(stream, "committed_transcript", text=stream.doubled)
            stream.doubled = ""
        chore = asyncio.create_task(self._final(stream, entry, step, stream.text))
        stream.chores.add(chore)
        chore.add_done_callback(stream.chores.discard)
        stream.previous, stream.entry, stream.step = stream.text, None, None
        stream.pcm_bytes, stream.next_partial_bytes = 0, int(PARTIAL_EVERY_S * BYTES_PER_S)

    async def _final(self, stream: _Stream, entry: Entry, step: Step, text: str) -> None:
        entry.outcome = "abandoned"  # unless it gets as far as an answer
        await asyncio.sleep(self._latency.next_s())
        if isinstance(step, Fault) or step in _MESSAGES or step is RealtimeFault.SESSION_LIMIT:
            entry.outcome = "failed"
        if isinstance(step, Fault):
            await self._faulty(stream, step, text)
            return
        if isinstance(step, RealtimeFault) and (step in _MESSAGES or step is RealtimeFault.SESSION_LIMIT):
            await self._say(stream, step.value, error=f"simulated after: {text}")
            if step is RealtimeFault.SESSION_LIMIT:
                await stream.socket.close(1000)
            return
        said = None if step is RealtimeFault.FINAL_WITHOUT_TEXT else text
        await self._say(stream, "committed_transcript", text=said)
        entry.outcome = "answered"
        if step is RealtimeFault.DOUBLED_FINAL:
            await self._say(stream, "committed_transcript", text=text)
        stream.doubled = text if step is RealtimeFault.LATE_DOUBLE else ""

    async def _faulty(self, stream: _Stream, fault: Fault, text: str) -> None:
        if fault is Fault.RESET:
            abort: Callable[[], None] = stream.socket.scope[ABORT_KEY]
            abort()
        elif fault is Fault.GARBAGE:
            await stream.socket.send_text("\x00\x01 no JSON")
        elif fault is Fault.TRUNCATED_JSON:
            await stream.socket.send_text(json.dumps({"message_type": "committed_transcript", "text": text})[:-9])
        elif fault is Fault.STALL_MID_BODY:
            await self._say(stream, "partial_transcript", text=text)
        elif fault is Fault.TRICKLE:
            for _ in range(100):
                await self._say(stream, "partial_transcript", text=text)
                await asyncio.sleep(self._stall_s / 100)

    async def _say(self, stream: _Stream, kind: str, **fields: Any) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # the client has left
            await stream.socket.send_text(json.dumps({"message_type": kind, **fields}))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.simulated.elevenlabs_realtime", description=__doc__)
    parser.add_argument("--port", type=int, default=9104)
    parser.add_argument("--latency-ms", type=float, default=280.0, help="median time from a commit to its final")
    parser.add_argument("--latency-p99-ms", type=float, help="makes it lognormal")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--api-key", default="xi-simulated")
    parser.add_argument("--text", action="append", help="a text of the rotation; may be given again")
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    server = SimulatedElevenLabsRealtime(
        texts=arguments.text or DEFAULT_TEXTS,
        latency=Latency(arguments.latency_ms, arguments.latency_p99_ms, arguments.seed),
        api_key=arguments.api_key,
        port=arguments.port,
    )
    async with server:
        print(f"simulated ElevenLabs realtime at {server.base_url}", flush=True)
        await server.serve_forever()


def main() -> None:
    """Serve until Ctrl-C."""
    try:
        asyncio.run(_serve(_arguments()))
    except KeyboardInterrupt:
        print("stopped", flush=True)


if __name__ == "__main__":
    main()
