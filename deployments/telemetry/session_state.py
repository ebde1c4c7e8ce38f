"""What is known of a session that is resumed: the database's rows and those that still wait in an outbox."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from deployments.telemetry.records import SessionState
from deployments.telemetry.rows import Row, decode, readable
from deployments.telemetry.store import SessionRows

UTTERANCES_MAX = 200
SUGGESTIONS_MAX = 1000
TEXTS_MAX = 12


def session_state(stored: SessionRows, waiting: Iterable[Row]) -> SessionState:
    """Merge both, by the order in which things happened; a row that is in both counts once."""
    fresh = [readable(decode(row.kind, row.payload)) for row in waiting if row.kind == "interaction"]
    utterances = _merged(stored.utterances, (row for row in fresh if row["end_sample"] is not None))
    suggested = _merged(stored.suggestions, (row for row in fresh if row["suggestion_id"] is not None))
    texts = _merged(stored.texts, (row for row in fresh if row["text"]))
    intervals = sorted({(row["first_sample"] or 0, row["end_sample"]) for row in utterances})
    return SessionState(
        counter_id=next((row["counter_id"] for row in (*utterances, *suggested, *texts)), ""),
        last_end_sample=max((end for _, end in intervals), default=0),
        utterances=tuple(intervals[-UTTERANCES_MAX:]),
        suggestion_ids=_once(row["suggestion_id"] for row in suggested)[-SUGGESTIONS_MAX:],
        item_ids=_once(item["id"] for row in suggested for item in row["items"] or () if "id" in item),
        recent_texts=tuple(row["text"] for row in texts[-TEXTS_MAX:]),
    )


def _merged(stored: Iterable[dict[str, Any]], fresh: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Oldest first, one row an interaction."""
    by_id = {row["interaction_id"]: row for row in (*stored, *fresh)}
    return sorted(by_id.values(), key=lambda row: row["happened_at"])


def _once(ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(ids))
