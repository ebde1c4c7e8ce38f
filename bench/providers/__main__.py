"""`python -m bench.providers BENCH [--json] [--plot FILE]`; exits 1 when a bar is missed."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import platform
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.providers import cpu, hedging, hop, killed, outage, realtime, soak
from bench.simulated.server import Fault

Document = dict[str, Any]


def main() -> int:
    """Run one bench, print it, and say whether its bars were met."""
    options = _arguments()
    logging.disable(logging.WARNING)  # thousands of scripted failures would be most of the output
    document = _BENCHES[options.bench](options)
    document["machine"] = {
        "cores": len(os.sched_getaffinity(0)),
        "load_average": os.getloadavg()[0],
        "platform": platform.platform(),
        "python": platform.python_version(),
    }
    print(json.dumps(document, indent=1) if options.json else _text(document))
    if options.plot:
        _draw(document, options.plot)
    return 0 if all(bar["met"] for bar in document["bars"]) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.providers", description=__doc__)
    parser.add_argument("bench", choices=sorted(_BENCHES))
    parser.add_argument("--calls", type=int, help="utterances or calls (hedging 20000, soak 10000, bill 2000, cpu 300)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--who", choices=("first", "both"), default="first", help="outage: which provider dies")
    parser.add_argument("--fault", type=Fault, choices=list(Fault), default=Fault.OVERLOADED, metavar="FAULT",
                        help=f"outage: of what: {', '.join(fault.value for fault in Fault)}")  # fmt: skip
    parser.add_argument("--dead-s", type=float, default=15.0, help="outage: for how long")
    parser.add_argument("--every-s", type=float, default=3.0, help="outage: how often each of 20 counters speaks")
    parser.add_argument("--at-once", type=int, help="calls at the same time (soak 8, bill 4)")
    parser.add_argument("--seconds", type=float, default=60.0, help="realtime: how long counters speak")
    parser.add_argument("--counters", type=int, default=3, help="realtime: of each kind")
    parser.add_argument("--speculation", choices=("off", "on"), default="on", help="realtime: see session.speculation")
    parser.add_argument("--virtual", action="store_true", help="soak: scripted providers in virtual time, no sockets")
    parser.add_argument("--json", action="store_true", help="the whole document instead of a table")
    parser.add_argument("--plot", type=Path, help="hedging: a picture of the curve (needs matplotlib)")
    options = parser.parse_args()
    if options.plot and options.bench != "hedging":
        parser.error("--plot draws the curve of hedging; the other benches have none")
    return options


def _outage(options: argparse.Namespace) -> Document:
    plan = outage.Plan(
        who=options.who, fault=options.fault, dead_s=options.dead_s, every_s=options.every_s, seed=options.seed
    )
    return asyncio.run(outage.outage(plan))


def _soak(options: argparse.Namespace) -> Document:
    calls, at_once = options.calls or 10_000, options.at_once or 8
    if options.virtual:
        return soak.in_virtual_time(calls, at_once, options.seed)
    return asyncio.run(soak.report(calls, at_once, options.seed))


_BENCHES: dict[str, Callable[[argparse.Namespace], Document]] = {
    "hedging": lambda options: hedging.report(options.calls or 20_000, options.seed),
    "outage": _outage,
    "soak": _soak,
    "bill": lambda options: asyncio.run(soak.bill(options.calls or 2_000, options.at_once or 4, options.seed)),
    "realtime": lambda options: realtime.report(
        realtime.Plan(options.seconds, options.counters, options.speculation, options.seed)
    ),
    "killed": lambda options: killed.report(),
    "hop": lambda options: hop.report(options.calls or 400),
    "cpu": lambda options: cpu.report(options.calls or 300),
}


def _text(document: Document) -> str:
    shown = {name: value for name, value in document.items() if name not in ("bars", "curve", "machine")}
    lines = [f"{name:<28}{value}" for name, value in shown.items()]
    lines += [
        f"  p99 {one['p99_ms']:7.1f} ms ({one['p99_ratio']:.3f}) at {100 * one['extra']:5.2f} % more requests"
        for one in document.get("curve", ())
    ]
    lines += [
        f"{'met   ' if bar['met'] else 'MISSED'} {bar['name']}: {bar['value']:.4g} (at most {bar['limit']:g})"
        for bar in document["bars"]
    ]
    return "\n".join(lines)


def _draw(document: Document, path: Path) -> None:
    figure = import_module("matplotlib.figure").Figure(figsize=(6.5, 4.2), layout="constrained")
    hedging.draw(document, figure.subplots())
    figure.savefig(path, dpi=130)


if __name__ == "__main__":
    sys.exit(main())
