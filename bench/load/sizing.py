"""`python -m bench.load.sizing`: what a counter-second costs becomes how many VPSes, and euros a counter and month."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from typing import Final

UTTERANCES_PER_S: Final = 6 / 52.5
"""Of one busy counter: the load of `bench.load`."""


@dataclass(frozen=True, slots=True)
class Vps:
    """One machine. Idle figures are those of the service when nobody speaks."""

    cores: float = 2.0
    memory_mb: float = 4000.0
    eur_per_month: float = 5.0
    idle_cores: float = 0.35
    idle_mb: float = 1700.0
    busy_share: float = 0.6
    """How much of its cores is meant to be used at the busiest hour: delays grow beyond it."""


@dataclass(frozen=True, slots=True)
class Size:
    """What a number of counters needs."""

    counters: int
    vpses: int
    eur_per_counter_month: float
    bound_by: str
    """`cpu`, `memory`, or `spare` where one machine would do and a second stands by."""
    utterances_per_s: float
    recogniser_at_once: float


def counters_a_vps(vps: Vps, ms_per_counter_s: float, kb_per_counter: float) -> tuple[int, str]:
    """How many counters one machine holds, and what bounds it. Raises ValueError where the idle service fills it."""
    by_cpu = (vps.cores * vps.busy_share - vps.idle_cores) * 1000 / ms_per_counter_s
    by_memory = (vps.memory_mb * 0.8 - vps.idle_mb) * 1000 / kb_per_counter
    if min(by_cpu, by_memory) < 1:
        raise ValueError("the idle service leaves no room for a counter on such a machine")
    return (int(by_cpu), "cpu") if by_cpu <= by_memory else (int(by_memory), "memory")


def size_of(counters: int, vps: Vps, ms_per_counter_s: float, kb_per_counter: float, stt_s: float = 0.3) -> Size:
    """What `counters` need, with one machine to spare: any one may be lost at the busiest hour."""
    each, bound_by = counters_a_vps(vps, ms_per_counter_s, kb_per_counter)
    vpses = math.ceil(counters / each) + 1
    rate = counters * UTTERANCES_PER_S
    euros = vpses * vps.eur_per_month / counters
    return Size(counters, vpses, euros, "spare" if vpses == 2 else bound_by, rate, rate * stt_s)


def main() -> None:
    """Print the table of docs/sizing.md for a measured cost."""
    parser = argparse.ArgumentParser(prog="python -m bench.load.sizing", description=main.__doc__)
    parser.add_argument("--ms", type=float, required=True, help="CPU ms a counter-second: bench.load prints it")
    parser.add_argument("--kb", type=float, default=450.0, help="ingress memory a counter: bench.load prints it")
    parser.add_argument("--idle-cores", type=float, default=Vps().idle_cores, help="bench.load prints it")
    parser.add_argument("--eur", type=float, default=Vps().eur_per_month, help="of a VPS, a month")
    parser.add_argument("--counters", default="100,300,1000,3000,10000,100000")
    options = parser.parse_args()
    vps = Vps(eur_per_month=options.eur, idle_cores=options.idle_cores)
    print("| counters | VPSes | € per counter-month | bound by | utterances/s | at the recogniser at once |")
    print("|---|---|---|---|---|---|")
    for counters in (int(text) for text in options.counters.split(",")):
        size = size_of(counters, vps, options.ms, options.kb)
        print(
            f"| {counters:,} | {size.vpses} | {size.eur_per_counter_month:.3f} | {size.bound_by} "
            f"| {size.utterances_per_s:.0f} | {size.recogniser_at_once:.0f} |"
        )


if __name__ == "__main__":
    main()
