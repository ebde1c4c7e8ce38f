"""`python -m bench.footprint`: how much memory the whole service takes when nobody speaks, process by process."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import psutil

from bench.path.cpu import command_of, part_of
from bench.path.report import machine
from bench.path.service import BenchFailed, ServicePlan, own_service
from deployments.telemetry.errors import EmbeddedFailed

NO_KEYS: Final = {"speech_to_text.provider": "demonstracao", "recommender.policy": "regras"}
"""What the service chooses by itself where the environment has no key."""
LIMIT_MB: Final = 2000.0
LIMIT_LEAN_MB: Final = 1600.0
SETTLE_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Resident:
    """One process and its share of memory: its own pages, and its part of those that it shares (PSS), in MB (10⁶)."""

    part: str
    pid: int
    pss_mb: float


def main() -> int:
    """Start the service without any provider's key, let it rest, and add up the memory of all of its processes."""
    parser = argparse.ArgumentParser(prog="python -m bench.footprint", description=main.__doc__)
    parser.add_argument("--lean", action="store_true", help="one ingress, no dashboard")
    parser.add_argument("--settle-s", type=float, default=SETTLE_S, help="how long it rests before it is measured")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true", help="exit with 1 when it takes more than its bar")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        found, load = _measure(options.lean, options.settle_s)
    except (BenchFailed, EmbeddedFailed) as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    limit_mb = LIMIT_LEAN_MB if options.lean else LIMIT_MB
    if options.json:
        print(json.dumps(document(found, limit_mb, load, lean=options.lean), indent=1))
    else:
        print(table(found, limit_mb, load))
    return 1 if options.check and total_mb(found) > limit_mb else 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _measure(lean: bool, settle_s: float) -> tuple[list[Resident], float]:
    with own_service(ServicePlan(NO_KEYS, lean=lean), lambda text: print(f"bench: {text}", file=sys.stderr)) as service:
        time.sleep(settle_s)
        return residents(service.processes()), os.getloadavg()[0]


def residents(processes: Iterable[psutil.Process]) -> list[Resident]:
    """What each process takes, largest first; a process that has ended takes nothing."""
    found = []
    for process in processes:
        try:
            pss_mb = process.memory_full_info().pss / 1e6
            found.append(Resident(part_of(command_of(process)), process.pid, round(pss_mb, 1)))
        except psutil.NoSuchProcess:
            continue
    return sorted(found, key=lambda resident: -resident.pss_mb)


def total_mb(found: Sequence[Resident]) -> float:
    """The whole service."""
    return sum(resident.pss_mb for resident in found)


def by_part(found: Sequence[Resident]) -> dict[str, tuple[int, float]]:
    """Part → its number of processes and their megabytes, largest first."""
    parts: defaultdict[str, list[float]] = defaultdict(list)
    for resident in found:
        parts[resident.part].append(resident.pss_mb)
    return dict(sorted(((part, (len(mb), sum(mb))) for part, mb in parts.items()), key=lambda item: -item[1][1]))


def document(found: Sequence[Resident], limit_mb: float, load: float, *, lean: bool) -> dict[str, Any]:
    """One JSON document."""
    return {
        "bench": "footprint",
        "machine": machine(),
        "lean": lean,
        "load_average": load,
        "pss_mb": round(total_mb(found), 1),
        "limit_mb": limit_mb,
        "met": total_mb(found) <= limit_mb,
        "parts": {part: {"processes": count, "pss_mb": round(mb, 1)} for part, (count, mb) in by_part(found).items()},
        "processes": [asdict(resident) for resident in found],
    }


def table(found: Sequence[Resident], limit_mb: float, load: float) -> str:
    """For a terminal."""
    lines = [f"  {'part':<20}{'processes':>10}{'PSS MB':>10}"]
    lines += [f"  {part:<20}{count:>10}{mb:>10.0f}" for part, (count, mb) in by_part(found).items()]
    verdict = "met" if total_mb(found) <= limit_mb else "MISSED"
    lines.append(f"  {'all of it':<20}{len(found):>10}{total_mb(found):>10.0f}   {verdict} (at most {limit_mb:g})")
    return "\n".join([*lines, f"  load average {load:.2f}"])


if __name__ == "__main__":
    sys.exit(main())
