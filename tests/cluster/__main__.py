"""`make cluster-test`: builds three VPSes, brings the cluster up on them, and says what each fault cost."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

from tests.cluster.cluster import Cluster
from tests.cluster.plan import FaultPlan, FaultReport, faults
from tests.cluster.vps import RigFailed, rig


def say(what: str) -> None:
    """One line of progress."""
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {what}\n")
    sys.stdout.flush()


def main() -> int:
    """Run the plan; 0 when nothing was lost, nothing shown twice and no counter gave up."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=main.__doc__)
    parser.add_argument("--counters", type=int, default=6)
    parser.add_argument("--hold-s", type=float, default=25.0, help="how long a fault lasts before it is undone")
    parser.add_argument("--fault", action="append", help="only this one; may be repeated")
    parser.add_argument("--json", type=Path, help="where the report goes besides")
    parser.add_argument("--keep-logs", type=Path, help="a folder for the VPSes' logs of a run that failed")
    options = parser.parse_args()
    os.environ["NO_PROXY"] = "*"  # the VPSes are on this machine, whatever proxy leads out of it
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    try:
        with rig() as made:
            cluster = Cluster(made, options.counters)
            try:
                cluster.start(say)
                reports = run(cluster, options)
            except BaseException:
                if options.keep_logs:
                    cluster.keep_logs(options.keep_logs)
                raise
    except RigFailed as exc:
        sys.stderr.write(f"balto: {exc}\n")
        return 1
    if options.json:
        options.json.write_text(json.dumps([asdict(report) for report in reports], indent=1) + "\n")
    return int(any(r.lost or r.twice or r.ended_badly for r in reports))


def run(cluster: Cluster, options: argparse.Namespace) -> list[FaultReport]:
    """Every fault asked for, each reported as it ends."""
    plan = FaultPlan(cluster, options.hold_s, say)
    reports = []
    for fault in faults(cluster):
        if options.fault is None or fault.name in options.fault:
            reports.append(asyncio.run(plan.run(fault)))
            say(json.dumps(asdict(reports[-1])))
    return reports


if __name__ == "__main__":
    sys.exit(main())
