"""Too many counters at the door, and one client that runs amok, beside counters that talk."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import psutil
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from bench.faults.abuse import KINDS
from bench.faults.bars import bar
from bench.faults.service import STAGES, Victim, victim_of
from bench.faults.talking import talk
from serve_app.settings import ROOT

SETTLE_S: Final = 45.0
LIMIT: Final = 20
"""Counters a replica, of two."""
TALKING: Final = 32
KNOCKED_S: Final = 120.0
AFTER_S: Final = 20.0
FLOODED_S: Final = 30.0
BETWEEN_S: Final = 8.0
OTHERS: Final = 20
"""Counters beside a flood."""
P95_WITHIN: Final = 2.0
OTHERS_WITHIN: Final = 1.3
RECOVERED_WITHIN_S: Final = 15.0


def admission(say: Callable[[str], None]) -> dict[str, Any]:
    """Three times the counters that the service is set to take want in for two minutes. Raises BenchFailed."""
    with victim_of(say, {"ingress.counters_max": LIMIT, "ingress.counters_node_max": 2 * LIMIT}) as victim:
        keys = victim.deployment.register(6 * LIMIT)
        return asyncio.run(_admission(victim, list(keys.items()), say))


async def _admission(victim: Victim, keys: list[tuple[str, str]], say: Callable[[str], None]) -> dict[str, Any]:
    knocking_at = ended_at = 0.0
    told: Counter[str] = Counter()
    let_in_s = float("inf")
    processes = _pids(victim)

    async def happens() -> None:
        nonlocal knocking_at, ended_at, let_in_s
        knocking_at = time.time()
        say(f"{len(keys) - TALKING} more counters knock")
        knocking = [asyncio.create_task(_knock(victim, key, told)) for _, key in keys[TALKING:]]
        await asyncio.sleep(KNOCKED_S)
        for task in knocking:
            task.cancel()
        await asyncio.gather(*knocking, return_exceptions=True)
        ended_at = time.time()
        say("they have gone")
        let_in_s = await _let_in(victim, keys[-1][1])
        await asyncio.sleep(AFTER_S)

    account = await talk(victim.deployment, dict(keys[:TALKING]), SETTLE_S, happens)
    usual_s, crowded_s = account.p95_s(0.0, knocking_at), account.p95_s(knocking_at, ended_at)
    after_s = account.p95_s(ended_at, ended_at + RECOVERED_WITHIN_S)
    return {
        "fault": "3 times the admission limit",
        **account.document(),
        "told": dict(told),
        "p95_before_s": usual_s,
        "p95_during_s": crowded_s,
        "p95_after_s": after_s,
        "bars": [
            bar("lost", account.lost, 0),
            bar("accepted counters turned out", account.gave_up, 0),
            bar("p95 during, against before", crowded_s / usual_s, P95_WITHIN),
            bar("p95 in the 15 s after, against before", after_s / usual_s, OTHERS_WITHIN),
            bar("turned away without being told when to come again", told["untold"], 0),
            bar("a counter is let in again after, s", let_in_s, RECOVERED_WITHIN_S),
            bar("processes that died", len(processes - _pids(victim)), 0),
        ],
    }


def _pids(victim: Victim) -> set[int]:
    """The replicas' processes."""
    return {process.pid for stage in STAGES for process in victim.replicas(stage)}


async def _knock(victim: Victim, key: str, told: Counter[str]) -> None:
    """Come, stay if let in, else come again when told to."""
    while True:
        code, again_s = await _come(victim, key, stays=True)
        told[code] += 1
        if code != "sessao" and again_s is None:
            told["untold"] += 1
        await asyncio.sleep(again_s or 1.0)


async def _let_in(victim: Victim, key: str) -> float:
    """Seconds until a counter is let in; infinite when none is for a minute."""
    begun_s = time.monotonic()
    while time.monotonic() - begun_s < 60.0:
        code, _ = await _come(victim, key, stays=False)
        if code == "sessao":
            return time.monotonic() - begun_s
        await asyncio.sleep(0.5)
    return float("inf")


async def _come(victim: Victim, key: str, *, stays: bool) -> tuple[str, float | None]:
    """What the door answers, and when it says to come again."""
    handshake = {"comando": "auth", "versao": 4, "api_key": key, "sessao": None, "desde": 0}
    try:
        async with connect(victim.deployment.socket_url, compression=None, proxy=None, open_timeout=5) as ws:
            with suppress(ConnectionClosed):  # turned away already, with a message that is still to be read
                await ws.send(json.dumps({**handshake, "formato": "pcm_s16le_16k"}))
            answer = json.loads(await ws.recv())
            if stays and answer.get("comando") == "sessao":
                await ws.wait_closed()
            return str(answer.get("codigo") or answer.get("comando")), answer.get("tente_em_s")
    except (OSError, WebSocketException, asyncio.TimeoutError, ValueError) as exc:
        return type(exc).__name__, None


def flood(say: Callable[[str], None]) -> dict[str, Any]:
    """One client floods in five ways, one after another, beside another client's counters. Raises BenchFailed."""
    with victim_of(say) as victim:
        keys, abuser = victim.deployment.register(OTHERS), victim.deployment.register(1)
        return asyncio.run(_flood(victim, keys, next(iter(abuser.values())), say))


async def _flood(victim: Victim, keys: dict[str, str], abuser: str, say: Callable[[str], None]) -> dict[str, Any]:
    windows: dict[str, tuple[float, float]] = {}
    came_of_it: dict[str, Any] = {}
    begun_at = 0.0

    async def happens() -> None:
        nonlocal begun_at
        begun_at = time.time()
        for kind in KINDS:
            say(f"flood: {kind}")
            at = time.time()
            came_of_it[kind] = await _abused(victim, kind, abuser)
            windows[kind] = (at, time.time())
            await asyncio.sleep(BETWEEN_S)

    account = await talk(victim.deployment, keys, SETTLE_S, happens)
    usual_s = account.p95_s(0.0, begun_at)
    during = {kind: account.p95_s(*window) for kind, window in windows.items()}
    return {
        "fault": "one client floods",
        **account.document(),
        "p95_before_s": usual_s,
        "p95_during_s": during,
        "came_of_it": came_of_it,
        "bars": [
            bar("lost", account.lost, 0),
            bar("others turned out", account.gave_up, 0),
            *(bar(f"others' p95 during {kind}", p95_s / usual_s, OTHERS_WITHIN) for kind, p95_s in during.items()),
        ],
    }


async def _abused(victim: Victim, kind: str, key: str) -> dict[str, Any]:
    abuser = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bench.faults.abuse",
        kind,
        "--url",
        victim.deployment.socket_url,
        "--seconds",
        str(FLOODED_S),
        cwd=ROOT,
        env={**os.environ, "BENCH_COUNTER_KEY": key},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        said, _ = await asyncio.wait_for(abuser.communicate(), FLOODED_S + 30.0)
    except asyncio.TimeoutError:
        psutil.Process(abuser.pid).kill()
        said, _ = await abuser.communicate()
    lines = said.decode().splitlines()
    result: dict[str, Any] = json.loads(lines[-1]) if lines else {}
    return result
