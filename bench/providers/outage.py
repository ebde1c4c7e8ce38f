"""A provider dies from one moment to the next under twenty speaking counters, or both do, and comes back."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from bench.providers.crowd import Crowd, Pace, Spoken, Switch, settings_for, told
from bench.simulated.assemblyai import SimulatedAssemblyAi
from bench.simulated.elevenlabs import DEFAULT_TEXTS, SimulatedElevenLabs
from bench.simulated.server import Fault
from deployments.speech_to_text.port import TranscriptionRequest
from deployments.speech_to_text.settings import SpeechToTextSettings
from deployments.speech_to_text.stage import SpeechToText

Who = Literal["first", "both"]
WATCH_EVERY_S: Final = 0.01
WASTED_AT_MOST: Final = 3
BACK_WITHIN_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Plan:
    """One outage: who dies of what, and how long each part lasts in seconds."""

    who: Who = "first"
    fault: Fault = Fault.OVERLOADED
    before_s: float = 12.0
    dead_s: float = 15.0
    after_s: float = 12.0
    counters: int = 20
    every_s: float = 3.0
    replicas: int = 2
    seed: int = 1
    latencies_ms: tuple[tuple[float, float], tuple[float, float]] = ((800.0, 2000.0), (200.0, 500.0))
    """Median and 99th percentile of the first provider and of the second."""


class _Watch:
    """Notes when each replica leaves the first provider alone, what it had wasted by then, and when it is back."""

    def __init__(self, replicas: Sequence[SpeechToText]) -> None:
        self._replicas = replicas
        self._asked_before: list[int] = []
        self.wasted: dict[int, int] = {}
        self.back_s: dict[int, float] = {}

    async def dies(self) -> None:
        """The outage begins now."""
        self._asked_before = [first["requests"] for first in await self._first()]

    async def watch(self, returns_at_s: float) -> None:
        """Look until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            for number, first in enumerate(await self._first()):
                alone = first["state"] != "closed"
                if alone and number not in self.wasted:
                    self.wasted[number] = first["requests"] - self._asked_before[number]
                if not alone and loop.time() > returns_at_s and number not in self.back_s:
                    self.back_s[number] = loop.time() - returns_at_s
            await asyncio.sleep(WATCH_EVERY_S)

    async def _first(self) -> list[dict[str, Any]]:
        return [(await replica.health())["providers"]["elevenlabs"] for replica in self._replicas]


