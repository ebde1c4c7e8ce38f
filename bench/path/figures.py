"""Recorded rows become delays by step, their quantiles, and a verdict; pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np

BOUNDARIES: Final = (
    ("", "segment_emitted_at"),
    ("hand-over", "voice_sent_at"),
    ("voice", "voice_ready_at"),
    ("speech-to-text", "stt_ready_at"),
    ("order", "advice_asked_at"),
    ("advice", "advice_ready_at"),
    ("send", "sent_to_counter_at"),
)
"""A step's name and the instant that ends it; it begins where the one before ends, so the steps add up to `total`.

Of an utterance that was heard in the pause that ended it, `hand-over` is negative: the head start that it had.
"""
TOTAL: Final = "total"
RECEIPT: Final = "receipt"
"""From the server's socket to the counter's program; beside the total, not in it."""
QUIET: Final = "total, quiet"
"""The total of those utterances during which the machine was not busy, whoever made it so; beside the total."""
QUIET_CPU_PERCENT: Final = 60.0
QUANTILES: Final = {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "max": 100}
P50_MAX_MS: Final = {"off": 25.0, "on": 40.0, "auto": 40.0}
P95_MAX_MS: Final = 80.0
"""The bars at 20 counters on 2 cores."""

Delays = dict[str, list[float]]
"""Step → milliseconds, one an utterance."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure and the most it may be."""

    name: str
    limit: float
    value: float

    @property
    def met(self) -> bool:
        """True when the figure is within its limit."""
        return self.value <= self.limit


def instant(row: Mapping[str, Any], name: str) -> float | None:
    """An instant of a row in seconds since the epoch; None where the step did not happen."""
    text = row.get(name)
    return None if text is None else datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp()


def in_window(rows: Iterable[Mapping[str, Any]], begun_at: float, ended_at: float) -> list[Mapping[str, Any]]:
    """The rows whose utterance ended at the segmenter within the window."""
    return [row for row in rows if begun_at <= (instant(row, "segment_emitted_at") or 0.0) < ended_at]


def outcomes(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How the utterances ended, most frequent first."""
    return dict(Counter(str(row["outcome"]) for row in rows).most_common())


def delays(rows: Iterable[Mapping[str, Any]], received_at: Mapping[str, float]) -> Delays:
    """Milliseconds by step of every utterance that took all steps and ended in a suggestion on the socket.

    `received_at`: suggestion id → when its counter had it, seconds since the epoch.
    """
    found: Delays = {name: [] for name in (*(step for step, _ in BOUNDARIES[1:]), TOTAL, QUIET, RECEIPT)}
    for row in rows:
        known = [at for at in (instant(row, field) for _, field in BOUNDARIES) if at is not None]
        if len(known) < len(BOUNDARIES):
            continue
        for (name, _), before, after in zip(BOUNDARIES[1:], known, known[1:], strict=False):
            found[name].append((after - before) * 1e3)
        found[TOTAL].append((known[-1] - known[0]) * 1e3)
        if (busy_percent := row.get("cpu_percent")) is not None and busy_percent <= QUIET_CPU_PERCENT:
            found[QUIET].append(found[TOTAL][-1])
        if (received := received_at.get(str(row.get("suggestion_id")))) is not None:
            found[RECEIPT].append((received - known[-1]) * 1e3)
    return found


def quantiles(values: Sequence[float]) -> dict[str, float]:
    """`p50` to `max`, interpolated; empty where there are no values."""
    if not values:
        return {}
    return {
        name: round(float(value), 2)
        for name, value in zip(QUANTILES, np.percentile(values, list(QUANTILES.values())), strict=True)
    }


def bars(denoise: str, total: Mapping[str, float]) -> list[Bar]:
    """The delay's bars with cleaning `off`, `on` or `auto`."""
    limits = {"p50": P50_MAX_MS[denoise], "p95": P95_MAX_MS}
    return [Bar(f"{name}_ms", limit, total[name]) for name, limit in limits.items()]
