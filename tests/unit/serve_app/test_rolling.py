"""How a rehearsed redeploy is judged."""

from serve_app.client import Event
from serve_app.rolling import judged

TRUTH = [(0, 16_000), (20_000, 40_000)]


def row(first, end, suggestion_id=None, outcome="sugerido"):
    return {"first_sample": first, "end_sample": end, "suggestion_id": suggestion_id, "outcome": outcome}


def shown(suggestion_id, t_s=1.0):
    return Event(t_s, "recomendar", {"id": suggestion_id})


def test_a_clean_redeploy_costs_nothing_but_a_moment():
    events = [Event(0, "connected"), Event(5, "reconectar"), Event(5.1, "reconnecting"), Event(5.6, "connected")]
    report = judged(TRUTH, [row(0, 16_000, "a"), row(20_000, 40_000)], [*events, shown("a")])
    assert (report.lost, report.twice, report.heard_twice, report.reconnections) == (0, 0, 0, 1)
    assert report.longest_silence_s == 0.6


def test_an_utterance_without_a_row_or_with_a_lost_one_is_lost():
    assert judged(TRUTH, [row(0, 16_000), row(20_000, 40_000, outcome="perdido")], []).lost == 1
    assert judged(TRUTH, [], []).lost == 2


def test_speech_that_was_recorded_twice_counts_as_shown_twice_only_where_both_were_shown():
    rows = [row(0, 16_000, "a"), row(480, 16_300, "b"), row(20_000, 40_000)]
    assert (judged(TRUTH, rows, [shown("a")]).twice, judged(TRUTH, rows, [shown("a")]).heard_twice) == (0, 1)
    assert judged(TRUTH, rows, [shown("a"), shown("b")]).twice == 1


def test_the_same_suggestion_shown_again_is_twice():
    assert judged(TRUTH, [row(0, 16_000, "a"), row(20_000, 40_000)], [shown("a"), shown("a")]).twice == 1
