"""The fault plan: what each fault cost counters of generation 4 that were talking meanwhile."""

from __future__ import annotations

import asyncio
import signal
import time
import wave
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from audio.settings import SegmenterSettings
from audio.utterance import SAMPLE_RATE_HZ
from serve_app.client import ClientError, ClientSettings, CounterClient, Event
from serve_app.rolling import SAMPLE, RepeatedSource, judged, said_in
from tests.cluster.cluster import Cluster
from tests.cluster.vps import Vps

SETTLE_S: Final = 12.0
"""Counters talk for so long before the fault."""
AFTER_S: Final = 6.0
COMPLETE_WITHIN_S: Final = 240.0
ROWS_WITHIN_S: Final = 60.0
PLAY_S: Final = 26
"""Of the sample's conversation, repeated: its end is where a counter may stop."""
PLAYS_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that happens to the cluster, and its undoing (None: it undoes itself)."""

    name: str
    happens: Callable[[], object]
    undone: Callable[[], object] | None = None


@dataclass(frozen=True, slots=True)
class FaultReport:
    """What one fault cost. Seconds are those of the counter that had the most of them."""

    fault: str
    counters: int
    ended_badly: int
    """Counters whose client gave up."""
    given_up: tuple[str, ...]
    """What each of them said, and when in seconds of its stream."""
    utterances: int
    lost: int
    """Spoken, and neither in the database nor held by the client."""
    audio_lost_s: float
    """Dropped by clients whose memory of a minute was full."""
    twice: int
    """Suggestions shown twice."""
    heard_twice: int
    reconnections: int
    without_connection_s: float
    heard_after_s: float
    """From the end of an utterance to its words on the counter."""
    complete_after_s: float
    """From the undoing to every VPS answering and counted by the head."""


def faults(cluster: Cluster) -> list[Fault]:
    """All of the plan, in its order."""
    cuts = [Fault(f"cut-off-{_what(cluster, vps)}", vps.cut, vps.join) for vps in cluster.rig.vpses]
    offs = [Fault(f"powered-off-{_what(cluster, vps)}", vps.power_off, vps.power_on) for vps in cluster.rig.vpses]
    return [
        *cuts,
        *offs,
        Fault("head-killed", lambda: _kill(cluster.head, "gcs_server")),
        Fault("postgresql-restarted", lambda: cluster.database.do("/usr/local/bin/systemctl", "restart", "postgres")),
    ]


def _what(cluster: Cluster, vps: Vps) -> str:
    return {cluster.head.name: "head", cluster.database.name: "database"}.get(vps.name, "worker")


def _kill(vps: Vps, name: str) -> None:
    """kill -9 of every process of this name in a VPS, by the numbers that they have there."""
    for pid in vps.do("pgrep", "-x", name).split():
        vps.do("kill", f"-{int(signal.SIGKILL)}", pid)


_MET = ("connected", "reconnecting", "reconectar", "recebido", "audio_lost", "erro", "closed")
"""What a counter's events say of its connections, and nothing of what was said."""


