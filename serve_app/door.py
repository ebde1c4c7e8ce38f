"""One ingress replica's door: admission, the handshake, and the pump from a socket to its session."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field
from starlette.websockets import WebSocket, WebSocketDisconnect

from audio.decode import decoder_for
from audio.errors import AudioInvalid
from audio.segmenter import Segmenter
from audio.settings import SegmenterSettings, with_vad_settings
from audio.utterance import SAMPLE_RATE_HZ
from deployments.metrics import Metrics
from deployments.telemetry.records import Counter
from serve_app import wire
from serve_app.accounts import Accounts, AccountsSettings, DirectoryUnavailable
from serve_app.conversation import Conversation, ConversationSettings
from serve_app.host import HostSampler
from serve_app.outlet import Outlet
from serve_app.passage import SessionParts, SessionSettings
from serve_app.recorder import Recorder, RecorderSettings
from serve_app.session import CounterSession, SessionStart
from serve_app.stages import Records, Stages

log = logging.getLogger("balto.door")

GOING_AWAY: Final = 1012


class IngressSettings(BaseModel):
    """Limits of one ingress replica."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    counters_max: int = Field(1000, ge=1)
    """Counters at once on one replica. A socket holds a slot: `max_ongoing_requests` of CounterIngress is larger."""
    handshake_timeout_s: float = Field(10.0, gt=0, le=60)
    retry_in_s: int = Field(5, ge=1, le=600)
    """What a counter that is refused for overload is told to wait."""
    bytes_per_s_max: int = Field(512_000, ge=32_000)
    """Audio of one counter; 32,000 is real time. A resuming client catches up at most this fast."""
    bytes_burst_max: int = Field(4_000_000, ge=32_000)
    drain_s: float = Field(8.0, gt=0, le=120)
    """On shutdown: how long utterances on their way may take."""


@dataclass(frozen=True)
class DoorSettings:
    """What a door needs to know."""

    ingress: IngressSettings = field(default_factory=IngressSettings)
    session: SessionSettings = field(default_factory=SessionSettings)
    conversation: ConversationSettings = field(default_factory=ConversationSettings)
    segmenter: SegmenterSettings = field(default_factory=SegmenterSettings)
    accounts: AccountsSettings = field(default_factory=AccountsSettings)
    recorder: RecorderSettings = field(default_factory=RecorderSettings)


