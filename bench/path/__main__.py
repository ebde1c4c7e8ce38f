"""`python -m bench.path`: end of utterance at the segmenter → suggestion on the socket, at N counters in real time."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bench.path import providers
from bench.path.counters import NEW_CUSTOMER_SILENCE_S, Crowd, CrowdPlan, CrowdSeen
from bench.path.cpu import CpuReading, read_cpu
from bench.path.figures import TOTAL, bars, delays, in_window, outcomes, quantiles
from bench.path.report import RunResult, draw, machine
from bench.path.service import BenchFailed, OwnService, ServicePlan, own_service
from deployments.telemetry.errors import EmbeddedFailed

ROWS_TIMEOUT_S: Final = 15.0
ROWS_QUIET_S: Final = 1.0
SUGGESTED_SHARE_MIN: Final = 0.8
"""Below this the figures say little about suggestions."""


def main() -> int:
    """Measure the server-side delay, step by step, with simulated providers that answer at once."""
    options = _options()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _measure(options)
    except (BenchFailed, EmbeddedFailed) as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.path", description=main.__doc__)
    parser.add_argument("--counters", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0, help="the window that is measured, of each run")
    parser.add_argument("--denoise", default="off,on", help="one run each: off, on, auto")
    parser.add_argument("--advisor", choices=["regras", "llm"], default="regras")
    parser.add_argument("--speculation", choices=["off", "auto", "on"], default="auto", help="see session.speculation")
    parser.add_argument("--chunk-ms", type=int, default=250)
    parser.add_argument("--every-s", type=float, default=8.8, help="from one utterance of a counter to its next")
    parser.add_argument("--warm-up-s", type=float, default=10.0)
    parser.add_argument("--lean", action="store_true", help="one ingress, no dashboard")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of the table")
    parser.add_argument("--plot", type=Path, metavar="DIR", help="write path.png there (requirements-bench.txt)")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a bar is missed")
    parser.add_argument("--keep", type=Path, metavar="FILE", help="write the recorded rows of every run there, as JSON")
    options = parser.parse_args()
    options.denoise = options.denoise.split(",")
    unknown = set(options.denoise) - {"off", "on", "auto"}
    if unknown or options.counters < 1 or options.seconds <= 0:
        parser.error("need --denoise off,on,auto, one counter at least, and a window")
    return options


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _measure(options: argparse.Namespace) -> int:
    rows: dict[str, list[Mapping[str, Any]]] = {}
    results = []
    for denoise in options.denoise:
        result, rows[denoise] = _run(options, denoise)
        results.append(result)
        if not options.json:
            print(result.table(), flush=True)
    if options.json:
        print(json.dumps(_document(options, results), ensure_ascii=False, indent=1))
    if options.keep:
        options.keep.write_text(json.dumps(rows, ensure_ascii=False))
    if options.plot:
        options.plot.mkdir(parents=True, exist_ok=True)
        draw(results, options.plot / "path.png")
    return 1 if options.check and not all(bar.met for result in results for bar in result.bars) else 0


def _document(options: argparse.Namespace, results: list[RunResult]) -> dict[str, Any]:
    named = ("counters", "seconds", "advisor", "chunk_ms", "every_s", "warm_up_s", "lean")
    return {
        "bench": "path",
        "machine": machine(),
        "settings": {name: getattr(options, name) for name in named},
        "runs": [result.document() for result in results],
    }


def _run(options: argparse.Namespace, denoise: str) -> tuple[RunResult, list[Mapping[str, Any]]]:
    """One run with a service of its own."""
    with contextlib.ExitStack() as stack:
        stt = stack.enter_context(providers.elevenlabs())
        llm = stack.enter_context(providers.openai()) if options.advisor == "llm" else None
        changes = settings_changes(denoise, options.advisor, stt.base_url, llm.base_url if llm else None)
        changes["session.speculation"] = options.speculation
        service = stack.enter_context(own_service(ServicePlan(changes, lean=options.lean), _say))
        asked = [stt.process, *([llm.process] if llm else [])]
        counters = service.register_counters(options.counters)
        plan = CrowdPlan(
            service.socket_url,
            list(counters.values()),
            options.seconds,
            options.warm_up_s,
            options.chunk_ms,
            options.every_s,
        )
        _say(f"cleaning {denoise}: {options.counters} counters, {plan.warm_up_s + plan.seconds:.0f} s")
        meter = _Meter(service, asked)
        seen = asyncio.run(Crowd(plan).run(meter.read))
        rows = in_window(_recorded(service, list(counters)), seen.begun_at, seen.ended_at)
    return _result(denoise, rows, seen, meter), rows


def settings_changes(denoise: str, advisor: str, stt_url: str, llm_url: str | None) -> dict[str, Any]:
    """What the bench changes in serve_config.yaml."""
    changes: dict[str, Any] = {
        "voice.denoise": denoise,
        "conversation.new_customer_silence_s": NEW_CUSTOMER_SILENCE_S,
        "speech_to_text.provider": "elevenlabs",
        "speech_to_text.elevenlabs.base_url": stt_url,
        "recommender.policy": advisor,
    }
    if llm_url is not None:
        changes |= {"recommender.provider": "openai", "recommender.openai.base_url": llm_url}
    return changes


class _Meter:
    """Reads CPU at the two edges of the window, off the event loop that the counters live in."""

    def __init__(self, service: OwnService, providers_: list[Any]) -> None:
        self._service = service
        self._providers = providers_
        self.service: list[CpuReading] = []
        self.providers: list[CpuReading] = []
        self.counters_s: list[float] = []
        self.load: list[float] = []

    async def read(self) -> None:
        """Take one reading of everything."""
        self.counters_s.append(time.process_time())
        self.load.append(os.getloadavg()[0])
        self.service.append(await asyncio.to_thread(lambda: read_cpu(self._service.processes())))
        self.providers.append(read_cpu(self._providers))


def _recorded(service: OwnService, counter_ids: list[str]) -> list[dict[str, Any]]:
    """All rows of the counters, once no more come."""
    deadline, quiet_since = time.monotonic() + ROWS_TIMEOUT_S, time.monotonic()
    rows: list[dict[str, Any]] = []
    while time.monotonic() < deadline and time.monotonic() - quiet_since < ROWS_QUIET_S:
        before = len(rows)
        rows = [row for counter_id in counter_ids for row in service.rows(counter_id)]
        if len(rows) != before:
            quiet_since = time.monotonic()
        time.sleep(0.2)
    return rows


def _result(denoise: str, rows: list[Mapping[str, Any]], seen: CrowdSeen, meter: _Meter) -> RunResult:
    took = delays(rows, seen.suggested_at)
    if not took[TOTAL]:
        raise BenchFailed(f"no suggestion in {len(rows)} recorded utterances: {outcomes(rows)}")
    if len(took[TOTAL]) < SUGGESTED_SHARE_MIN * len(rows):
        _say(f"only {len(took[TOTAL])} of {len(rows)} utterances ended in a suggestion")
    return RunResult(
        denoise=denoise,
        window_s=seen.ended_at - seen.begun_at,
        outcomes=outcomes(rows),
        delays_ms=took,
        cpu_s=meter.service[1].since(meter.service[0]),
        providers_cpu_s=sum(meter.providers[1].since(meter.providers[0]).values()),
        counters_cpu_s=meter.counters_s[1] - meter.counters_s[0],
        reconnects=seen.reconnects,
        load_average=(meter.load[0], meter.load[1]),
        bars=bars(denoise, quantiles(took[TOTAL])),
    )


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
