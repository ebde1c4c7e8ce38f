"""What was measured under load, as tables, as JSON, and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from bench.load.figures import SPEECH
from bench.load.measure import Trial
from bench.path.figures import quantiles

BARS_COUNTERS_PER_CORE: Final = {("pcm", 250): 220.0, ("pcm", 60): 170.0, ("webm", 250): 130.0}
BARS_KB_PER_COUNTER: Final = {"pcm": 450.0, "webm": 800.0}
COMPARED: Final = {"default-proxy": 4.0, "handle-per-block": 5.0}
"""At least so many times the CPU of the fast ingress with the segmenter inline."""
P50_RULES_MAX_MS: Final = 650.0
P99_LLM_MAX_MS: Final = 1400.0
FLAT_MAX: Final = 1.25


@dataclass(frozen=True, slots=True)
class Verdict:
    """A figure beside its bar."""

    name: str
    value: float
    bar: str
    met: bool


def document(trial: Trial) -> dict[str, Any]:
    """JSON of one crowd."""
    seen, cost = trial.seen, trial.cost
    found = asdict(trial.ledger)
    speech = {origin: _quantiles(values) for origin, values in sorted(found.pop("speech_ms").items())}
    answer: dict[str, Any] = {
        "variant": trial.variant,
        **asdict(trial.plan),
        "window_s": round(seen.ended_at - seen.begun_at, 2),
        **found,
        "refused": seen.refusals,
        "connections_lost": seen.dropped,
        "outcomes": dict(trial.outcomes),
        "speech_to_suggestion_ms": speech,
        "steps_ms": {
            origin: {name: _quantiles(values) for name, values in steps.items()}
            for origin, steps in trial.steps_ms.items()
        },
        "generator": {
            "cpu_s": round(seen.generator_cpu_s, 2),
            "late_pieces": seen.late_pieces,
            "late_max_s": seen.late_s,
        },
    }
    if cost is not None:
        before, after = trial.edges
        answer |= {
            "cpu_ms_per_counter_s": {part: round(ms, 3) for part, ms in cost.ms_per_counter_s.items()},
            "cpu_ms_per_counter_s_total": round(cost.total_ms, 3),
            "counters_per_core": round(cost.counters_per_core, 1),
            "counters_per_core_idle_service_included": round(cost.counters_per_core_all_in, 1),
            "busy_cores": _rounded(cost.busy),
            "idle_cores": _rounded(cost.idle),
            "simulators_cpu_s": round(after.simulators_s - before.simulators_s, 2),
            "ingress_kb_per_counter": round(trial.ingress_kb_per_counter or 0.0, 1),
            "ingress_growth_percent": round(trial.ingress_growth_percent or 0.0, 2),
            "replicas": [dict(before.replicas), dict(after.replicas)],
            "load_average": [before.load_average, after.load_average],
            "overload": trial.health.get("porta", {}).get("sobrecarga"),
        }
    return answer


def table(trial: Trial) -> str:
    """One crowd for a terminal."""
    seen, ledger, plan, cost = trial.seen, trial.ledger, trial.plan, trial.cost
    ended = ", ".join(f"{count} {outcome}" for outcome, count in trial.outcomes.items())
    lines = [
        f"{trial.variant}: {plan.counters} counters, {plan.kind} {plan.chunk_ms} ms, generation {plan.generation}, "
        f"{seen.ended_at - seen.begun_at:.0f} s",
        f"  said {ledger.said}, heard {ledger.heard}, lost {ledger.lost}; rows twice {ledger.doubled_rows}, "
        f"suggestions twice {ledger.doubled_suggestions}, not delivered {ledger.undelivered}",
        f"  refused {seen.refusals or 0}, connections lost {seen.dropped}; {ended}",
        f"  generator: {seen.late_pieces} pieces late, {seen.late_s:.2f} s at most; CPU {seen.generator_cpu_s:.1f} s",
    ]
    for origin, values in sorted(ledger.speech_ms.items()):
        lines.append(f"  {SPEECH} ({origin}, {len(values)}): {_line(values)}")
    for origin, steps in trial.steps_ms.items():
        lines += [f"    {origin:<7}{name:<16}{_line(values)}" for name, values in steps.items() if values]
    if cost is not None:
        parts = ", ".join(f"{part} {ms:.2f}" for part, ms in cost.ms_per_counter_s.items() if abs(ms) >= 0.005)
        idle = sum(cost.idle.values())
        load = " → ".join(f"{edge.load_average:.1f}" for edge in trial.edges)
        lines += [
            f"  CPU ms a counter-second beyond idle: {cost.total_ms:.2f} ({parts})",
            f"  counters per core: {cost.counters_per_core:.0f}; with the idle service's {idle:.2f} cores counted in: "
            f"{cost.counters_per_core_all_in:.0f}; load average {load}",
            f"  ingress memory a counter: {trial.ingress_kb_per_counter:.0f} KB, in the window "
            f"{trial.ingress_growth_percent:+.1f} %; replicas {dict(trial.edges[-1].replicas)}",
        ]
        if trial.edges[0].replicas != trial.edges[1].replicas:
            lines.append(
                f"  a stage grew in the window, and its start is counted: before {dict(trial.edges[0].replicas)}"
            )
    return "\n".join(lines)


def verdicts(trials: Sequence[Trial]) -> list[Verdict]:
    """Every bar that these trials say something of."""
    fast = [trial for trial in trials if trial.variant == "fast" and trial.cost is not None]
    found = [verdict for trial in fast for verdict in _of_one(trial)]
    if len(fast) > 1:
        totals = [trial.cost.total_ms for trial in fast if trial.cost]
        flat = max(totals) / min(totals) if min(totals) > 0 else float("inf")
        found.append(Verdict("cost per counter, most/least over N", flat, f"<= {FLAT_MAX}", flat <= FLAT_MAX))
    return found + _compared(trials)


def _of_one(trial: Trial) -> list[Verdict]:
    plan, cost, found = trial.plan, trial.cost, []
    least = BARS_COUNTERS_PER_CORE.get((plan.kind, plan.chunk_ms))
    of = f"N={plan.counters}"
    if cost is not None and least is not None:
        held = cost.counters_per_core
        found.append(
            Verdict(f"{of} counters per core, {plan.kind} {plan.chunk_ms} ms", held, f">= {least:g}", held >= least)
        )
    most_kb, kb = BARS_KB_PER_COUNTER[plan.kind], trial.ingress_kb_per_counter
    if kb is not None:
        found.append(Verdict(f"{of} ingress KB per counter", kb, f"<= {most_kb:g}", kb <= most_kb))
    for origin, name, most_ms in (("regras", "p50", P50_RULES_MAX_MS), ("llm", "p99", P99_LLM_MAX_MS)):
        values = trial.ledger.speech_ms.get(origin)
        if values:
            ms = quantiles(values)[name]
            found.append(Verdict(f"{of} {SPEECH} {name} ({origin}), ms", ms, f"<= {most_ms:g}", ms <= most_ms))
    bad = trial.ledger.lost + trial.ledger.doubled_suggestions + trial.ledger.undelivered
    return [*found, Verdict(f"{of} lost, shown twice or not delivered", bad, "0", bad == 0)]


def _compared(trials: Sequence[Trial]) -> list[Verdict]:
    """Each variant's CPU a counter against the fast one's at the same number."""
    found = []
    for other in trials:
        same = [t for t in trials if t.variant == "fast" and t.plan == other.plan and t.cost]
        if other.variant != "fast" and other.cost and same and same[0].cost:
            times, least = other.cost.total_ms / same[0].cost.total_ms, COMPARED[other.variant]
            found.append(
                Verdict(f"{other.variant} against fast, CPU a counter", times, f">= {least:g}", times >= least)
            )
    return found


def verdict_table(found: Sequence[Verdict]) -> str:
    """For a terminal."""
    return "\n".join(f"  {'met   ' if one.met else 'MISSED'} {one.name}: {one.value:.1f} ({one.bar})" for one in found)


def draw(trials: Sequence[Trial], path: Path) -> None:
    """A PNG: CPU a counter-second by part, and the delays' quantiles, for every trial.

    Raises ImportError where matplotlib (requirements-bench.txt) is not installed.
    """
    figure = import_module("matplotlib.figure").Figure(figsize=(12, 4.6), layout="constrained")
    costs, waits = figure.subplots(1, 2)
    names = [
        f"{trial.variant}\n{trial.plan.kind} {trial.plan.chunk_ms} ms\nN={trial.plan.counters}" for trial in trials
    ]
    _draw_costs(costs, trials, names)
    for origin in ("regras", "llm"):
        for name, dash in (("p50", "-"), ("p99", ":")):
            heights = [quantiles(trial.ledger.speech_ms.get(origin, [])).get(name, float("nan")) for trial in trials]
            waits.plot(range(len(names)), heights, dash, marker="o", label=f"{origin} {name}")
    waits.set(ylabel="end of speech → suggestion, ms", ylim=(0, None))
    waits.set_xticks(range(len(names)), names, fontsize=7)
    waits.grid(alpha=0.3)
    waits.legend()
    figure.savefig(path, dpi=130)


def _draw_costs(axes: Any, trials: Sequence[Trial], names: Sequence[str]) -> None:
    by_part: list[Mapping[str, float]] = [trial.cost.ms_per_counter_s if trial.cost else {} for trial in trials]
    parts = dict.fromkeys(part for one in by_part for part, ms in one.items() if ms >= 0.02)
    bottoms = [0.0] * len(trials)
    for part in parts:
        heights = [max(0.0, one.get(part, 0.0)) for one in by_part]
        axes.bar(range(len(names)), heights, 0.6, bottoms, label=part)
        bottoms = [bottom + height for bottom, height in zip(bottoms, heights, strict=True)]
    axes.set(ylabel="CPU ms a counter-second beyond idle")
    axes.set_xticks(range(len(names)), names, fontsize=7)
    axes.grid(alpha=0.3, axis="y")
    axes.legend(fontsize=7)


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    return {"n": len(values), **quantiles(values)}


def _line(values: Sequence[float]) -> str:
    return " ".join(f"{name} {value:>8.1f}" for name, value in quantiles(values).items()) + " ms"


def _rounded(cores: Mapping[str, float]) -> dict[str, float]:
    return {part: round(value, 4) for part, value in cores.items()}
