"""The rows recorded, as a table to read; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any


def table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The rows as lines: time, outcome, milliseconds of each step, text; below, the category and the items."""
    lines = [f"{'at':>8}  {'outcome':<24} {'voice':>6} {'stt':>6} {'advice':>6} {'total':>6}  heard"]
    for row in rows:
        outcome = " ".join(filter(None, (row.get("outcome"), f"({reason(row)})" if reason(row) else "")))
        lines.append(f"{row['start_s']:6.1f} s  {outcome:<24} {_delays(row)}  {row.get('text') or ''}".rstrip())
        category = "/".join(filter(None, (row.get("macro"), row.get("micro"))))
        items = " · ".join(item.get("sugestao") or item.get("suggestion", "") for item in row.get("items") or [])
        if category or items:
            lines.append(f"{'':10}{' → '.join(filter(None, (category, items)))}")
    return [*lines, "(delays in ms; total: from the end of speech to the counter)"]


def reason(row: Mapping[str, Any]) -> str:
    """Why an utterance came to nothing, empty where it did not."""
    return str(row.get("discard_reason") or row.get("stt_error") or row.get("advice_error") or "")


def _delays(row: Mapping[str, Any]) -> str:
    steps = (
        ("voice_sent_at", "voice_ready_at"),
        ("stt_sent_at", "stt_ready_at"),
        ("advice_asked_at", "advice_ready_at"),
        ("speech_ended_at", "sent_to_counter_at"),
    )
    return " ".join(f"{_milliseconds(row.get(begin), row.get(end)):>6}" for begin, end in steps)


def _milliseconds(begin: object, end: object) -> str:
    if not (isinstance(begin, str) and isinstance(end, str)):
        return "–"
    # Python 3.10 does not read the Z of ISO 8601
    first, last = (datetime.fromisoformat(instant.replace("Z", "+00:00")) for instant in (begin, end))
    return f"{(last - first).total_seconds() * 1000:.0f}"
