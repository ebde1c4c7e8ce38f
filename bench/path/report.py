"""What was measured, as a table, as one JSON document, and as a picture."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench.path.figures import QUANTILES, QUIET, TOTAL, Bar, Delays, quantiles


@dataclass(frozen=True, slots=True)
class RunResult:
    """One run. Delays in milliseconds, CPU in seconds of one core over the window."""

    denoise: str
    window_s: float
    outcomes: Mapping[str, int]
    delays_ms: Delays
    cpu_s: Mapping[str, float]
    providers_cpu_s: float
    counters_cpu_s: float
    reconnects: int
    load_average: tuple[float, float]
    """Runnable processes of the machine over the last minute, before and after the window."""
    bars: Sequence[Bar]

    def document(self) -> dict[str, Any]:
        """JSON of it, with quantiles in place of the single delays."""
        steps = {name: {"n": len(values), **quantiles(values)} for name, values in self.delays_ms.items()}
        cpu = {name: round(seconds, 2) for name, seconds in self.cpu_s.items()}
        return {
            "denoise": self.denoise,
            "window_s": round(self.window_s, 2),
            "utterances": sum(self.outcomes.values()),
            "outcomes": dict(self.outcomes),
            "steps_ms": steps,
            "service_cpu_s": cpu,
            "service_cores": round(sum(cpu.values()) / self.window_s, 3),
            "providers_cpu_s": round(self.providers_cpu_s, 2),
            "counters_cpu_s": round(self.counters_cpu_s, 2),
            "reconnects": self.reconnects,
            "load_average_before_after": list(self.load_average),
            "bars": [{**asdict(bar), "met": bar.met} for bar in self.bars],
        }

    def table(self) -> str:
        """For a terminal."""
        ended = ", ".join(f"{count} {outcome}" for outcome, count in self.outcomes.items())
        load = " → ".join(f"{value:.2f}" for value in self.load_average)
        lines = [
            f"cleaning {self.denoise}: {sum(self.outcomes.values())} utterances in {self.window_s:.0f} s "
            f"({ended}); load average {load}",
            f"  {'step':<16}{'n':>5}" + "".join(f"{name:>9}" for name in QUANTILES) + "   ms",
        ]
        for name, values in self.delays_ms.items():
            figures = "".join(f"{value:>9.1f}" for value in quantiles(values).values())
            lines.append(f"  {name:<16}{len(values):>5}{figures}")
        cpu = ", ".join(f"{name} {seconds:.1f}" for name, seconds in self.cpu_s.items() if seconds >= 0.05)
        lines += [
            f"  CPU s: service {sum(self.cpu_s.values()):.1f} ({cpu})",
            f"         providers {self.providers_cpu_s:.1f}, counters {self.counters_cpu_s:.1f} (not the service's)",
            *(
                f"  {'met   ' if bar.met else 'MISSED'} {bar.name} {bar.value:.1f} (at most {bar.limit:g})"
                for bar in self.bars
            ),
        ]
        return "\n".join(lines)


def machine() -> dict[str, Any]:
    """On what it was measured."""
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "cores": len(os.sched_getaffinity(0)),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "ray": version("ray"),
        "balto": version("balto"),
    }


def draw(results: Sequence[RunResult], path: Path) -> None:
    """A PNG: the share of suggestions by delay, and each step's median and 95th percentile.

    Raises ImportError where matplotlib (requirements-bench.txt) is not installed.
    """
    figure = import_module("matplotlib.figure").Figure(figsize=(11, 4.2), layout="constrained")
    whole, parts = figure.subplots(1, 2)
    for result in results:
        values = sorted(result.delays_ms[TOTAL])
        share = [100 * (rank + 1) / len(values) for rank in range(len(values))]
        whole.plot(values, share, drawstyle="steps-post", label=f"cleaning {result.denoise} (n={len(values)})")
    whole.set(xlabel="end of utterance → suggestion on the socket, ms", ylabel="% of suggestions", ylim=(0, 101))
    whole.set_xlim(left=0)
    whole.grid(alpha=0.3)
    whole.legend(loc="lower right")
    steps = [name for name in results[0].delays_ms if name not in (TOTAL, QUIET)]
    thickness = 0.8 / len(results)
    for number, result in enumerate(results):
        figures = [quantiles(result.delays_ms[name]) for name in steps]
        rows = [place + number * thickness for place in range(len(steps))]
        medians = [found.get("p50", 0.0) for found in figures]
        beyond = [found.get("p95", 0.0) - median for found, median in zip(figures, medians, strict=True)]
        bar = parts.barh(rows, medians, thickness, label=f"cleaning {result.denoise}: p50, lighter: p95")
        parts.barh(rows, beyond, thickness, medians, color=bar.patches[0].get_facecolor(), alpha=0.35)
    parts.set_yticks([place + 0.4 - thickness / 2 for place in range(len(steps))], steps)
    parts.invert_yaxis()
    parts.set_xlabel("ms")
    parts.grid(alpha=0.3, axis="x")
    parts.legend(loc="lower right")
    figure.savefig(path, dpi=130)
