"""Stages that grow with what waits for them: from 5 counters to 60 and back."""

from __future__ import annotations

import asyncio
import itertools
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from bench.faults.bars import bar
from bench.faults.service import Victim, victim_of
from bench.faults.talking import Account, talk

FEW, MANY = 5, 60
FEW_S, MANY_S, AFTER_S = 40.0, 130.0, 300.0
FOLLOWED_WITHIN_S: Final = 60.0
TIMES: Final = 1.5
WINDOW_S: Final = 15.0
NEEDED: Final = 3
_MADE_FOR: Final = {"Voice": 1, "SpeechToText": 2}
"""Utterances at once: the recogniser's replica also waits .3 s for its provider."""
STAGES: Final = tuple(_MADE_FOR)


def growth(say: Callable[[str], None], plot: Path | None) -> dict[str, Any]:
    """A step up and back, with a scripted service time that needs three replicas. Raises BenchFailed."""
    stages = {
        stage: {
            "max_ongoing_requests": 2 * made_for,
            "autoscaling_config": {"min_replicas": 1, "max_replicas": 8, "target_ongoing_requests": made_for},
        }
        for stage, made_for in _MADE_FOR.items()
    }
    with victim_of(say, stages=stages, import_path="bench.faults.slow:build_app") as victim:
        return asyncio.run(_growth(victim, say, plot))


async def _growth(victim: Victim, say: Callable[[str], None], plot: Path | None) -> dict[str, Any]:
    keys = list(victim.deployment.register(MANY).items())
    seen: list[tuple[float, tuple[int, ...]]] = []
    crowd: asyncio.Task[Account] | None = None
    up_at = down_at = 0.0

    async def happens() -> None:
        nonlocal crowd, up_at, down_at
        up_at = time.time()
        say(f"{MANY} counters")
        crowd = asyncio.create_task(talk(victim.deployment, dict(keys[FEW:]), MANY_S, _nothing))
        await asyncio.sleep(MANY_S + 2)
        down_at = time.time()
        say(f"{FEW} counters again")
        await asyncio.sleep(AFTER_S)

    watching = asyncio.create_task(_watch(victim, seen))
    try:
        few = await talk(victim.deployment, dict(keys[:FEW]), FEW_S, happens)
    finally:
        watching.cancel()
    assert crowd is not None
    many = await crowd
    delays = sorted([*few.delays, *many.delays])
    both = Account(delays=delays)
    usual_s = both.p95_s(0.0, up_at)
    back_s = _back_after_s(both, up_at, down_at, usual_s * TIMES)
    counts = {stage: [(at, found[place]) for at, found in seen] for place, stage in enumerate(STAGES)}
    if plot is not None:
        _draw(plot, counts, delays, up_at)
    most = {stage: max((n for at, n in some if at < down_at + 5), default=0) for stage, some in counts.items()}
    return {
        "fault": f"{FEW} → {MANY} → {FEW} counters",
        "lost": few.lost + many.lost,
        "twice": few.twice + many.twice,
        "said": few.said + many.said,
        "p95_before_s": usual_s,
        "replicas_most": most,
        "replicas_last": {stage: some[-1][1] for stage, some in counts.items()},
        "bars": [
            bar("lost", few.lost + many.lost, 0),
            *(bar(f"{stage}: replicas missing of {NEEDED}", max(0, NEEDED - n), 0) for stage, n in most.items()),
            bar("p95 back under 1.5 times after, s", back_s, FOLLOWED_WITHIN_S),
            *(bar(f"{stage}: grown again while it shrank", _flaps(some, up_at), 0) for stage, some in counts.items()),
        ],
    }


async def _nothing() -> None:
    """Nothing happens."""


async def _watch(victim: Victim, seen: list[tuple[float, tuple[int, ...]]]) -> None:
    while True:
        found = await asyncio.to_thread(lambda: tuple(len(victim.replicas(stage)) for stage in STAGES))
        seen.append((time.time(), found))
        await asyncio.sleep(1.0)


def _back_after_s(account: Account, up_at: float, down_at: float, limit_s: float) -> float:
    """When the first window began, after the step, from which on every window's p95 was within the limit."""
    back_s = math.inf
    for at in range(0, math.floor(down_at - up_at - WINDOW_S) + 1, 5):
        within = account.p95_s(up_at + at, up_at + at + WINDOW_S) <= limit_s
        back_s = min(back_s, at) if within else math.inf
    return back_s


def _flaps(counts: Sequence[tuple[float, int]], up_at: float) -> int:
    """How often a stage grew after it had shrunk."""
    steps = [b - a for a, b in itertools.pairwise(n for at, n in counts if at >= up_at) if a != b]
    return sum(one < 0 < other for one, other in itertools.pairwise(steps))


def _draw(
    plot: Path, counts: dict[str, list[tuple[float, int]]], delays: Sequence[tuple[float, float]], up_at: float
) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (above, below) = pyplot.subplots(2, 1, sharex=True, figsize=(9, 6))
    for stage, some in counts.items():
        above.step([at - up_at for at, _ in some], [n for _, n in some], where="post", label=stage)
    above.set_ylabel("replicas")
    above.legend()
    below.plot([at - up_at for at, _ in delays], [delay_s for _, delay_s in delays], ".", markersize=3)
    below.set_ylabel("end of speech → words, s")
    below.set_xlabel(f"seconds after the step from {FEW} to {MANY} counters")
    figure.tight_layout()
    figure.savefig(plot)