class FaultPlan:
    """Counters talk, a fault happens, is undone, and what it cost is read from the database and from the counters."""

    def __init__(self, cluster: Cluster, hold_s: float, say: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._hold_s = hold_s
        self._say = say
        with wave.open(str(SAMPLE)) as file:
            self._pcm = file.readframes(PLAY_S * SAMPLE_RATE_HZ)

    async def run(self, fault: Fault) -> FaultReport:
        """One fault from beginning to end. Raises RigFailed where the cluster does not become whole again."""
        self._say(f"{fault.name}: {len(self._cluster.keys)} counters begin to talk")
        over = asyncio.Event()
        talks = [_Talk(self._cluster, number, self._pcm, over) for number in range(len(self._cluster.keys))]
        async with asyncio.TaskGroup() if hasattr(asyncio, "TaskGroup") else _Gathered() as group:
            for each in talks:
                group.create_task(each.run())
            await asyncio.sleep(SETTLE_S)
            await asyncio.to_thread(fault.happens)
            self._say(f"{fault.name}: it happened")
            await asyncio.sleep(self._hold_s)
            complete_s = await asyncio.to_thread(self._undo, fault)
            self._say(f"{fault.name}: the cluster is whole {complete_s:.0f} s after the undoing")
            await asyncio.sleep(AFTER_S)
            over.set()
        return await self._judged(fault.name, talks, complete_s)

    def _undo(self, fault: Fault) -> float:
        begun = time.monotonic()
        if fault.undone is not None:
            fault.undone()
        cluster = self._cluster
        cluster.wait_ready(COMPLETE_WITHIN_S)
        cluster.wait_all_joined(COMPLETE_WITHIN_S)
        return time.monotonic() - begun

    async def _judged(self, name: str, talks: Sequence[_Talk], complete_s: float) -> FaultReport:
        deadline_s = time.monotonic() + ROWS_WITHIN_S
        while True:
            reports = [judged(each.truth(), await self._rows(each), each.events) for each in talks]
            if sum(report.lost for report in reports) == 0 or time.monotonic() > deadline_s:
                break
            await asyncio.sleep(2)
        for each, report in zip(talks, reports, strict=True):
            if report.lost:
                self._say(f"{name}: a counter that lost {report.lost}: {each.connections()}")
        return FaultReport(
            fault=name,
            counters=len(talks),
            ended_badly=sum(each.failed is not None for each in talks),
            given_up=tuple(each.failed for each in talks if each.failed is not None),
            utterances=sum(report.utterances for report in reports),
            lost=sum(report.lost for report in reports),
            audio_lost_s=round(sum(each.dropped_s for each in talks), 2),
            twice=sum(report.twice for report in reports),
            heard_twice=sum(report.heard_twice for report in reports),
            reconnections=sum(report.reconnections for report in reports),
            without_connection_s=max(report.longest_silence_s for report in reports),
            heard_after_s=round(max(each.heard_after_s for each in talks), 2),
            complete_after_s=round(complete_s, 1),
        )

    async def _rows(self, each: _Talk) -> list[dict[str, Any]]:
        """What the database has of a counter, in samples of its stream."""
        connection = await asyncpg.connect(self._cluster.database_url, timeout=20)
        try:
            found = []
            for session_id, base in each.sessions().items():
                for row in await connection.fetch(_ROWS, session_id):
                    end = row["end_sample"]
                    moved = {"first_sample": row["first_sample"] + base, "end_sample": end and end + base}
                    found.append({**dict(row), **moved})
            return found
        finally:
            await connection.close()


class _Talk:
    """One counter that talks until it is over, at the end of a play."""

    def __init__(self, cluster: Cluster, number: int, pcm: bytes, over: asyncio.Event) -> None:
        first = number % len(cluster.urls)
        urls = [*cluster.urls[first:], *cluster.urls[:first]]
        settings = ClientSettings(url=urls[0], other_urls=tuple(urls[1:]), chunk_ms=250, when_full="drop")
        self._pcm = pcm
        self._wait_s = number * 0.3
        self.client = CounterClient(settings, cluster.keys[number])
        self.source = RepeatedSource(pcm, over.is_set, PLAYS_MAX)
        self.events: list[Event] = []
        self.failed: str | None = None

    async def run(self) -> None:
        """Talk; a client that gives up is noted."""
        await asyncio.sleep(self._wait_s)
        try:
            await self.client.run(self.source, self.events.append)
        except ClientError as exc:
            self.failed = f"{type(exc).__name__} {exc} at {self.client.now_s:.0f} s"

    def truth(self) -> list[tuple[int, int]]:
        """Where the service hears speech in all that was played."""
        settings = SegmenterSettings(hangover_ms=480, max_utterance_ms=8000)
        return said_in(self._pcm * self.source.plays, settings, self.events)

    def sessions(self) -> dict[str, int]:
        """Every session of this counter, with the sample of the stream that is its sample 0."""
        connected = (event.fields for event in self.events if event.kind == "connected")
        return {fields["sessao"]: fields["base_sample"] for fields in connected}

    @property
    def dropped_s(self) -> float:
        """Audio that the client could not keep."""
        return float(sum(event.fields["seconds"] for event in self.events if event.kind == "audio_lost"))

    @property
    def heard_after_s(self) -> float:
        """The longest time from an utterance's end to its words."""
        begun_s = self.client.stream_started_s or 0.0
        ends = [(e.t_s, e.fields.get("fim_ms")) for e in self.events if e.kind == "ouvido"]
        return max((t_s - begun_s - end / 1000 for t_s, end in ends if end is not None), default=0.0)

    def connections(self) -> str:
        """What the counter met, without what was said: when it was connected, turned away, safe up to where."""
        told = [e for e in self.events if e.kind in _MET]
        return "; ".join(f"{e.t_s:.1f} {e.kind} {dict(e.fields)}" for e in told)


class _Gathered:
    """asyncio.TaskGroup for Python 3.10: tasks that are awaited at the end, cancelled where the block fails."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def create_task(self, coroutine: Any) -> None:
        """Run it until the end of the block."""
        self._tasks.append(asyncio.create_task(coroutine))

    async def __aenter__(self) -> _Gathered:
        return self

    async def __aexit__(self, kind: object, error: object, trace: object) -> None:
        if kind is not None:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            return
        await asyncio.gather(*self._tasks)


_ROWS: Final = (
    "SELECT first_sample, end_sample, suggestion_id::text, outcome FROM interacoes WHERE session_id::text = $1"
)