async def outage(plan: Plan, changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """Run it in real time against simulated vendors on loopback; `changes` are settings of speech-to-text."""
    switches = (Switch(), Switch())
    slow = [
        Pace(*one, plan.seed + number, switch)
        for number, (one, switch) in enumerate(zip(plan.latencies_ms, switches, strict=True))
    ]
    async with (
        SimulatedElevenLabs(latency=slow[0], fault_share=switches[0], retry_after_s=0) as eleven,
        SimulatedAssemblyAi(latency=slow[1], fault_share=switches[1], retry_after_s=0) as assembly,
    ):
        settings = settings_for(eleven.base_url, assembly.base_url, **(changes or {}))
        replicas = [SpeechToText(settings) for _ in range(plan.replicas)]
        try:
            warm = TranscriptionRequest("warm", b"\x01\x00" * 16_000, 10.0)
            await asyncio.gather(*(replica.transcribe(warm) for replica in replicas))
            crowd = Crowd(replicas, plan.counters, plan.every_s, plan.seed)
            watch = await _live_through(plan, switches, crowd, replicas)
            return _document(plan, settings, crowd.spoken, watch, await _at_rest(replicas, eleven, assembly))
        finally:
            await asyncio.gather(*(replica.close() for replica in replicas))


async def _live_through(
    plan: Plan, switches: Sequence[Switch], crowd: Crowd, replicas: Sequence[SpeechToText]
) -> _Times:
    loop = asyncio.get_running_loop()
    started_s = loop.time()
    dies_s, returns_s = started_s + plan.before_s, started_s + plan.before_s + plan.dead_s
    watch = _Watch(replicas)
    talking = asyncio.create_task(crowd.speak(returns_s + plan.after_s))
    await asyncio.sleep(plan.before_s)
    await watch.dies()
    for switch in switches if plan.who == "both" else switches[:1]:
        switch.fault = plan.fault
    watching = asyncio.create_task(watch.watch(returns_s))
    await asyncio.sleep(returns_s - loop.time())
    for switch in switches:
        switch.fault = None
    await talking
    watching.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await watching
    return _Times(dies_s, returns_s, watch)


@dataclass(frozen=True, slots=True)
class _Times:
    dies_s: float
    returns_s: float
    watch: _Watch


async def _at_rest(replicas: Sequence[SpeechToText], *vendors: Any) -> dict[str, int]:
    """What is left once nobody speaks: tasks of ours, and requests that vendors still work on."""
    await asyncio.sleep(0.2)
    return {
        "tasks": sum(replica.running_on for replica in replicas),
        "open_requests": sum(len(vendor.ledger.of(outcomes=("open",))) for vendor in vendors),
    }


def _document(
    plan: Plan, settings: SpeechToTextSettings, spoken: Sequence[Spoken], times: _Times, rest: dict[str, int]
) -> dict[str, Any]:
    during = [s for s in spoken if times.dies_s <= s.at_s < times.returns_s]
    before = [s for s in spoken if s.at_s < times.dies_s - 3]
    lost = [s for s in spoken if s.answer.status not in ("ok", "vazio")]
    usual = sorted(s.answer.elapsed_ms for s in before if s.answer.provider == "assemblyai" or plan.who == "first")
    median_ms = usual[len(usual) // 2] if usual else 0.0
    worst_ms = max(s.answer.elapsed_ms for s in during)
    invented = sum(s.answer.status == "ok" and s.answer.text not in DEFAULT_TEXTS for s in spoken)
    good_again = [s.at_s for s in lost if s.at_s >= times.returns_s]
    back_s = max((at - times.returns_s for at in good_again), default=0.0)
    noticed_s = max(times.watch.back_s.values(), default=float("inf"))
    attempt_ms = settings.attempt_share * 3000.0
    document: dict[str, Any] = {
        "bench": "outage",
        "who": plan.who,
        "fault": plan.fault.value,
        "counters": plan.counters,
        "replicas": plan.replicas,
        "utterances": len(spoken),
        "during": len(during),
        "outcomes_during": dict(Counter(s.answer.status for s in during)),
        "outcomes_after": dict(Counter(s.answer.status for s in spoken if s.at_s >= times.returns_s)),
        "errors_during": dict(Counter(s.answer.error for s in during if s.answer.error)),
        "lost": len(lost),
        "invented": invented,
        "wasted_per_replica": dict(sorted(times.watch.wasted.items())),
        "usual_ms": median_ms,
        "worst_during_ms": worst_ms,
        "noticed_after_s": noticed_s,
        "last_failure_after_return_s": back_s,
        "told_most": max(told(spoken, counter) for counter in range(plan.counters)),
        "left_over": rest,
    }
    bars: list[tuple[str, float, float]] = [("recovery noticed, s", noticed_s, BACK_WITHIN_S)]
    if plan.who == "first":
        bars += [
            ("lost", len(lost), 0),
            ("extra delay, ms", worst_ms - median_ms, attempt_ms),
            ("wasted per replica", max(times.watch.wasted.values(), default=0), WASTED_AT_MOST),
        ]
    else:
        bars += [
            ("invented", invented, 0),
            ("told", document["told_most"], 1),
            ("last failure after return, s", back_s, BACK_WITHIN_S),
        ]
    document["bars"] = [{"name": n, "value": v, "limit": limit, "met": v <= limit} for n, v, limit in bars]
    return document
