"""`python -m bench.load`: counters by the hundred, simulated; what a counter-second costs, and what is lost."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import Any

from bench.load.crowd import CrowdPlan
from bench.load.deployment import Deployment
from bench.load.measure import Providing, Trial, Variant, bench_of, try_crowd
from bench.load.report import document, draw, table, verdict_table, verdicts
from bench.load.script import loop
from bench.load.stream import stream_of
from bench.path.report import machine
from bench.path.service import BenchFailed
from deployments.telemetry.errors import EmbeddedFailed


def main() -> int:
    """Load a service with simulated counters, each saying six utterances of 4.4 s in 52.5 s, and say what it costs."""
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
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=main.__doc__)
    parser.add_argument("--counters", default="100", help="how many; several with commas are one crowd after another")
    parser.add_argument("--seconds", type=float, default=60.0, help="the window that is measured, of each crowd")
    parser.add_argument("--warm-up-s", type=float, default=20.0, help="what counters stream before it")
    parser.add_argument("--idle-s", type=float, default=15.0, help="how long the idle service is measured")
    parser.add_argument("--chunk-ms", default="250", help="of a message; several with commas are crowds of their own")
    parser.add_argument("--format", default="pcm", help="pcm, webm, or both with a comma")
    parser.add_argument("--generation", type=int, choices=[3, 4], default=4)
    parser.add_argument("--compare", action="append", default=[], choices=["default-proxy", "handle-per-block"])
    parser.add_argument("--stt-ms", type=float, default=300.0, help="the simulated recogniser's median")
    parser.add_argument("--stt-p99-ms", type=float, help="makes it lognormal")
    parser.add_argument("--llm-ms", type=float, default=200.0, help="of each of the language model's two calls")
    parser.add_argument("--llm-p99-ms", type=float, help="makes it lognormal")
    parser.add_argument("--speculation", choices=["off", "auto", "on"], default="auto", help="see session.speculation")
    parser.add_argument("--lean", action="store_true", help="one ingress, no dashboard")
    parser.add_argument("--url", help="a deployment that runs already: nothing is started, CPU and memory are not seen")
    parser.add_argument("--admin-secret", default="", help="its administrator's token, with --url")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of the tables")
    parser.add_argument("--plot", type=Path, metavar="DIR", help="write load.png there (requirements-bench.txt)")
    parser.add_argument("--check", action="store_true", help="exit with 1 when a bar is missed")
    options = parser.parse_args()
    try:
        options.plans = plans_of(options)
    except ValueError as exc:
        parser.error(str(exc))
    if options.url and options.compare:
        parser.error("--compare starts services of its own; leave --url out")
    return options


def plans_of(options: argparse.Namespace) -> list[CrowdPlan]:
    """Every crowd that the options ask for. Raises ValueError."""
    numbers = [int(text) for text in options.counters.split(",")]
    if min(numbers) < 1 or options.seconds <= 0:
        raise ValueError("need one counter at least, and a window")
    plans = []
    for kind in options.format.split(","):
        if kind not in ("pcm", "webm"):
            raise ValueError(f"no format {kind}: pcm or webm")
        for chunk_ms in (int(text) for text in options.chunk_ms.split(",")):
            stream_of(loop(), "pcm", chunk_ms)
            plans += [
                CrowdPlan(number, options.seconds, chunk_ms, kind, options.generation, options.warm_up_s)
                for number in numbers
            ]
    return plans


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _measure(options: argparse.Namespace) -> int:
    trials = _elsewhere(options) if options.url else _own(options)
    found = verdicts(trials)
    if options.json:
        bars = [{"name": one.name, "value": round(one.value, 2), "bar": one.bar, "met": one.met} for one in found]
        report = {"bench": "load", "machine": machine(), "trials": [document(trial) for trial in trials], "bars": bars}
        print(json.dumps(report, ensure_ascii=False, indent=1))
    else:
        print(verdict_table(found))
    if options.plot:
        options.plot.mkdir(parents=True, exist_ok=True)
        draw(trials, options.plot / "load.png")
    return 1 if options.check and not all(one.met for one in found) else 0


def _own(options: argparse.Namespace) -> list[Trial]:
    """Every variant with a service of its own, one after another."""
    providing = Providing(options.stt_ms, options.stt_p99_ms, options.llm_ms, options.llm_p99_ms)
    changes: dict[str, Any] = {"session.speculation": options.speculation}
    variants: list[Variant] = ["fast", *options.compare]
    trials = []
    for variant in variants:
        with bench_of(variant, providing, changes, _say, lean=options.lean) as bench:
            bench.rest(options.idle_s)
            for plan in options.plans:
                _say(f"{variant}: {plan.counters} counters, {plan.kind} {plan.chunk_ms} ms")
                trials.append(bench.trial(plan))
                _show(options, trials[-1])
    return trials


def _elsewhere(options: argparse.Namespace) -> list[Trial]:
    deployment = Deployment(options.url, options.admin_secret)
    trials = []
    for plan in options.plans:
        trials.append(try_crowd(plan, deployment))
        _show(options, trials[-1])
    return trials


def _show(options: argparse.Namespace, trial: Trial) -> None:
    if not options.json:
        print(table(trial), flush=True)


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
