"""Thousands of calls with faults of every kind: each ends in time in a typed outcome, and nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import math
import random
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import psutil

from bench.providers.crowd import settings_for
from bench.providers.scripted import Scripted, Step
from bench.providers.virtual import VirtualLoop, run
from bench.simulated.assemblyai import SimulatedAssemblyAi
from bench.simulated.elevenlabs import SimulatedElevenLabs
from bench.simulated.faults import FaultShare, Latency, Ledger
from bench.simulated.server import Fault
from deployments.resilience.settings import BreakerSettings, HedgeSettings
from deployments.speech_to_text.port import (
    SttRefused,
    SttStalled,
    SttThrottled,
    SttTimeout,
    SttUnavailable,
    Transcription,
    TranscriptionRequest,
)
from deployments.speech_to_text.providers import Plan
from deployments.speech_to_text.settings import SpeechToTextSettings
from deployments.speech_to_text.stage import SpeechToText

SCALED: Final[dict[str, Any]] = {
    "breaker": BreakerSettings(probe_every_s=0.3, refused_open_s=0.3, throttled_open_s=0.05, throttled_open_max_s=0.05),
    "hedge": HedgeSettings(samples_min=30),
    "min_attempt_s": 0.05,
    "timeout_counts_from_s": 0.1,
}
"""Times of the breaker shortened as the vendors' are: what takes a second in the field takes a tenth here."""
BUDGET_S: Final = 1.5
LATE_MS: Final = 150.0
"""What a busy machine may add to a deadline."""
STATUSES: Final = frozenset({"ok", "vazio", "prazo", "indisponivel", "limite", "recusado"})
GROWTH_AT_MOST_MB: Final = 16.0
BILLABLE: Final = (Fault.SERVER_ERROR, Fault.RESET, Fault.OVERLOADED, Fault.THROTTLED, Fault.BAD_REQUEST)
"""Faults of which it is plain that nobody bills them; about a garbled answer a vendor and its client may differ."""


class _Ailing(FaultShare):
    """Faults until the vendor is `well`."""

    well = False

    def next(self) -> Fault | None:
        """What the next request meets."""
        return None if self.well else super().next()


@dataclass(frozen=True, slots=True)
class Soaked:
    """What was seen of a run."""

    answers: Sequence[Transcription]
    grown_mb: float
    tasks_left: int
    sockets_left: int
    health: dict[str, Any]
    ledger: Ledger
    settings: SpeechToTextSettings


