"""A crowd of simulated counters in processes of their own, and what all of them saw together."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, Final, cast

import psutil

from bench.load.counter import CounterSeen, Generation
from bench.load.deployment import Deployment
from bench.load.generator import GeneratorPlan
from bench.load.stream import Format
from bench.path.service import BenchFailed
from serve_app.settings import ROOT

COUNTERS_A_PROCESS: Final = 150
CONNECT_PER_S: Final = 25.0
STOP_TIMEOUT_S: Final = 40.0


@dataclass(frozen=True, slots=True)
class CrowdPlan:
    """How many counters stream what, and for how long after all are connected and warm."""

    counters: int
    seconds: float
    chunk_ms: int = 250
    kind: Format = "pcm"
    generation: Generation = 4
    warm_up_s: float = 20.0


@dataclass(frozen=True, slots=True)
class CrowdSeen:
    """What the counters saw, in the order of their keys, and how well the generator kept up."""

    begun_at: float
    ended_at: float
    counters: Sequence[CounterSeen]
    late_s: float
    late_pieces: int
    generator_cpu_s: float

    @property
    def refusals(self) -> dict[str, int]:
        """Why counters were turned away, with how many."""
        return dict(Tally(seen.refusal for seen in self.counters if seen.refusal))

    @property
    def dropped(self) -> int:
        """Counters whose connection ended though they had not ended it."""
        return sum(bool(seen.began_at) and not seen.ended_by_us for seen in self.counters)

    @property
    def received_at(self) -> dict[str, float]:
        """Suggestion id → when it came first."""
        return {name: times[0] for seen in self.counters for name, times in seen.suggestions.items()}


def run_crowd(
    plan: CrowdPlan, deployment: Deployment, keys: Sequence[str], at_edge: Callable[[], None] = lambda: None
) -> CrowdSeen:
    """Connect, warm up, stream for the window, end; `at_edge` is called where the window begins and ends.

    Raises BenchFailed when not one counter gets in, or a generator dies.
    """
    with contextlib.ExitStack() as stack:
        plans = [_part(plan, deployment, keys, first) for first in range(0, len(keys), COUNTERS_A_PROCESS)]
        generators = [stack.enter_context(_generator(one)) for one in plans]
        if not sum(int(_line(one).split()[1]) for one in generators):
            raise BenchFailed(f"no counter got in: {_seen(generators, 0.0, 0.0, 0.0).refusals}")
        time.sleep(plan.warm_up_s)
        cpu_before = _cpu_s(generators)
        begun_at = time.time()
        at_edge()
        time.sleep(plan.seconds)
        at_edge()
        ended_at = time.time()
        return _seen(generators, begun_at, ended_at, _cpu_s(generators) - cpu_before)


def _part(plan: CrowdPlan, deployment: Deployment, keys: Sequence[str], first: int) -> GeneratorPlan:
    mine = tuple(keys[first : first + COUNTERS_A_PROCESS])
    return GeneratorPlan(
        deployment.socket_url,
        mine,
        tuple(range(first, first + len(mine))),
        plan.generation,
        plan.kind,
        plan.chunk_ms,
        CONNECT_PER_S * len(mine) / len(keys),
    )


@contextlib.contextmanager
def _generator(plan: GeneratorPlan) -> Iterator[subprocess.Popen[str]]:
    generator = subprocess.Popen(
        [sys.executable, "-m", "bench.load.generator"],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is ours to handle
    )
    try:
        _tell(generator, plan.document())
        yield generator
    finally:
        generator.kill()
        generator.communicate()


def _seen(generators: Sequence[subprocess.Popen[str]], begun_at: float, ended_at: float, cpu_s: float) -> CrowdSeen:
    """Have all of them stop, then collect."""
    for generator in generators:
        _tell(generator, "stop")
    documents: list[Mapping[str, Any]] = [json.loads(_line(generator)) for generator in generators]
    return CrowdSeen(
        begun_at=begun_at,
        ended_at=ended_at,
        counters=[CounterSeen(**seen) for document in documents for seen in document["counters"]],
        late_s=max(document["late_s"] for document in documents),
        late_pieces=sum(document["late_pieces"] for document in documents),
        generator_cpu_s=cpu_s,
    )


def _cpu_s(generators: Sequence[subprocess.Popen[str]]) -> float:
    times = [psutil.Process(generator.pid).cpu_times() for generator in generators]
    return sum(one.user + one.system for one in times)


def _tell(generator: subprocess.Popen[str], line: str) -> None:
    stdin = cast("IO[str]", generator.stdin)
    try:
        stdin.write(line + "\n")
        stdin.flush()
    except BrokenPipeError:
        raise BenchFailed("a generator of counters died") from None


def _line(generator: subprocess.Popen[str]) -> str:
    line = cast("IO[str]", generator.stdout).readline()
    if not line:
        raise BenchFailed("a generator of counters died")
    return line
