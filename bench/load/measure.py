"""One service of the bench's own under one crowd after another, with its CPU and memory read at the edges."""

from __future__ import annotations

import contextlib
import os
import secrets
import sys
import tempfile
import time
from collections import Counter as Tally
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

import psutil
import yaml

from bench.footprint import residents
from bench.load.crowd import CrowdPlan, CrowdSeen, run_crowd
from bench.load.deployment import Deployment
from bench.load.figures import Cost, Ledger, ledger_of, steps_of
from bench.load.script import loop
from bench.load.simulators import LLM_PREFIX
from bench.path.counters import NEW_CUSTOMER_SILENCE_S
from bench.path.cpu import CpuReading, command_of, part_of, read_cpu
from bench.path.figures import Delays, in_window
from bench.path.providers import Provider, _server
from bench.path.service import OwnService, ServicePlan, own_service
from serve_app.settings import ROOT

Variant = Literal["fast", "default-proxy", "handle-per-block"]
INGRESS: Final = "CounterIngress"
SETTLE_S: Final = 8.0
"""What a service is given to come to rest before it is measured idle."""


@dataclass(frozen=True, slots=True)
class Providing:
    """How long the simulated providers take, in milliseconds; with a 99th percentile they are lognormal."""

    stt_ms: float = 300.0
    stt_p99_ms: float | None = None
    llm_ms: float = 200.0
    llm_p99_ms: float | None = None

    def arguments(self) -> list[str]:
        """For `bench.load.simulators`."""
        named = {"--stt-ms": self.stt_ms, "--stt-p99-ms": self.stt_p99_ms}
        named |= {"--llm-ms": self.llm_ms, "--llm-p99-ms": self.llm_p99_ms}
        return [part for name, value in named.items() if value is not None for part in (name, str(value))]


@dataclass(frozen=True, slots=True)
class Edge:
    """What is read where a window begins or ends."""

    at_s: float
    cpu: CpuReading
    simulators_s: float
    ingress_pss_kb: float
    replicas: Mapping[str, int]
    load_average: float


@dataclass(frozen=True, slots=True)
class Trial:
    """One crowd on one variant of the service, measured."""

    variant: Variant
    plan: CrowdPlan
    seen: CrowdSeen
    ledger: Ledger
    outcomes: Mapping[str, int]
    steps_ms: Mapping[str, Delays]
    """By who answered."""
    edges: Sequence[Edge] = ()
    """Begin and end of the window; empty for a deployment that is not the bench's own."""
    idle: Mapping[str, float] = field(default_factory=dict)
    """Cores of the idle service by part."""
    idle_ingress_pss_kb: float = 0.0
    health: Mapping[str, Any] = field(default_factory=dict)
    """What the service said of itself at the end of the window."""

    @property
    def cost(self) -> Cost | None:
        """None where the processes are not ours to see."""
        if not self.edges:
            return None
        before, after = self.edges
        window_s = after.at_s - before.at_s
        busy = {part: spent / window_s for part, spent in after.cpu.since(before.cpu).items()}
        return Cost(self.plan.counters, busy, self.idle)

    @property
    def ingress_kb_per_counter(self) -> float | None:
        """PSS of the ingress beyond what it had before the first counter, at the end of the window."""
        if not self.edges:
            return None
        return (self.edges[-1].ingress_pss_kb - self.idle_ingress_pss_kb) / self.plan.counters

    @property
    def ingress_growth_percent(self) -> float | None:
        """PSS of the ingress at the end of the window against its beginning."""
        if not self.edges:
            return None
        return (self.edges[1].ingress_pss_kb / self.edges[0].ingress_pss_kb - 1) * 100