async def soak(calls: int, at_once: int, share: float, faults: Sequence[Fault], seed: int) -> Soaked:
    """Make `calls` calls of which `share` meet a fault at either vendor, then look at what is left."""
    ledger = Ledger()
    shares = [_Ailing(share, faults, seed + n) for n in range(2)]
    async with (
        SimulatedElevenLabs(latency=Latency(40, 100, seed), fault_share=shares[0], ledger=ledger) as eleven,
        SimulatedAssemblyAi(latency=Latency(20, 50, seed), fault_share=shares[1], ledger=ledger) as assembly,
    ):
        eleven.requests = deque(maxlen=10)  # the audio of a thousand each would be most of the memory
        assembly.requests = deque(maxlen=10)
        settings = settings_for(eleven.base_url, assembly.base_url, **SCALED)
        stage = SpeechToText(settings)
        first = await _calls(stage, calls // 5, at_once, seed)
        memory_mb = _memory_mb()
        answers = [*first, *await _calls(stage, calls - calls // 5, at_once, seed + 1)]
        grown_mb = _memory_mb() - memory_mb
        health = await _recovered(stage, shares)
        await asyncio.sleep(0.5)
        tasks_left = stage.running_on
        await stage.close()
        await asyncio.sleep(0.2)
        sockets_left = eleven.connections + assembly.connections
    return Soaked(answers, grown_mb, tasks_left, sockets_left, health, ledger, settings)


async def _calls(stage: SpeechToText, calls: int, at_once: int, seed: int) -> list[Transcription]:
    drawn = random.Random(seed)
    numbers = iter(range(calls))
    answers: list[Transcription] = []

    async def one_after_the_other() -> None:
        for number in numbers:
            pcm = b"\x01\x00" * drawn.randrange(8_000, 48_000)
            answers.append(await stage.transcribe(TranscriptionRequest(f"{seed}-{number}", pcm, BUDGET_S)))

    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
    return answers


async def _recovered(stage: SpeechToText, shares: Sequence[_Ailing]) -> dict[str, Any]:
    """The state of the providers once the vendors have been well for a while."""
    for share in shares:
        share._share = 0.0  # the vendors are well from now on
    for number in range(40):
        await stage.transcribe(TranscriptionRequest(f"well-{number}", b"\x01\x00" * 16_000, BUDGET_S))
        await asyncio.sleep(0.02)
    health: dict[str, Any] = (await stage.health())["providers"]
    return health


def _memory_mb() -> float:
    gc.collect()
    return float(psutil.Process().memory_info().rss) / 2**20


async def report(calls: int, at_once: int, seed: int) -> dict[str, Any]:
    """Faults of all kinds."""
    seen = await soak(calls, at_once, 0.05, tuple(Fault), seed)
    late = [a for a in seen.answers if a.elapsed_ms > BUDGET_S * 1e3 + LATE_MS]
    untyped = [a for a in seen.answers if a.status not in STATUSES]
    not_closed = sum(p["state"] != "closed" for p in seen.health.values())
    limits: list[tuple[str, float, float]] = [
        ("unanswered", calls - len(seen.answers), 0),
        ("untyped", len(untyped), 0),
        ("later than the deadline", len(late), 0),
        ("tasks left", seen.tasks_left, 0),
        ("sockets left", seen.sockets_left, 0),
        ("providers not recovered", not_closed, 0),
        ("memory grown, MB", seen.grown_mb, GROWTH_AT_MOST_MB),
    ]
    return {
        "bench": "soak",
        "calls": calls,
        "at_once": at_once,
        "seed": seed,
        "outcomes": dict(Counter(a.status for a in seen.answers)),
        "slowest_ms": max(a.elapsed_ms for a in seen.answers),
        "providers": seen.health,
        "vendors_saw": {name: dict(seen.ledger.outcomes(name)) for name in ("elevenlabs", "assemblyai")},
        "bars": [{"name": n, "value": v, "limit": limit, "met": v <= limit} for n, v, limit in limits],
    }


async def bill(calls: int, at_once: int, seed: int) -> dict[str, Any]:
    """What was computed against what the vendors received: answered, overtaken and given up."""
    seen = await soak(calls, at_once, 0.05, BILLABLE, seed)
    eleven, assembly = seen.settings.elevenlabs, seen.settings.assemblyai
    vendors = {
        "elevenlabs": seen.ledger.audio_usd("elevenlabs", eleven.cost_usd_per_hour, eleven.keyterms_cost_usd_per_hour),
        "assemblyai": seen.ledger.audio_usd("assemblyai", assembly.cost_usd_per_hour),
    }
    ours = {name: p["cost_usd"] for name, p in seen.health.items()}
    off_usd = max(abs(ours[name] - vendors[name]) for name in vendors)
    return {
        "bench": "bill",
        "calls": calls,
        "seed": seed,
        "computed_usd": ours,
        "ledger_usd": vendors,
        "vendors_saw": {name: dict(seen.ledger.outcomes(name)) for name in vendors},
        "bars": [{"name": "difference, USD", "value": off_usd, "limit": 0.005, "met": off_usd < 0.005}],
    }


def in_virtual_time(calls: int, at_once: int, seed: int) -> dict[str, Any]:
    """The same with providers in this process and time that a busy machine cannot stretch: deadlines to the ms."""
    loop = VirtualLoop()
    drawn = random.Random(seed)
    providers = [Scripted(name, otherwise=lambda: _mishap(drawn)) for name in ("a", "b")]
    plans = [Plan(provider, "m", 1) for provider in providers]

    async def live() -> tuple[list[Transcription], int, int]:
        stage = SpeechToText(SpeechToTextSettings(**SCALED), None, plans, loop.unix)
        answers = await _calls(stage, calls, at_once, seed)
        await asyncio.sleep(BUDGET_S)
        left = stage.running_on
        await stage.close()
        return answers, left, sum(provider.open for provider in providers)

    answers, tasks_left, requests_left = run(live(), loop)
    slowest_ms = max(answer.elapsed_ms for answer in answers)
    limits: list[tuple[str, float, float]] = [
        ("unanswered", calls - len(answers), 0),
        ("untyped", sum(answer.status not in STATUSES for answer in answers), 0),
        ("slowest, ms", slowest_ms, BUDGET_S * 1e3),
        ("tasks left", tasks_left, 0),
        ("requests left", requests_left, 0),
    ]
    return {
        "bench": "soak in virtual time",
        "calls": calls,
        "seed": seed,
        "outcomes": dict(Counter(answer.status for answer in answers)),
        "bars": [{"name": n, "value": v, "limit": limit, "met": v <= limit} for n, v, limit in limits],
    }


def _mishap(drawn: random.Random) -> Step:
    """19 times in 20 an answer after a lognormal while; else one of the ways to fail, at once, late or never."""
    after_s = 0.04 * math.exp(0.4 * drawn.gauss(0, 1))
    if drawn.random() >= 0.05:
        return Step("tem soro?", after_s)
    refused = SttRefused("401")
    refused.of_key = True
    throttled = SttThrottled("429")
    throttled.retry_after_s = 1.0
    failures = (SttUnavailable(), SttStalled(), SttTimeout(), SttRefused(), refused, throttled, RuntimeError())
    return drawn.choice((*(Step(failure, after_s) for failure in failures), Step(None), Step("tarde", 2.0)))
