"""kill -9 of a replica of each stage, and a redeploy, under counters that talk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from bench.faults.bars import bar
from bench.faults.service import TWO_EACH, Victim, victim_of
from bench.faults.talking import Account, talk
from serve_app.local_ray import wait_until

SETTLE_S: Final = 20.0
WATCHED_S: Final = 25.0
"""What counters go on talking after it has happened, at least."""
SERVED_WITHIN_S: Final = 3.0
REPLACED_WITHIN_S: Final = 20.0
SILENT_MAX_S: Final = 2.0
NOTICED_WITHIN_S: Final = 120.0


def kills(counters: int, stages: tuple[str, ...], say: Callable[[str], None]) -> list[dict[str, Any]]:
    """One replica of each stage in turn. Raises BenchFailed."""
    with victim_of(say, stages=TWO_EACH) as victim:
        keys = victim.deployment.register(counters)
        return [asyncio.run(_kill(victim, stage, keys, say)) for stage in stages]


async def _kill(victim: Victim, stage: str, keys: dict[str, str], say: Callable[[str], None]) -> dict[str, Any]:
    killed_at, replaced_s, replicas = 0.0, float("inf"), 0

    async def happens() -> None:
        nonlocal killed_at, replaced_s, replicas
        before, alive = victim.ready(stage), victim.replicas(stage)
        replicas = len(alive)
        say(f"kill -9 of one of {replicas} {stage}")
        alive[0].kill()
        killed_at = time.time()
        ready = await asyncio.to_thread(wait_until, lambda: victim.ready(stage) > before, REPLACED_WITHIN_S * 3, 0.1)
        replaced_s = time.time() - killed_at if ready else float("inf")
        await asyncio.sleep(max(0.0, killed_at + WATCHED_S - time.time()))

    account = await talk(victim.deployment, keys, SETTLE_S, happens)
    usual_s = account.p95_s(0.0, killed_at - 5.0)
    longest_s = max(account.waits(killed_at - 2.0, killed_at + WATCHED_S), default=float("nan"))
    return {
        "fault": f"kill -9 {stage}",
        "replicas": replicas,
        **account.document(),
        "p95_before_s": usual_s,
        "longest_wait_s": round(longest_s, 3),
        "replaced_s": round(replaced_s, 1),
        "bars": [
            *_nothing_lost(account),
            bar("longest silence, s", account.longest_silence_s, SERVED_WITHIN_S),
            bar("longest wait for words beyond the usual, s", longest_s - usual_s, SERVED_WITHIN_S),
            bar("replaced, s", replaced_s, REPLACED_WITHIN_S),
        ],
    }


def redeploy(counters: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Every replica of every stage replaced. Raises BenchFailed, RayFailed."""
    with victim_of(say) as victim:
        keys = victim.deployment.register(counters)
        return asyncio.run(_redeploy(victim, keys, say))


async def _redeploy(victim: Victim, keys: dict[str, str], say: Callable[[str], None]) -> dict[str, Any]:
    begun_at = 0.0

    async def happens() -> None:
        nonlocal begun_at
        begun_at, before = time.time(), victim.ready("CounterIngress")
        say("redeploying")
        await asyncio.to_thread(victim.redeploy)
        await asyncio.to_thread(wait_until, lambda: victim.ready("CounterIngress") >= before + 2, NOTICED_WITHIN_S, 0.5)
        say(f"the new ingresses are there after {time.time() - begun_at:.0f} s")
        await asyncio.sleep(WATCHED_S + 10)

    account = await talk(victim.deployment, keys, SETTLE_S, happens)
    return {
        "fault": "redeploy",
        **account.document(),
        "p95_before_s": account.p95_s(0.0, begun_at),
        "p95_after_s": account.p95_s(begun_at, time.time()),
        "bars": [
            *_nothing_lost(account),
            bar("longest silence, s", account.longest_silence_s, SILENT_MAX_S),
            bar("counters that noticed nothing", max(0, len(keys) - account.reconnections), 0),
        ],
    }


def _nothing_lost(account: Account) -> list[dict[str, Any]]:
    return [
        bar("lost", account.lost, 0),
        bar("shown twice", account.twice, 0),
        bar("counters that gave up", account.gave_up, 0),
    ]
