"""What is known of a session that is resumed: the database's rows and those that still wait in an outbox."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from deployments.telemetry.records import SessionState, Shown, Turn
from deployments.telemetry.rows import Row, decode, readable
from deployments.telemetry.store import SessionRows

UTTERANCES_MAX = 200
SUGGESTIONS_MAX = 1000
TEXTS_MAX = 12
TURNS_MAX = 40
SAMPLE_RATE_HZ = 16_000
SEND_AGAIN = timedelta(seconds=60)
MAYBE_LOST = timedelta(seconds=15)


def session_state(stored: SessionRows, waiting: Iterable[Row], now: datetime | None = None) -> SessionState:
    """Merge both, by the order in which things happened; a row that is in both counts once.

    `now` (aware): suggestions that may not have arrived are among `undelivered`; without it there are none.
    """
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
        turns=tuple(_turn(row) for row in texts[-TURNS_MAX:]),
        undelivered=tuple(_shown(row) for row in suggested if now is not None and _may_be_lost(row, suggested, now)),
    )


def without_database(waiting: Iterable[Row], now: datetime | None = None) -> SessionState:
    """What the outboxes alone tell: enough to hear nothing twice, since what is committed is safe to its counter."""
    return replace(session_state(SessionRows([], [], []), waiting, now), partial=True)


def _turn(row: dict[str, Any]) -> Turn:
    """`get`: rows of an outbox that an older version wrote may lack a field."""
    first, end = row.get("first_sample"), row.get("end_sample")
    items = row.get("items") or ()
    alerted = row.get("outcome") == "alerta"
    return Turn(
        text=row["text"],
        start_s=None if first is None else first / SAMPLE_RATE_HZ,
        end_s=None if end is None else end / SAMPLE_RATE_HZ,
        item_ids=tuple(item["id"] for item in items if "id" in item)
        if row.get("suggestion_id") and not alerted
        else (),
        situations=tuple((row.get("entities") or {}).get("situations") or ()),
        alert=next((item.get("explanation", "") for item in items), "") if alerted else "",
    )


def _shown(row: dict[str, Any]) -> Shown:
    items = tuple(row["items"] or ())
    simulated = bool(row.get("simulated"))
    return Shown(row["suggestion_id"], items, row["text"], row.get("advice_origin") or "regras", simulated)


def _may_be_lost(row: dict[str, Any], suggested: Iterable[dict[str, Any]], now: datetime) -> bool:
    """Whether a suggestion may not have reached its counter, and none for the same speech has."""
    sent_at = row.get("sent_to_counter_at")
    if now - row["happened_at"] > SEND_AGAIN or not row["items"]:
        return False
    if sent_at is not None:
        return bool(now - sent_at <= MAYBE_LOST)
    return not any(other.get("sent_to_counter_at") is not None and _same_speech(row, other) for other in suggested)


def _same_speech(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two rows' intervals overlap by half of the shorter one or more: the same utterance, heard twice."""
    if one["end_sample"] is None or other["end_sample"] is None:
        return False
    begin, end = max(one["first_sample"], other["first_sample"]), min(one["end_sample"], other["end_sample"])
    shorter = min(one["end_sample"] - one["first_sample"], other["end_sample"] - other["first_sample"])
    return bool(2 * (end - begin) >= shorter > 0)


def _merged(stored: Iterable[dict[str, Any]], fresh: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Oldest first, one row an interaction."""
    by_id = {row["interaction_id"]: row for row in (*stored, *fresh)}
    return sorted(by_id.values(), key=lambda row: row["happened_at"])


def _once(ids: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(ids))
