"""What a session that goes on elsewhere is told of itself."""

from datetime import datetime, timedelta, timezone

from deployments.telemetry.records import Shown, Turn
from deployments.telemetry.session_state import session_state
from deployments.telemetry.store import SessionRows

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)
ITEM = {"id": "soro", "suggestion": "Soro", "explanation": "Repõe água.", "tag": "diarreia"}


def row(number, ago_s, *, sent_ago_s=None, span=(0, 16_000), **changes):
    at = NOW - timedelta(seconds=ago_s)
    sent = None if sent_ago_s is None else NOW - timedelta(seconds=sent_ago_s)
    blank = {
        "interaction_id": f"i-{number}",
        "counter_id": "b-1",
        "first_sample": span[0],
        "end_sample": span[1],
        "suggestion_id": f"sg-{number}",
        "items": [ITEM],
        "text": "estou com diarreia",
        "entities": {"situations": ["gestante"]},
        "outcome": "sugerido",
        "advice_origin": "llm",
        "simulated": False,
        "sent_to_counter_at": sent,
        "happened_at": at,
    }
    return {**blank, **changes}


def state_of(*rows, now=NOW):
    newest_first = sorted(rows, key=lambda r: r["happened_at"], reverse=True)
    suggested = [r for r in newest_first if r["suggestion_id"]]
    spoken = [r for r in newest_first if r["end_sample"] is not None]
    return session_state(SessionRows(spoken, suggested, newest_first), (), now)


def test_a_suggestion_that_did_not_arrive_or_only_just_is_made_again_and_an_older_one_is_not():
    rows = [
        row(1, 40, sent_ago_s=39, span=(0, 16_000)),
        row(2, 20, span=(20_000, 40_000)),
        row(3, 5, sent_ago_s=4, span=(50_000, 60_000)),
        row(4, 90, span=(70_000, 80_000)),
    ]
    undelivered = state_of(*rows).undelivered
    assert [shown.suggestion_id for shown in undelivered] == ["sg-2", "sg-3"]
    assert undelivered[0] == Shown("sg-2", (ITEM,), "estou com diarreia", "llm", False)


def test_of_an_utterance_that_was_heard_twice_the_suggestion_that_arrived_counts():
    lost, arrived = row(1, 20, span=(0, 16_000)), row(2, 18, sent_ago_s=17, span=(480, 16_200))
    assert state_of(lost, arrived).undelivered == ()


def test_a_turn_tells_what_was_shown_what_is_known_and_why_the_pharmacist_was_called():
    alert = row(2, 5, suggestion_id=None, outcome="alerta", items=[{**ITEM, "explanation": "Dor no peito."}])
    held_back = row(3, 2, suggestion_id=None, outcome="nada", first_sample=None, end_sample=None)
    turns = state_of(row(1, 10, sent_ago_s=9), alert, held_back).turns
    assert turns[0] == Turn("estou com diarreia", 0.0, 1.0, ("soro",), ("gestante",))
    assert (turns[1].item_ids, turns[1].alert) == ((), "Dor no peito.")
    assert (turns[2].item_ids, turns[2].start_s) == ((), None)
