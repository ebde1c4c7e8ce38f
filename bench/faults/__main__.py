"""`python -m bench.faults`: what a death, a redeploy, a crowd at the door, a flood and a step of load cost counters."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import Any, Final

from bench.faults.crush import admission, flood
from bench.faults.dying import kills, redeploy
from bench.faults.growth import growth
from bench.faults.service import STAGES
from bench.path.report import machine
from bench.path.service import BenchFailed
from deployments.telemetry.errors import EmbeddedFailed
from serve_app.local_ray import RayFailed, drain_as_installed

FAULTS: Final = ("killed", "redeploy", "admission", "flood", "growth")


def main() -> int:
    """Break a service of its own under counters that talk; 1 when a bar is missed, 2 when nothing could be measured."""
    parser = argparse.ArgumentParser(prog="python -m bench.faults", description=main.__doc__)
    parser.add_argument("faults", nargs="*", metavar="fault", help=f"of {', '.join(FAULTS)}; all where none is named")
    parser.add_argument("--counters", type=int, default=50, help="that talk, where a replica dies or all are replaced")
    parser.add_argument("--stage", action="append", choices=STAGES, help="killed: only this one; may be repeated")
    parser.add_argument("--json", type=Path, help="where the report goes besides")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="growth: replicas and delays over time")
    options = parser.parse_args()
    unknown = set(options.faults) - set(FAULTS)
    if unknown:
        parser.error(f"no fault {', '.join(sorted(unknown))}: one of {', '.join(FAULTS)}")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    drain_as_installed()
    try:
        reports = [report for name in options.faults or FAULTS for report in _run(name, options)]
    except (BenchFailed, EmbeddedFailed, RayFailed) as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    if options.json:
        document = {"bench": "faults", "machine": machine(), "faults": reports}
        options.json.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n")
    return int(not all(one["met"] for report in reports for one in report["bars"]))


def _run(name: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    if name == "killed":
        reports = kills(options.counters, tuple(options.stage or STAGES), _say)
    elif name == "redeploy":
        reports = [redeploy(options.counters, _say)]
    elif name == "growth":
        reports = [growth(_say, options.plot)]
    else:
        reports = [(admission if name == "admission" else flood)(_say)]
    for report in reports:
        print(json.dumps(report, ensure_ascii=False), flush=True)
    return reports


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
