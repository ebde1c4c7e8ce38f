"""A door on a loopback socket, with scripted stages behind it: real sockets and real segmenting, no Ray."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import wave
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench.simulated.server import LoopbackServer
from cestas.model import Entities, Item
from deployments.metrics import NoMetrics
from deployments.recommender.port import Advice, AdviceRequest
from deployments.speech_to_text.listening import Listener
from deployments.speech_to_text.port import Transcription, TranscriptionRequest
from deployments.telemetry.costs import Cost
from deployments.telemetry.errors import EmailTaken, StoreUnavailable, UnknownClient
from deployments.telemetry.leases import Leases, RollAnswer, RollCall
from deployments.telemetry.records import Client, Counter, Feedback, Interaction, SessionState
from deployments.voice.messages import VoiceMetrics, VoiceReport, VoiceRequest
from serve_app.access import Access
from serve_app.accounts import hash_of
from serve_app.door import Door, DoorSettings
from serve_app.passwords import Passwords
from serve_app.routes import create_app
from serve_app.settings import AccessSettings
from tests.support.access import MemoryAccess

KEY = "bk_test"
COUNTER = Counter("counter-1", "client-1", "Balcão 1", hash_of(KEY))
SPEECH = Path(__file__).parents[1] / "data" / "fala.wav"
_FIGURES = VoiceMetrics(1.0, 120.0, 10.0, 0.5, 20.0, 900.0, 0.1, 900.0, 3000.0, -10.0, 0.0, 0.0, (-20.0,))


def speech_pcm(lead_s: float = 1.0, tail_s: float = 1.5, times: int = 1) -> bytes:
    """A spoken sentence, `times` over, with near-silence around each; 16 kHz s16le."""
    with wave.open(str(SPEECH)) as file:
        spoken = file.readframes(file.getnframes())
    quiet = b"\x01\x00\xff\xff"
    lead, tail = quiet * int(lead_s * 8000), quiet * int(tail_s * 8000)
    return (lead + spoken + tail) * times


def advice(items: tuple[Item, ...] = (), **changes: Any) -> Advice:
    """An answer of the recommender."""
    blank = Advice(
        status="sugerido" if items else "nada",
        items=items,
        cesta="GASTROINTESTINAL/DIARREIA_REIDRATACAO",
        entities=Entities(symptoms=("diarreia",)),
        macro="GASTROINTESTINAL",
        micro="DIARREIA_REIDRATACAO",
        confidence=0.9,
        blocked=(),
        origin="regras",
        advisor="regras",
        model="",
        tokens_in=0,
        tokens_out=0,
        cost_usd=0.0,
        attempts=1,
        steps_ms={"entidades": 1.0},
        elapsed_ms=1.0,
    )
    return replace(blank, **changes)


def heard(text: str = "meu filho está com diarreia", **changes: Any) -> Transcription:
    """An answer of speech-to-text."""
    blank = Transcription("ok" if text else "vazio", text, (), "teste", "modelo", False, 0.001, 1, 5.0)
    return replace(blank, **changes)


def report(**changes: Any) -> VoiceReport:
    """An answer of the voice stage."""
    return replace(VoiceReport(None, 0.99, "silero", _FIGURES, None, None, 2.0), **changes)


SORO = Item("soro", "Soro de reidratação oral", "Repõe água e sais perdidos.", "diarreia")


@dataclass
class ScriptedStages:
    """Answers with what the test says; each answer may be a value, an exception or a coroutine function."""

    voice: Any = field(default_factory=report)
    gain_db: Any = -6.0
    stt: Any = field(default_factory=heard)
    recommender: Any = field(default_factory=lambda: advice((SORO,)))
    asked: list[Any] = field(default_factory=list)

    async def examine(self, request: VoiceRequest) -> VoiceReport:
        return await self._answer(self.voice, request)

    async def clean(self, request: VoiceRequest) -> float | None:
        return await self._answer(self.gain_db, request)

    async def transcribe(self, request: TranscriptionRequest) -> Transcription:
        return await self._answer(self.stt, request)

    async def advise(self, request: AdviceRequest) -> Advice:
        return await self._answer(self.recommender, request)

    async def health(self) -> dict[str, dict[str, Any]]:
        return {"voz": {"degraded": False}}

    async def _answer(self, script: Any, request: Any) -> Any:
        self.asked.append(request)
        answer = await script(request) if callable(script) else script
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class MemoryRecords(MemoryAccess):
    """Keeps rows and accounts in memory; `down` makes it a database that is away."""

    counters: list[Counter] = field(default_factory=lambda: [COUNTER])
    rows: dict[str, Interaction | Feedback] = field(default_factory=dict)
    clients: list[Client] = field(default_factory=list)
    state: SessionState = field(default_factory=SessionState)
    down: bool = False
    leases: Leases = field(default_factory=Leases)

    async def claim_session(self, session_id: str, epoch: int, replica: str) -> int | None:
        return self.leases.claim(session_id, epoch, replica, time.time())

    async def roll_call(self, roll: RollCall) -> RollAnswer:
        return self.leases.call(roll, time.time())

    async def order_drain(self, node: str = "", *, leave: bool = True) -> None:
        if leave:
            self.leases.order_drain(node, time.time())
        else:
            self.leases.call_off(node)

    async def record(self, rows: Sequence[Interaction | Feedback]) -> int:
        self._check()
        self.rows |= {row.interaction_id if isinstance(row, Interaction) else row.feedback_id: row for row in rows}
        return len(rows)

    async def find_counter(self, key_hash: str) -> Counter | None:
        self._check()
        return next((counter for counter in self.counters if counter.key_hash == key_hash), None)

    async def create_client(self, email: str, company: str, phone: str) -> Client:
        self._check()
        if any(client.email == email for client in self.clients):
            raise EmailTaken(email)
        self.clients.append(Client(f"client-{len(self.clients)}", f"CODE{len(self.clients)}", email, company, phone))
        return self.clients[-1]

    async def create_counter(self, client_code: str, name: str, key_hash: str) -> Counter:
        self._check()
        client = next((client for client in self.clients if client.code == client_code), None)
        if client is None:
            raise UnknownClient(client_code)
        self.counters.append(Counter(f"counter-{len(self.counters) + 1}", client.client_id, name, key_hash))
        return self.counters[-1]

    async def costs(self, since: Any, day_begins_utc_h: int, client_id: str = "") -> list[Cost]:
        self._check()
        return [
            Cost(
                row.client_id,
                "",
                1,
                row.duration_s or 0.0,
                row.advisor_tokens_in or 0,
                row.advisor_tokens_out or 0,
                row.stt_cost_usd or 0.0,
                row.advisor_cost_usd or 0.0,
            )
            for row in self.interaction_rows
        ]

    async def interactions(self, **filters: Any) -> list[dict[str, Any]]:
        self._check()
        wanted = filters.get("session_id")
        return [
            {"interaction_id": row.interaction_id, "outcome": row.outcome}
            for row in self.interaction_rows
            if wanted in (None, row.session_id)
        ]

    async def session_state(self, session_id: str) -> SessionState:
        self._check()
        return self.state

    @property
    def interaction_rows(self) -> list[Interaction]:
        """The interactions, in the order in which they were recorded."""
        return [row for row in self.rows.values() if isinstance(row, Interaction)]

    def _check(self) -> None:
        if self.down:
            raise StoreUnavailable("down")


class StrictMetrics(NoMetrics):
    """Holds every name to the labels of its first use, as Prometheus does."""

    def __init__(self) -> None:
        self.labels: dict[str, set[str]] = {}

    def _hold(self, name: str, labels: dict[str, str]) -> None:
        assert self.labels.setdefault(name, set(labels)) == set(labels), name

    def count(self, name: str, value: float = 1.0, **labels: str) -> None:
        self._hold(name, labels)

    def observe_ms(self, name: str, value_ms: float, **labels: str) -> None:
        self._hold(name, labels)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        self._hold(name, labels)


METRICS = StrictMetrics()
"""One for all doors of a test run: labels must agree across them too."""


@dataclass
class TestReplica:
    """What the routes reach."""

    __test__ = False

    door: Door
    access: Access

    async def health(self) -> dict[str, Any]:
        return {"estado": "ok", **(await self.door.stages.health())}


@dataclass
class OpenDoor:
    """A door that listens; `url` is its WebSocket, `http` its REST surface."""

    door: Door
    http: str
    stages: ScriptedStages
    records: MemoryRecords

    @property
    def url(self) -> str:
        return self.http.replace("http", "ws", 1) + "/ws"

    @contextlib.asynccontextmanager
    async def counter(self, *first: Any) -> AsyncIterator[ClientConnection]:
        """A connection that has sent `first` (dicts as JSON, else as they are)."""
        async with connect(self.url, compression=None) as socket:
            for message in first:
                await socket.send(json.dumps(message) if isinstance(message, dict) else message)
            yield socket


@contextlib.asynccontextmanager
async def open_door(
    stages: ScriptedStages | None = None,
    records: MemoryRecords | None = None,
    settings: DoorSettings | None = None,
    access: AccessSettings | None = None,
    passwords: Passwords | None = None,
    listener: Listener | None = None,
) -> AsyncIterator[OpenDoor]:
    """A door on a free loopback port, closed afterwards."""
    stages, records = stages or ScriptedStages(), records or MemoryRecords()
    door = Door(settings or DoorSettings(), stages, records, METRICS, listener=listener)
    replica = TestReplica(door, Access(access or AccessSettings(), records, METRICS, passwords=passwords))
    async with LoopbackServer(create_app(lambda: replica)) as server:
        try:
            yield OpenDoor(door, server.base_url, stages, records)
        finally:
            await door.close()


async def messages(
    socket: ClientConnection, until: Callable[[dict[str, Any]], bool], within_s: float = 5.0
) -> list[Any]:
    """What arrives, up to and including the first message that `until` is true of."""
    got: list[Any] = []
    while not got or not until(got[-1]):
        got.append(json.loads(await asyncio.wait_for(socket.recv(), within_s)))
    return got


async def to_the_end(socket: ClientConnection) -> tuple[list[dict[str, Any]], int | None]:
    """Every message until the server closes, and the close code."""
    got: list[dict[str, Any]] = []
    try:
        while True:
            got.append(json.loads(await asyncio.wait_for(socket.recv(), 10)))
    except ConnectionClosed:
        return got, socket.close_code


def is_(comando: str) -> Callable[[dict[str, Any]], bool]:
    """True of a message with this `comando`."""
    return lambda message: message["comando"] == comando


async def eventually(happened: Callable[[], bool], within_s: float = 8.0) -> None:
    """Wait until `happened`; AssertionError when it does not in time."""
    deadline = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
