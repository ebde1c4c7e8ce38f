"""Rows and what the counters saw become what was lost, how long it took, and what a counter costs; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import itemgetter
from typing import Any, Final

from audio.utterance import SAMPLE_RATE_HZ
from bench.load.counter import CounterSeen
from bench.load.script import Loop, Said
from bench.path.figures import delays, instant, outcomes

SPEECH: Final = "speech → suggestion"
"""From the last sound of the words to the counter's program, the wait for a chunk to fill included."""
SETTLED_S: Final = 4.0
"""What ended this long before the stream did has its row; younger utterances are not looked for."""
ORIGINS: Final = ("regras", "llm")


@dataclass(slots=True)
class Ledger:
    """What became of what was said within the window."""

    said: int = 0
    heard: int = 0
    """Said, and found in a row by at least half of its length."""
    lost: int = 0
    """Said, and in no row, or in one that says `perdido`."""
    doubled_rows: int = 0
    """Rows of one counter that are the same piece of its stream."""
    doubled_suggestions: int = 0
    """Suggestions that came to a counter more than once."""
    undelivered: int = 0
    """Suggestions that were sent and did not come."""
    speech_ms: dict[str, list[float]] = field(default_factory=dict)
    """By who answered: end of speech → suggestion."""

    def add(self, other: Ledger) -> None:
        """Add another counter's."""
        for name in ("said", "heard", "lost", "doubled_rows", "doubled_suggestions", "undelivered"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for origin, values in other.speech_ms.items():
            self.speech_ms.setdefault(origin, []).extend(values)


def ledger_of(
    loop: Loop, seen: CounterSeen, rows: Sequence[Mapping[str, Any]], chunk_ms: int, window: tuple[float, float]
) -> Ledger:
    """One counter's: `rows` are all of its own, `window` is in seconds since the epoch."""
    found = Ledger()
    if not seen.began_at:
        return found
    sent_s = seen.pieces * chunk_ms / 1000
    spans = sorted(((_span(row), row) for row in rows if row.get("end_sample")), key=itemgetter(0))
    for said in loop.spoken(seen.phase_ms, sent_s - SETTLED_S):
        if window[0] <= seen.began_at + said.end_s < window[1]:
            _look_for(said, spans, seen, found)
    found.doubled_rows = _doubled([span for span, _ in spans])
    found.doubled_suggestions = sum(len(times) > 1 for times in seen.suggestions.values())
    found.undelivered = sum(_undelivered(row, seen, window) for row in rows)
    return found


def _look_for(
    said: Said, spans: Sequence[tuple[tuple[float, float], Mapping[str, Any]]], seen: CounterSeen, found: Ledger
) -> None:
    """Count what was said once, found or lost; the row that ends it says how long its suggestion took."""
    found.said += 1
    length = said.end_s - said.begin_s
    overlapping = [(span, row) for span, row in spans if span[0] < said.end_s and span[1] > said.begin_s]
    covered = sum(min(span[1], said.end_s) - max(span[0], said.begin_s) for span, _ in overlapping)
    if covered < length / 2 or all(row["outcome"] == "perdido" for _, row in overlapping):
        found.lost += 1
        return
    found.heard += 1
    last = overlapping[-1][1]
    times = seen.suggestions.get(str(last.get("suggestion_id")))
    if times:
        delay_ms = (times[0] - seen.began_at - said.end_s) * 1000
        found.speech_ms.setdefault(str(last.get("advice_origin")), []).append(delay_ms)


def _span(row: Mapping[str, Any]) -> tuple[float, float]:
    return row["first_sample"] / SAMPLE_RATE_HZ, row["end_sample"] / SAMPLE_RATE_HZ


def _doubled(spans: Sequence[tuple[float, float]]) -> int:
    """Neighbours of which one covers half of the other."""
    return sum(a[1] - b[0] >= min(a[1] - a[0], b[1] - b[0]) / 2 for a, b in pairwise(spans))


def _undelivered(row: Mapping[str, Any], seen: CounterSeen, window: tuple[float, float]) -> bool:
    sent = instant(row, "sent_to_counter_at")
    if sent is None or not window[0] <= sent < window[1] or row["outcome"] == "alerta":
        return False
    return str(row.get("suggestion_id")) not in seen.suggestions


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU of a window and of the idle service before it, in cores (seconds of CPU a second), by part."""

    counters: int
    busy: Mapping[str, float]
    idle: Mapping[str, float]

    @property
    def ms_per_counter_s(self) -> dict[str, float]:
        """Milliseconds of CPU that one counter costs a second beyond the idle service, most first."""
        parts = {part: self.busy.get(part, 0.0) - self.idle.get(part, 0.0) for part in {*self.busy, *self.idle}}
        each = {part: cores * 1000 / self.counters for part, cores in parts.items()}
        return dict(sorted(each.items(), key=lambda item: -item[1]))

    @property
    def total_ms(self) -> float:
        """All of it together."""
        return (sum(self.busy.values()) - sum(self.idle.values())) * 1000 / self.counters

    @property
    def counters_per_core(self) -> float:
        """How many counters one core holds beside the idle service."""
        return 1000 / self.total_ms if self.total_ms > 0 else float("inf")

    @property
    def counters_per_core_all_in(self) -> float:
        """The same with the idle service's share counted in, at this many counters."""
        busy = sum(self.busy.values())
        return self.counters / busy if busy > 0 else float("inf")


def steps_of(
    rows: Iterable[Mapping[str, Any]], received_at: Mapping[str, float]
) -> tuple[dict[str, int], dict[str, dict[str, list[float]]]]:
    """How the utterances ended, and the delays by step of those with a suggestion, by who answered."""
    rows = list(rows)
    by_origin = {origin: [row for row in rows if row.get("advice_origin") == origin] for origin in ORIGINS}
    return outcomes(rows), {origin: delays(some, received_at) for origin, some in by_origin.items() if some}
