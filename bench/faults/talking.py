"""Counters that talk, of generation 4, with the client that we ship; and what became of everything that each said."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, Final

from audio.utterance import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ
from bench.load.deployment import Deployment
from bench.load.generator import phase_ms
from bench.load.script import Loop, Said, loop
from bench.path.figures import quantiles
from serve_app.client import AudioFormat, ClientError, ClientSettings, CounterClient, Event
from serve_app.rolling import judged

CHUNK_MS: Final = 250
CONNECT_EVERY_S: Final = 0.05
END_S: Final = 90.0
"""How long counters may take to end once they have stopped talking."""
BYTES_PER_MS: Final = SAMPLE_RATE_HZ * BYTES_PER_SAMPLE // 1000


class LoopSource:
    """The script's audio from a phase of it on, again and again in real time, until `over` is set."""

    formato: AudioFormat = "pcm_s16le_16k"

    def __init__(self, pcm: bytes, phase: int, over: asyncio.Event) -> None:
        self._pcm = pcm
        self._at = phase * BYTES_PER_MS
        self._over = over
        self.pieces = 0

    async def chunks(self, settings: ClientSettings) -> AsyncIterator[bytes]:
        """Pieces of `chunk_ms`, each when a microphone would have filled it."""
        now, step = asyncio.get_running_loop().time, settings.chunk_ms * BYTES_PER_MS
        begun_s = now()
        while not self._over.is_set():
            self.pieces += 1
            await asyncio.sleep(max(0.0, begun_s + self.pieces * settings.chunk_ms / 1000 - now()))
            piece = self._pcm[self._at : self._at + step]
            self._at = (self._at + step) % len(self._pcm)
            yield piece

    def restart(self, sample: int) -> None:
        """PCM is sent again from memory."""


class Talker:
    """One counter."""

    def __init__(self, url: str, key: str, number: int, script: Loop, pcm: bytes, over: asyncio.Event) -> None:
        self.phase = phase_ms(number)
        self.client = CounterClient(ClientSettings(url=url, chunk_ms=CHUNK_MS, when_full="drop"), key)
        self.source = LoopSource(pcm, self.phase, over)
        self.events: list[Event] = []
        self.failed = ""
        self._script = script
        self._run_at = 0.0

    async def run(self) -> None:
        """Talk until it is over; a client that gives up is noted."""
        self._run_at = time.time()
        try:
            await self.client.run(self.source, self.events.append)
        except ClientError as exc:
            self.failed = type(exc).__name__

    @property
    def began_at(self) -> float:
        """When the first sample of the stream was spoken, in Unix seconds."""
        return self._run_at + (self.client.stream_started_s or 0.0)

    @property
    def said(self) -> list[Said]:
        """By the script, in the stream's own seconds."""
        return self._script.spoken(self.phase, self.source.pieces * CHUNK_MS / 1000)

    def at(self, event: Event) -> float:
        """When an event was, in Unix seconds."""
        return self._run_at + event.t_s

    def delays(self) -> list[tuple[float, float]]:
        """For each thing understood: when it had been said (Unix seconds), and how much later its words came."""
        found = []
        for event in self.events:
            if event.kind == "ouvido":
                begun_s, over_s = event.fields["inicio_ms"] / 1000, event.fields["fim_ms"] / 1000
                meant = [one for one in self.said if one.begin_s < over_s and begun_s < one.end_s <= over_s]
                found += [(self.began_at + one.end_s, self.at(event) - self.began_at - one.end_s) for one in meant[-1:]]
        return found


@dataclass(frozen=True, slots=True)
class Account:
    """What became of what all counters said."""

    said: int = 0
    lost: int = 0
    """Said, and covered to less than half by rows, or by rows that say `perdido` only."""
    twice: int = 0
    """See serve_app.rolling.CounterReport; so are the next two."""
    heard_twice: int = 0
    reconnections: int = 0
    longest_silence_s: float = 0.0
    attempts: int = 0
    """To connect again; as many as reconnections where each was the first that was tried."""
    gave_up: int = 0
    delays: Sequence[tuple[float, float]] = field(default_factory=tuple)
    """When something had been said (Unix seconds), and how many seconds later its words were with the counter."""

    def waits(self, since: float, until: float) -> list[float]:
        """The delays, in seconds, of what had been said between two instants."""
        return [delay_s for at, delay_s in self.delays if since <= at < until]

    def p95_s(self, since: float, until: float) -> float:
        """Their 95th percentile; not a number where nothing was said."""
        return quantiles(self.waits(since, until)).get("p95", float("nan"))

    def document(self) -> dict[str, Any]:
        """As JSON, without the single delays."""
        names = ("said", "lost", "twice", "heard_twice", "reconnections", "attempts", "longest_silence_s", "gave_up")
        return {name: getattr(self, name) for name in names}


async def talk(
    deployment: Deployment, counters: Mapping[str, str], settle_s: float, happens: Callable[[], Awaitable[None]]
) -> Account:
    """Counters (id → key) talk for `settle_s`, until what happens has happened, and then end. Raises BenchFailed."""
    began_s, over, script = time.time(), asyncio.Event(), loop()
    pcm = script.pcm
    talkers = [
        Talker(deployment.socket_url, key, number, script, pcm, over) for number, key in enumerate(counters.values())
    ]
    running = [asyncio.create_task(_late(talker, number)) for number, talker in enumerate(talkers)]
    try:
        await asyncio.sleep(settle_s)
        await happens()
        over.set()
        await asyncio.wait(running, timeout=END_S)
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
    rows = await asyncio.to_thread(deployment.rows_of, counters, began_s - 1)
    return account_of(talkers, [rows[counter_id] for counter_id in counters])


async def _late(talker: Talker, number: int) -> None:
    await asyncio.sleep(number * CONNECT_EVERY_S)
    await talker.run()


def account_of(talkers: Sequence[Talker], rows: Sequence[Sequence[dict[str, Any]]]) -> Account:
    """Hold what was said against each counter's rows and what it was shown."""
    reports = [judged((), mine, talker.events) for talker, mine in zip(talkers, rows, strict=True)]
    return Account(
        said=sum(len(talker.said) for talker in talkers),
        lost=sum(lost_of(talker.said, mine) for talker, mine in zip(talkers, rows, strict=True)),
        twice=sum(report.twice for report in reports),
        heard_twice=sum(report.heard_twice for report in reports),
        reconnections=sum(report.reconnections for report in reports),
        longest_silence_s=max((report.longest_silence_s for report in reports), default=0.0),
        attempts=sum(event.kind == "reconnecting" for talker in talkers for event in talker.events),
        gave_up=sum(bool(talker.failed) for talker in talkers),
        delays=sorted((one for talker in talkers for one in talker.delays()), key=itemgetter(0)),
    )


def lost_of(said: Sequence[Said], rows: Sequence[Mapping[str, Any]]) -> int:
    """How many are covered to less than half of their length by rows that are not `perdido`."""
    heard = [row for row in rows if row.get("end_sample") and row["outcome"] != "perdido"]
    spans = [(row["first_sample"] / SAMPLE_RATE_HZ, row["end_sample"] / SAMPLE_RATE_HZ) for row in heard]
    return sum(_covered_s(one, spans) < (one.end_s - one.begin_s) / 2 for one in said)


def _covered_s(one: Said, spans: Sequence[tuple[float, float]]) -> float:
    return sum(max(0.0, min(end, one.end_s) - max(begin, one.begin_s)) for begin, end in spans)