class Door:
    """Everything of one replica that counters share. `records` and `stages` are asked, never owned."""

    def __init__(self, settings: DoorSettings, stages: Stages, records: Records, metrics: Metrics) -> None:
        self.settings = settings
        self.stages = stages
        self.records = records
        self.metrics = metrics
        self.accounts = Accounts(settings.accounts, records)
        self.host = HostSampler()
        self.recorder = Recorder(settings.recorder, records, metrics)
        self._parts = SessionParts(settings.session, stages, self.recorder, metrics, self.host)
        self._sessions: dict[str, CounterSession] = {}
        self._connected: dict[str, Outlet] = {}
        self._forgetting: set[asyncio.Task[None]] = set()
        self._sockets = 0
        self._draining = False

    @property
    def counters(self) -> int:
        """Sockets open on this replica."""
        return self._sockets

    async def counter(self, socket: WebSocket) -> None:
        """Serve one counter's WebSocket from its handshake to its end."""
        self.host.start()
        await socket.accept()
        if self._draining or self._sockets >= self.settings.ingress.counters_max:
            await self._refuse(socket, wire.overloaded(self.settings.ingress.retry_in_s))
            return
        self._sockets += 1
        self.metrics.gauge("counters", self._sockets)
        try:
            session = await self._handshake(socket)
            if session is not None:
                await self._serve(socket, session)
        except WebSocketDisconnect:
            self.metrics.count("handshakes", result="desistiu", generation="")
        finally:
            self._sockets -= 1
            self.metrics.gauge("counters", self._sockets)

    async def close(self) -> None:
        """Tell the counters that we are going away, finish what they said, and make it durable."""
        self._draining = True
        for session in list(self._sessions.values()):
            if session.start.generation == 4:
                session.outlet.say(wire.reconnect_message(0.5))
        sessions = list(self._sessions.values())
        await asyncio.gather(*(session.drained(self.settings.ingress.drain_s) for session in sessions))
        await asyncio.gather(*(outlet.close(GOING_AWAY, 2.0) for outlet in list(self._connected.values())))
        await asyncio.gather(*self._forgetting, return_exceptions=True)
        await self.recorder.close()
        await self.host.close()

    async def _handshake(self, socket: WebSocket) -> CounterSession | None:
        """The session of a counter that may come in; None when it was refused."""
        try:
            shake = wire.parse_handshake(await self._first_message(socket))
            counter = await self._counter_of(shake.api_key)
            session = await self._session_of(socket, shake, counter)
        except wire.Refused as refused:
            await self._refuse(socket, refused.refusal)
            return None
        self.metrics.count("handshakes", result="aceito", generation=str(shake.generation))
        log.info(
            "counter_connected generation=%d counter=%s session=%s",
            shake.generation,
            counter.counter_id,
            session.start.session_id,
        )
        return session

    async def _first_message(self, socket: WebSocket) -> str:
        try:
            message = await asyncio.wait_for(socket.receive(), self.settings.ingress.handshake_timeout_s)
        except asyncio.TimeoutError:
            raise wire.Refused(wire.handshake_invalid("nenhuma mensagem chegou a tempo")) from None
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1006))
        text = message.get("text")
        if text is None:
            raise wire.Refused(wire.handshake_invalid("a chave deve vir antes do áudio"))
        return str(text)

    async def _counter_of(self, key: str) -> Counter:
        try:
            counter = await self.accounts.counter_of(key)
        except DirectoryUnavailable as exc:
            log.warning("directory_unavailable")
            raise wire.Refused(wire.overloaded(self.settings.ingress.retry_in_s)) from exc
        if counter is None:
            raise wire.Refused(wire.KEY_INVALID)
        return counter

    async def _session_of(self, socket: WebSocket, shake: wire.Handshake, counter: Counter) -> CounterSession:
        vad = {**(counter.vad_settings or {}), **shake.vad_settings}
        try:
            gate = with_vad_settings(self.settings.segmenter, vad)
        except ValueError as exc:
            raise wire.Refused(wire.handshake_invalid(f"vad_settings fora dos limites ({exc})")) from None
        session_id, first_sample, conversation = await self._resumed(shake, counter)
        start = SessionStart(session_id, counter, shake.generation, first_sample, gate.model_dump())
        return CounterSession(
            self._parts,
            start,
            Outlet(socket),
            decoder_for(shake.formato),
            Segmenter(gate, first_sample=first_sample),
            conversation,
        )

    async def _resumed(self, shake: wire.Handshake, counter: Counter) -> tuple[str, int, Conversation]:
        """Session id, first sample and conversation: those of the session asked for where it is this counter's.

        The client sends again from the first sample that is neither part of a recorded utterance nor forgotten by it.
        Where nothing can be known (the database is away), a new session begins: the client then sends all it holds.
        Raises Refused when the session is connected here already.
        """
        conversation = Conversation(self.settings.conversation)
        if shake.sessao is None:
            return str(uuid4()), 0, conversation
        if shake.sessao in self._connected:
            raise wire.Refused(wire.SESSION_IN_USE)
        before = self._sessions.get(shake.sessao)
        if before is not None:
            await before.drained(self.settings.session.deadline_ms / 1000)
        try:
            state = await self.records.session_state(shake.sessao)
        except Exception as exc:  # whatever keeps the records from being read is the same to a counter at the door
            log.warning("session_state_unavailable error=%s", type(exc).__name__)
            return str(uuid4()), 0, conversation
        if state.counter_id not in ("", counter.counter_id):
            return str(uuid4()), 0, conversation
        conversation.remember(state.recent_texts, state.item_ids, state.last_end_sample / SAMPLE_RATE_HZ)
        return shake.sessao, max(state.last_end_sample, shake.desde), conversation

    async def _serve(self, socket: WebSocket, session: CounterSession) -> None:
        session_id = session.start.session_id
        self._sessions[session_id] = session
        self._connected[session_id] = session.outlet
        if session.start.generation == 4:
            session.outlet.say(wire.session_message(session_id, session.start.first_sample))
        try:
            await self._pump(socket, session)
        except AudioInvalid as exc:
            self.metrics.count("audio_invalid")
            await self._refuse_session(session, wire.audio_invalid(str(exc)))
        finally:
            self._connected.pop(session_id, None)
            session.disconnected()
            forgetting = asyncio.create_task(self._forget_when_done(session))
            self._forgetting.add(forgetting)
            forgetting.add_done_callback(self._forgetting.discard)

    async def _pump(self, socket: WebSocket, session: CounterSession) -> None:
        """Read promptly and await nothing else: a handler that waits elsewhere is cancelled with messages unread."""
        allowance = _Allowance(self.settings.ingress.bytes_per_s_max, self.settings.ingress.bytes_burst_max)
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            chunk = message.get("bytes")
            if chunk is not None:
                if not allowance.takes(len(chunk)):
                    raise AudioInvalid(f"mais de {self.settings.ingress.bytes_per_s_max} bytes por segundo")
                session.hear(chunk)
            else:
                session.command(message.get("text") or "")

    async def _forget_when_done(self, session: CounterSession) -> None:
        await session.drained(self.settings.session.deadline_ms / 1000 + 1)
        if self._sessions.get(session.start.session_id) is session:
            del self._sessions[session.start.session_id]

    async def _refuse_session(self, session: CounterSession, refusal: wire.Refusal) -> None:
        session.outlet.say(wire.refusal_message(refusal))
        await session.outlet.close(refusal.close_code)

    async def _refuse(self, socket: WebSocket, refusal: wire.Refusal) -> None:
        self.metrics.count("handshakes", result=refusal.codigo, generation="")
        log.info("counter_refused code=%d reason=%s", refusal.close_code, refusal.codigo)
        outlet = Outlet(socket)
        outlet.say(wire.refusal_message(refusal))
        await outlet.close(refusal.close_code)


class _Allowance:
    """A bucket of bytes that fills at a rate."""

    def __init__(self, per_s: int, burst: int) -> None:
        self._per_s = per_s
        self._burst = burst
        self._left: float = burst
        self._at_s = time.monotonic()

    def takes(self, size: int) -> bool:
        """Take `size` bytes; False when there are not enough left."""
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._at_s) * self._per_s) - size
        self._at_s = now
        return self._left >= 0


def describe(door: Door) -> dict[str, Any]:
    """What a door says of itself in `/saude`."""
    return {"balcoes": door.counters, "linhas_pendentes": door.recorder.pending, "no": door.host.node}