class Bench:
    """A started service, measured idle once and then under crowds."""

    def __init__(self, service: OwnService, simulators: psutil.Process, variant: Variant) -> None:
        self._service = service
        self._simulators = simulators
        self._variant = variant
        self._deployment = Deployment(service.url, service.admin_secret)
        self._idle: dict[str, float] = {}
        self._idle_pss_kb = 0.0

    def rest(self, seconds: float) -> None:
        """Measure the idle service."""
        time.sleep(SETTLE_S)
        before = self.edge()
        time.sleep(seconds)
        after = self.edge()
        window_s = after.at_s - before.at_s
        self._idle = {part: spent / window_s for part, spent in after.cpu.since(before.cpu).items()}
        self._idle_pss_kb = after.ingress_pss_kb

    def trial(self, plan: CrowdPlan) -> Trial:
        """Measure one crowd. Raises BenchFailed."""
        edges: list[Edge] = []
        health: dict[str, Any] = {}

        def at_edge() -> None:
            if edges:
                health.update(self._deployment.health())
            edges.append(self.edge())

        tried = try_crowd(plan, self._deployment, self._variant, at_edge)
        return Trial(
            self._variant,
            plan,
            tried.seen,
            tried.ledger,
            tried.outcomes,
            tried.steps_ms,
            edges,
            self._idle,
            self._idle_pss_kb,
            health,
        )

    def edge(self) -> Edge:
        """Read everything now."""
        processes = self._service.processes()
        replicas = [process for process in processes if _is_ingress(process)]
        providers = self._simulators.cpu_times()
        return Edge(
            time.monotonic(),
            read_cpu(processes),
            providers.user + providers.system,
            sum(resident.pss_mb for resident in residents(replicas)) * 1000,
            _replicas(processes),
            os.getloadavg()[0],
        )


def try_crowd(
    plan: CrowdPlan, deployment: Deployment, variant: Variant = "fast", at_edge: Callable[[], None] = lambda: None
) -> Trial:
    """A crowd on any deployment: what it saw and what was recorded, without CPU and memory. Raises BenchFailed."""
    counters = deployment.register(plan.counters)
    began_s = time.time()
    seen = run_crowd(plan, deployment, list(counters.values()), at_edge)
    rows = deployment.rows_of(counters, began_s - 1)
    window, said = (seen.begun_at, seen.ended_at), loop()
    ledger = Ledger()
    for counter_id, one in zip(counters, seen.counters, strict=True):
        ledger.add(ledger_of(said, one, rows[counter_id], plan.chunk_ms, window))
    measured = in_window((row for some in rows.values() for row in some), *window)
    ended, steps = steps_of(measured, seen.received_at)
    return Trial(variant, plan, seen, ledger, ended, steps)


@contextlib.contextmanager
def bench_of(
    variant: Variant, providing: Providing, changes: Mapping[str, Any], say: Callable[[str], None], *, lean: bool
) -> Iterator[Bench]:
    """A service of its own with simulated providers, and nothing of either afterwards. Raises BenchFailed."""
    with contextlib.ExitStack() as stack:
        provider = stack.enter_context(_server("bench.load.simulators", *providing.arguments()))
        config = stack.enter_context(_config(variant))
        launcher = {"launcher": (sys.executable, "-m", "bench.load.plain_ray")} if variant == "default-proxy" else {}
        plan = ServicePlan({**settings_changes(provider), **changes}, lean, config, **launcher)
        yield Bench(stack.enter_context(own_service(plan, say)), provider.process, variant)


def settings_changes(provider: Provider) -> dict[str, Any]:
    """What the bench changes in serve_config.yaml: where the providers are, and what would spare it their calls."""
    return {
        "conversation.new_customer_silence_s": NEW_CUSTOMER_SILENCE_S,
        "conversation.suggestions_per_hour_max": 0,  # a busy counter's hour has 60, this one's has 400
        "speech_to_text.provider": "elevenlabs",
        "speech_to_text.elevenlabs.base_url": provider.base_url,
        "recommender.policy": "cascata",
        "recommender.provider": "openai",
        "recommender.openai.base_url": provider.base_url + LLM_PREFIX,
        "recommender.category_cache.entries_max": 0,  # every answer of the model takes both calls
    }


@contextlib.contextmanager
def _config(variant: Variant) -> Iterator[Path]:
    shipped = ROOT / "serve_config.yaml"
    if variant != "handle-per-block":
        yield shipped
        return
    config = yaml.safe_load(shipped.read_text())
    config["applications"][0]["import_path"] = "bench.load.blocks:build_app"
    with tempfile.TemporaryDirectory(prefix="balto-bench-") as folder:
        path = Path(folder) / f"{secrets.token_hex(4)}.yaml"
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        yield path


def _is_ingress(process: psutil.Process) -> bool:
    try:
        return part_of(command_of(process)) == INGRESS
    except psutil.Error:
        return False


def _replicas(processes: Sequence[psutil.Process]) -> dict[str, int]:
    """How many replicas every stage has now."""
    found: Tally[str] = Tally()
    for process in processes:
        with contextlib.suppress(psutil.Error):
            command = command_of(process)
            if "ServeReplica" in command:
                found[part_of(command)] += 1
    return dict(found)
