"""One ingress replica's door: admission, the handshake, and the pump from a socket to its session."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, Final
from uuid import uuid4

from starlette.websockets import WebSocket, WebSocketDisconnect

from audio.decode import decoder_for
from audio.errors import AudioInvalid
from audio.segmenter import Segmenter
from audio.settings import SegmenterSettings, with_vad_settings
from audio.utterance import SAMPLE_RATE_HZ
from deployments.metrics import Metrics
from deployments.speech_to_text.ear import Ear
from deployments.speech_to_text.listening import Listener
from deployments.telemetry.leases import SILENT_S as GONE_AFTER_S
from deployments.telemetry.leases import Held, RollAnswer, RollCall
from deployments.telemetry.records import Counter, SessionState, Turn
from privacy.redact import Redactor
from serve_app import wire
from serve_app.accounts import Accounts, AccountsSettings, DirectoryUnavailable
from serve_app.admission import Admission, Denial, Inflow, IngressSettings, address_behind
from serve_app.console import ConsoleSettings
from serve_app.conversation import Conversation, ConversationSettings
from serve_app.fairness import Turns
from serve_app.host import HostSampler
from serve_app.key_watch import KeyWatch
from serve_app.leaving import Connection, Leaving
from serve_app.outlet import Outlet
from serve_app.overload import Overload, Shedding
from serve_app.passage import SessionParts, SessionSettings
from serve_app.pulse import Pulse
from serve_app.purse import Purse, ThriftyStages
from serve_app.recorder import Recorder, RecorderSettings
from serve_app.registry import Registry, new_epoch
from serve_app.session import CounterSession, SessionStart
from serve_app.shedding import SheddingStages
from serve_app.spending import SpendingSettings
from serve_app.stages import Records, Stages

log = logging.getLogger("balto.door")


UNKNOWN_KEY_RETRY_S: Final = 2
"""What a counter is told whose key cannot be checked now: nothing is full, and it has waited at the door."""
RECORDED_WITHIN_S: Final = 1.0
"""How long a counter that comes back waits for what it said before to be durable."""


@dataclass(frozen=True)
class DoorSettings:
    """What a door needs to know."""

    ingress: IngressSettings = field(default_factory=IngressSettings)
    session: SessionSettings = field(default_factory=SessionSettings)
    conversation: ConversationSettings = field(default_factory=ConversationSettings)
    segmenter: SegmenterSettings = field(default_factory=SegmenterSettings)
    accounts: AccountsSettings = field(default_factory=AccountsSettings)
    recorder: RecorderSettings = field(default_factory=RecorderSettings)
    spending: SpendingSettings = field(default_factory=SpendingSettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
    forwarded_hops: int = 0
    """Proxies of ours in front that write `x-forwarded-for`; 0: the header is not believed."""


class Door:
    """Everything of one replica that counters share. `records` and `stages` are asked, never owned; `ending` is looked
    at a few times a second and says that the replica is to stop: then its counters are sent elsewhere."""

    def __init__(
        self,
        settings: DoorSettings,
        stages: Stages,
        records: Records,
        metrics: Metrics,
        ending: Callable[[], bool] = lambda: False,
        listener: Listener | None = None,
    ) -> None:
        self._ending = ending
        self.settings = settings
        self.purse = Purse(settings.spending, records, metrics)
        self.listener = listener
        if listener is not None:
            listener.spent, listener.may_spend = self.purse.heard_along, self.purse.may_listen
        self.stages = ThriftyStages(stages, self.purse, listener)
        self.records = records
        self.metrics = metrics
        self.accounts = Accounts(settings.accounts, records)
        self.host = HostSampler()
        self.recorder = Recorder(settings.recorder, records, metrics)
        self.redactor = Redactor(settings.session.redaction)
        self.overload = Overload(settings.ingress.overload)
        self._turns = Turns(settings.ingress.turns_max)
        shedding = SheddingStages(self.stages, self.overload, self._turns, metrics)
        self._parts = SessionParts(
            settings.session,
            shedding,
            self.recorder,
            metrics,
            self.host,
            self.overload,
            self._turns,
            self._ear,
            self.purse.given_up,
        )
        self._admission = Admission(settings.ingress)
        self._sessions: dict[str, CounterSession] = {}
        self._connected: dict[str, Connection] = {}
        self._gone: dict[str, int] = {}
        """Sessions whose socket has closed since the last roll call, with their epochs: anybody may have them."""
        self._owned: set[asyncio.Task[None]] = set()
        self._registry = Registry(records, metrics, self._roll_call, self._told)
        self._pulse = Pulse(self._beat)
        self._key_watch = KeyWatch(self.accounts, settings.accounts.key_watch_s, self._keys_in_use, self._turn_out)
        self._leaving = Leaving(
            self._connected,
            metrics,
            spread_s=settings.ingress.drain_spread_s,
            drain_s=settings.ingress.drain_s,
            answer_s=settings.session.deadline_ms / 1000,
        )

    @property
    def counters(self) -> int:
        """Sockets open on this replica."""
        return self._admission.sockets

    @property
    def leaving(self) -> bool:
        """Whether this replica sends its counters elsewhere."""
        return self._leaving.under_way

    async def counter(self, socket: WebSocket) -> None:
        """Serve one counter's WebSocket from its handshake to its end."""
        for part in (self.host, self._key_watch, self._registry, self._pulse, self.purse):
            part.start()
        await socket.accept()
        if self.leaving:
            await self._leaving.send_on(socket)
            return
        denial = self._admission.knocks(
            self._address(socket), time.monotonic(), shedding=self.overload.sheds(Shedding.CONNECTIONS)
        )
        if denial is not None:
            await self._refuse(socket, self._denied(denial))
            return
        self._admission.sockets += 1
        self.metrics.gauge("counters", self.counters)
        try:
            session = await self._handshake(socket)
            if session is not None:
                await self._serve(socket, session)
        except WebSocketDisconnect:
            self.metrics.count("handshakes", result="desistiu", generation="")
        finally:
            self._admission.sockets -= 1
            self.metrics.gauge("counters", self.counters)

    async def leave(self, *, for_good: bool = True) -> None:
        """Send the counters elsewhere, spread over `drain_spread_s`, each at a quiet moment and after what it said was
        answered; from now on nobody new is taken. Returns when all have gone, after `drain_s` at the latest. Again: the
        same leaving is awaited."""
        await self._leaving.leave(for_good=for_good)

    async def close(self) -> None:
        """Leave, then stop everything that runs and make what was said durable."""
        await self._leaving.leave(for_good=True, at_once=True)
        for part in (self._key_watch, self._registry, self._pulse, self.purse):
            await part.close()
        await asyncio.gather(*self._owned, return_exceptions=True)
        if self.listener is not None:
            await self.listener.close()
        await self.recorder.close()
        await self.host.close()

    async def _handshake(self, socket: WebSocket) -> CounterSession | None:
        """The session of a counter that may come in; None when it was refused."""
        try:
            shake = wire.parse_handshake(await self._first_message(socket))
            counter = await self._counter_of(shake.api_key)
            denial = self._admission.introduces(counter.client_id, time.monotonic())
            if denial is not None:
                raise wire.Refused(self._denied(denial))
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
            raise wire.Refused(wire.overloaded(UNKNOWN_KEY_RETRY_S)) from exc  # it has waited long enough already
        if counter is None:
            raise wire.Refused(wire.KEY_INVALID)
        return counter

    async def _session_of(self, socket: WebSocket, shake: wire.Handshake, counter: Counter) -> CounterSession:
        vad = {**(counter.vad_settings or {}), **shake.vad_settings}
        try:
            gate = with_vad_settings(self.settings.segmenter, vad)
        except ValueError as exc:
            raise wire.Refused(wire.handshake_invalid(f"vad_settings fora dos limites ({exc})")) from None
        session_id, epoch, state = await self._resumed(shake, counter)
        first_sample = max(state.last_end_sample, shake.desde) if session_id == shake.sessao else 0
        conversation = Conversation(self.settings.conversation)
        conversation.resume(self._redacted(state.turns), first_sample / SAMPLE_RATE_HZ)
        start = SessionStart(
            session_id, counter, shake.generation, first_sample, gate.model_dump(), epoch, state.undelivered
        )
        return CounterSession(
            self._parts,
            start,
            Outlet(socket),
            decoder_for(shake.formato),
            Segmenter(gate, first_sample=first_sample),
            conversation,
        )

    async def _resumed(self, shake: wire.Handshake, counter: Counter) -> tuple[str, int, SessionState]:
        """Session id, epoch and what is known: those of the session asked for where it is this counter's.

        The client sends again from the first sample that is neither part of a recorded utterance nor forgotten by it.
        Where nothing can be read the session still goes on, from what the client itself holds. Raises Refused when the
        session is connected and alive, here or on another replica.
        """
        if shake.sessao is None or self._is_anothers(shake.sessao, counter):
            return self._begun(shake.generation)
        await self._take_over(shake.sessao)
        epoch = await self._registry.claim(shake.sessao)
        if epoch is None:
            raise wire.Refused(wire.SESSION_IN_USE)
        before = self._sessions.get(shake.sessao)
        if before is not None:
            await before.drained(self.settings.session.deadline_ms / 1000)
            await before.recorded(RECORDED_WITHIN_S)
        try:
            state = await self.records.session_state(shake.sessao)
        except Exception as exc:  # whatever keeps the records from being read is the same to a counter at the door
            log.warning("session_state_unavailable error=%s", type(exc).__name__)
            state = SessionState(partial=True)
        if state.counter_id not in ("", counter.counter_id):
            return str(uuid4()), new_epoch(), SessionState()
        self.metrics.count("sessions_resumed", known="parte" if state.partial else "tudo")
        return shake.sessao, epoch, state

    def _begun(self, generation: wire.Generation) -> tuple[str, int, SessionState]:
        """A new session. The register hears of it at once, so that nobody gets it elsewhere; nobody waits for that."""
        session_id = str(uuid4())
        if generation == 4:
            self._own(self._enlist(session_id))
        return session_id, new_epoch(), SessionState()

    async def _enlist(self, session_id: str) -> None:
        await self._registry.claim(session_id)

    def _is_anothers(self, session_id: str, counter: Counter) -> bool:
        """Whether a session of this replica is another counter's: it is neither closed nor waited for then."""
        known = self._sessions.get(session_id)
        return known is not None and known.start.counter.counter_id != counter.counter_id

    async def _take_over(self, session_id: str) -> None:
        """Close this replica's own connection of a session when it has gone silent; Refused while it is alive."""
        connection = self._connected.get(session_id)
        if connection is None:
            return
        if connection.silent_s(time.monotonic()) < GONE_AFTER_S:
            raise wire.Refused(wire.SESSION_IN_USE)
        self._turn_over(connection)

    def _turn_over(self, connection: Connection) -> None:
        """End a connection whose session goes on elsewhere."""
        self.metrics.count("sessions_taken_over")
        self._connected.pop(connection.session.start.session_id, None)
        connection.session.rest()
        self._own(self._refuse_session(connection.session, wire.SESSION_IN_USE))

    def _redacted(self, turns: tuple[Turn, ...]) -> list[Turn]:
        """Rows may be older than redaction."""
        return [replace(turn, text=self.redactor.redact(turn.text).text) for turn in turns]

    async def _serve(self, socket: WebSocket, session: CounterSession) -> None:
        session_id, client_id = session.start.session_id, session.start.counter.client_id
        connection = Connection(session, Inflow(self.settings.ingress, time.monotonic()))
        self._sessions[session_id] = session
        self._connected[session_id] = connection
        self._admission.came(client_id)
        session.greet(self.settings.ingress.bytes_per_s_max)
        try:
            await self._pump(socket, connection)
        except AudioInvalid as exc:
            self.metrics.count("audio_invalid")
            await self._refuse_session(session, wire.audio_invalid(str(exc)))
        finally:
            self._admission.left(client_id)
            if self._connected.get(session_id) is connection:
                del self._connected[session_id]
            session.disconnected()
            if session.start.generation == 4:
                self._gone[session_id] = session.start.epoch
                self._registry.wake()
            self._own(self._forget_when_done(session))

    async def _pump(self, socket: WebSocket, connection: Connection) -> None:
        """Read promptly and await nothing else: a handler that waits elsewhere is cancelled with messages unread."""
        session, inflow, now = connection.session, connection.inflow, time.monotonic
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            chunk = message.get("bytes")
            if chunk is not None:
                excess = inflow.audio(len(chunk), now()) or inflow.decoded(session.hear(chunk), now())
            else:
                text = message.get("text") or ""
                excess = inflow.command(len(text), now())
                if excess is None:
                    session.command(text)
            if excess is not None:
                self.metrics.count("inflow_refused", what=excess)
            if excess == "comandos":
                session.outlet.say(wire.error_message(wire.TOO_MANY_COMMANDS))
            elif excess is not None:
                raise AudioInvalid(inflow.complaint(excess))

    async def _forget_when_done(self, session: CounterSession) -> None:
        await session.drained(self.settings.session.deadline_ms / 1000 + 1)
        if self._sessions.get(session.start.session_id) is session:
            del self._sessions[session.start.session_id]

    def _roll_call(self, replica: str) -> RollCall:
        now = time.monotonic()
        held = tuple(
            Held(session_id, connection.session.start.epoch, connection.silent_s(now))
            for session_id, connection in self._connected.items()
            if connection.session.start.generation == 4
        )
        pending = {
            session_id: session.start.epoch
            for session_id, session in self._sessions.items()
            if session.start.generation == 4 and session.pending
        }
        away, self._gone = {**self._gone, **pending}, {}
        held += tuple(Held(name, epoch, math.inf) for name, epoch in away.items() if name not in self._connected)
        return RollCall(replica, self.host.node, self.counters, held, self.leaving)

    async def _told(self, answer: RollAnswer) -> None:
        """Take the answer to a roll call: end what has gone on elsewhere, and leave when that is ordered."""
        self._admission.node_counters = answer.node_counters
        for session_id in answer.lost:
            connection = self._connected.get(session_id)
            if connection is not None:
                self._turn_over(connection)
            elif session_id in self._sessions:  # its counter came back elsewhere, and sends again what is pending here
                self._own(self._sessions[session_id].drained(0.0))
        if not answer.drain:
            self._leaving.stay()
        elif not self.leaving:
            self._own(self.leave(for_good=False))

    def _beat(self, lag_s: float, now_s: float) -> None:
        if not self.leaving and self._ending():
            self._own(self.leave())
        before = self.overload.level
        pending = sum(session.pending for session in self._sessions.values())
        level = self.overload.tick(lag_s, pending, now_s)
        self._turns.strict = level > Shedding.NOTHING
        self.metrics.observe_ms("loop_lag_ms", lag_s * 1000)
        if level != before:
            self.metrics.gauge("overload_level", level)
            log.warning(
                "overload level=%s pressure=%.2f pending=%d", level.name.lower(), self.overload.pressure, pending
            )

    def _address(self, socket: WebSocket) -> str:
        peer = "" if socket.client is None else socket.client.host
        return address_behind(peer, socket.headers.getlist("x-forwarded-for"), self.settings.forwarded_hops)

    def _denied(self, denial: Denial) -> wire.Refusal:
        self.metrics.count("shed", what="conexao")
        log.info("counter_denied reason=%s", denial)
        return wire.overloaded(self.settings.ingress.retry_in_s)

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._owned.add(task)
        task.add_done_callback(self._owned.discard)

    def _ear(self, client_id: str) -> Ear | None:
        return None if self.listener is None else self.listener.ear(client_id)

    def _keys_in_use(self) -> set[str]:
        return {connection.session.start.counter.key_hash for connection in self._connected.values()}

    async def _turn_out(self, key_hashes: set[str]) -> None:
        """Close the counters of these keys, as one that comes with a key that opens nothing is closed."""
        sessions = [connection.session for connection in self._connected.values()]
        out = [session for session in sessions if session.start.counter.key_hash in key_hashes]
        self.metrics.count("counters_turned_out", len(out))
        await asyncio.gather(*(self._refuse_session(session, wire.KEY_INVALID) for session in out))

    async def _refuse_session(self, session: CounterSession, refusal: wire.Refusal) -> None:
        session.outlet.say(wire.refusal_message(refusal))
        await session.outlet.close(refusal.close_code)

    async def _refuse(self, socket: WebSocket, refusal: wire.Refusal) -> None:
        self.metrics.count("handshakes", result=refusal.codigo, generation="")
        log.info("counter_refused code=%d reason=%s", refusal.close_code, refusal.codigo)
        outlet = Outlet(socket)
        outlet.say(wire.refusal_message(refusal))
        await outlet.close(refusal.close_code)


def describe(door: Door) -> dict[str, Any]:
    """What a door says of itself in `/saude`."""
    return {
        "balcoes": door.counters,
        "linhas_pendentes": door.recorder.pending,
        "no": door.host.node,
        "saindo": door.leaving,
        "sobrecarga": door.overload.level.name.lower(),
        "pressao": round(door.overload.pressure, 3),
    }
