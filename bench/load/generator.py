"""`python -m bench.load.generator`: some 150 counters in one process, told on stdin what to do, as JSON."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any, Final

import uvloop

from bench.load.counter import CounterSeen, Generation, SimulatedCounter, audio_frames
from bench.load.frames import BINARY, frame
from bench.load.script import LOOP_MS, PHASE_MS, loop
from bench.load.stream import Format, stream_of

CONNECT_TIMEOUT_S: Final = 60.0
CLOSE_TIMEOUT_S: Final = 12.0
PHASES: Final = LOOP_MS // PHASE_MS
_LATE_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class GeneratorPlan:
    """The counters of one process. `numbers` are theirs among all counters, for the phase of their loops."""

    url: str
    keys: tuple[str, ...]
    numbers: tuple[int, ...]
    generation: Generation
    kind: Format
    chunk_ms: int
    connect_per_s: float

    @classmethod
    def read(cls, text: str) -> GeneratorPlan:
        """From JSON."""
        fields: dict[str, Any] = json.loads(text)
        return cls(**{**fields, "keys": tuple(fields["keys"]), "numbers": tuple(fields["numbers"])})

    def document(self) -> str:
        """As JSON."""
        return json.dumps(asdict(self))


def phase_ms(number: int) -> int:
    """Where in the loop counter `number` begins: neighbours are far apart, all phases come equally often."""
    return number * 13 % PHASES * PHASE_MS


class Generator:
    """Connects its counters, streams until it is told to stop, and says what they saw."""

    def __init__(self, plan: GeneratorPlan) -> None:
        self._plan = plan
        stream = stream_of(loop(), plan.kind, plan.chunk_ms)
        self._head = frame(BINARY, stream.head) if stream.head else b""
        self._frames = audio_frames(stream.pieces)
        self._counters: list[SimulatedCounter] = []
        self._due: list[tuple[float, int]] = []
        """When which counter's next piece is due, on the event loop's clock."""
        self._timer: asyncio.TimerHandle | None = None
        self._ready = 0
        self._settled = asyncio.Event()
        """Every counter streams, or never will."""
        self.late_s = 0.0
        """The furthest that a piece was behind its time: a generator that cannot keep up measures itself."""
        self.late_pieces = 0

    async def connect(self) -> int:
        """Open all sockets, spread over time; how many stream."""
        now = asyncio.get_running_loop().time
        begun = now()
        for place, (key, number) in enumerate(zip(self._plan.keys, self._plan.numbers, strict=True)):
            await asyncio.sleep(max(0.0, begun + place / self._plan.connect_per_s - now()))
            await self._connect_one(place, key, number)
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._settled.wait(), CONNECT_TIMEOUT_S)
        return self._ready

    async def stop(self) -> None:
        """End every stream, and wait until the server has closed it."""
        if self._timer is not None:
            self._timer.cancel()
        for counter in self._counters:
            counter.finish()
        if self._counters:
            await asyncio.wait([counter.closed for counter in self._counters], timeout=CLOSE_TIMEOUT_S)
        for counter in self._counters:
            counter.abort()

    def document(self) -> dict[str, Any]:
        """What all of them saw."""
        return {
            "counters": [counter.seen.document() for counter in self._counters],
            "late_s": round(self.late_s, 3),
            "late_pieces": self.late_pieces,
            "cpu_s": round(time.process_time(), 3),
        }

    async def _connect_one(self, place: int, key: str, number: int) -> None:
        plan = self._plan
        seen = CounterSeen(number, phase_ms(number))
        counter = SimulatedCounter(plan.url, key, plan.generation, plan.kind, seen, lambda: self._begin(place))
        counter.closed.add_done_callback(lambda _: self._look_around())
        self._counters.append(counter)
        try:
            await counter.connect()
        except OSError as exc:
            seen.refusal, seen.closed = type(exc).__name__, 1006
            counter.closed.set_result(None)

    def _look_around(self) -> None:
        away = sum(counter.closed.done() and not counter.seen.began_at for counter in self._counters)
        if self._ready + away == len(self._plan.keys):
            self._settled.set()

    def _begin(self, place: int) -> None:
        self._ready += 1
        self._look_around()
        if self._head:
            self._counters[place].send(self._head)
            self._counters[place].seen.pieces = 0
        heapq.heappush(self._due, (asyncio.get_running_loop().time() + self._plan.chunk_ms / 1000, place))
        self._set_timer()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._due:
            self._timer = asyncio.get_running_loop().call_at(self._due[0][0], self._send_due)

    def _send_due(self) -> None:
        """Send what is due; each counter's next piece is due a piece after its last one was, however late that went."""
        now, step = asyncio.get_running_loop().time(), self._plan.chunk_ms / 1000
        while self._due and self._due[0][0] <= now:
            due, place = self._due[0]
            counter = self._counters[place]
            if not counter.streaming:
                heapq.heappop(self._due)
                continue
            self._note_late(now - due)
            self._send(counter)
            heapq.heapreplace(self._due, (due + step, place))
        self._set_timer()

    def _note_late(self, late_s: float) -> None:
        self.late_s = max(self.late_s, late_s)
        self.late_pieces += late_s > _LATE_S

    def _send(self, counter: SimulatedCounter) -> None:
        first = counter.seen.phase_ms // self._plan.chunk_ms
        piece = self._frames[(first + counter.seen.pieces) % len(self._frames)]
        if piece:
            counter.send(piece)
        else:
            counter.seen.pieces += 1


async def generate(plan: GeneratorPlan) -> None:
    """Say `connected N`, stream until a line comes on stdin (or it ends), then say what was seen."""
    generator = Generator(plan)
    try:
        print(f"connected {await generator.connect()}", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
    finally:
        await generator.stop()
    print(json.dumps(generator.document()), flush=True)


def main() -> None:
    """Read the plan from stdin's first line, and carry it out."""
    plan = GeneratorPlan.read(sys.stdin.readline())
    uvloop.run(generate(plan))


if __name__ == "__main__":
    main()
