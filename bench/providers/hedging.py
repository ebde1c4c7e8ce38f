"""Hedging in virtual time: how much of a provider's tail the second one takes off, and what that costs in requests."""

from __future__ import annotations

import asyncio
import itertools
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from bench.providers.scripted import Scripted, Step
from bench.providers.virtual import VirtualLoop, run
from deployments.resilience.settings import HedgeSettings
from deployments.speech_to_text.port import TranscriptionRequest
from deployments.speech_to_text.providers import Plan
from deployments.speech_to_text.settings import SpeechToTextSettings
from deployments.speech_to_text.stage import SpeechToText

PCM: Final = b"\x01\x00" * 16_000
PRIMARY: Final = (0.8, 2.0)
"""Median and 99th percentile in seconds: ElevenLabs' published tail of batch transcription."""
SECOND: Final = (0.2, 0.5)
"""Median as asked for; its tail has the primary's shape."""
UTTERANCES_PER_S: Final = 2.2
"""Of 20 counters that are busy."""
BUDGET_S: Final = 10.0
"""So long that no deadline cuts a tail off: the whole of it is to be seen."""
SHARES: Final = (0.0, 0.02, 0.05, 0.075, 0.15, 0.30)
P99_AT_MOST: Final = 0.80
EXTRA_AT_MOST: Final = 0.10


@dataclass(frozen=True, slots=True)
class Hedged:
    """One run. Latencies in milliseconds; `extra` are the second provider's requests per utterance."""

    share: float
    utterances: int
    extra: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    openings: int
    """How often a breaker opened, which nothing here deserves."""


def simulate(hedge: HedgeSettings, utterances: int, seed: int) -> Hedged:
    """Let `utterances` come by Poisson, hedged as `hedge` says."""
    loop = VirtualLoop()
    primary = Scripted("a", otherwise=lognormal(*PRIMARY, seed))
    second = Scripted("b", otherwise=lognormal(*SECOND, seed + 1))
    settings = SpeechToTextSettings(hedge=hedge, attempt_share=1.0)
    plans = [Plan(provider, "m", 0) for provider in (primary, second)]

    async def talk() -> tuple[list[float], int]:
        stage = SpeechToText(settings, None, plans, loop.unix)
        arrivals = random.Random(seed + 2)
        tasks: list[asyncio.Task[float]] = []
        for number in range(utterances):
            tasks.append(asyncio.create_task(_utterance(stage, number)))
            await asyncio.sleep(arrivals.expovariate(UTTERANCES_PER_S))
        took = await asyncio.gather(*tasks)
        health = await stage.health()
        await stage.close()
        return sorted(took), sum(p["openings"] for p in health["providers"].values())

    took, openings = run(talk(), loop)
    extra = (len(primary.asked_at_s) + len(second.asked_at_s)) / utterances - 1
    p50_ms, p90_ms, p99_ms = (quantile(took, q) for q in (0.5, 0.9, 0.99))
    return Hedged(hedge.share, utterances, extra, p50_ms, p90_ms, p99_ms, openings)


def lognormal(median_s: float, p99_s: float, seed: int) -> Callable[[], Step]:
    """Answers after lognormal times; the same `seed` gives the same row of them."""
    drawn, sigma = random.Random(seed), math.log(p99_s / median_s) / 2.326348
    numbers = itertools.count()
    return lambda: Step(f"texto {next(numbers)}", median_s * math.exp(sigma * drawn.gauss(0, 1)))


def quantile(ordered: Sequence[float], q: float) -> float:
    """The `q` quantile of ordered values."""
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def report(utterances: int, seed: int) -> dict[str, Any]:
    """The curve, and whether the default share holds what is asked of it."""
    runs = [simulate(spending(share), utterances, seed) for share in SHARES]
    plain = runs[0]
    default = simulate(HedgeSettings(), utterances, seed)
    runs = sorted([*runs, default], key=lambda one: one.extra)
    ratio = default.p99_ms / plain.p99_ms
    return {
        "bench": "hedging",
        "seed": seed,
        "primary_s": {"p50": PRIMARY[0], "p99": PRIMARY[1]},
        "second_s": {"p50": SECOND[0], "p99": SECOND[1]},
        "curve": [{**asdict(one), "p99_ratio": one.p99_ms / plain.p99_ms} for one in runs],
        "default": {**asdict(default), "p99_ratio": ratio},
        "bars": [
            {"name": "p99 ratio", "value": ratio, "limit": P99_AT_MOST, "met": ratio <= P99_AT_MOST},
            {"name": "extra requests", "value": default.extra, "limit": EXTRA_AT_MOST,
             "met": default.extra <= EXTRA_AT_MOST},
        ],
    }  # fmt: skip


def spending(share: float) -> HedgeSettings:
    """Settings that spend nearly all of `share`: the quantile goes with it."""
    return HedgeSettings(share=share, quantile=min(0.99, max(0.5, 1 - 0.98 * share)))


async def _utterance(stage: SpeechToText, number: int) -> float:
    heard = await stage.transcribe(TranscriptionRequest(f"u-{number}", PCM, BUDGET_S))
    if heard.status != "ok":
        raise RuntimeError(f"utterance {number} ended as {heard.status}")
    return heard.elapsed_ms


def draw(document: dict[str, Any], axes: Any) -> None:
    """P99 against extra requests."""
    curve = document["curve"]
    extra = [100 * one["extra"] for one in curve]
    for name in ("p50_ms", "p90_ms", "p99_ms"):
        axes.plot(extra, [one[name] for one in curve], marker="o", label=name.removesuffix("_ms"))
    axes.axhline(P99_AT_MOST * curve[0]["p99_ms"], linestyle=":", color="grey", label="0.8 × unhedged p99")
    axes.axvline(100 * EXTRA_AT_MOST, linestyle=":", color="grey")
    axes.set(xlabel="extra requests, % of utterances", ylabel="ms", title="hedging")
    axes.set_ylim(bottom=0)
    axes.grid(alpha=0.3)
    axes.legend()
