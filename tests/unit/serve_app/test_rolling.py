"""How a rehearsed redeploy is judged."""

import wave

import pytest

from audio.settings import SegmenterSettings
from serve_app.client import Event
from serve_app.rolling import SAMPLE, judged, said_in

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


@pytest.fixture(scope="module")
def sample():
    with wave.open(str(SAMPLE)) as file:
        return file.readframes(17 * 16_000)


def went_on(recebido_ate, base_sample=0):
    return Event(0.0, "connected", {"recebido_ate": recebido_ate, "base_sample": base_sample})


def test_wherever_a_session_goes_on_the_conversation_is_said_as_in_one_go(sample):
    settings = SegmenterSettings()
    whole = said_in(sample, settings, [went_on(0)])
    assert len(whole) >= 4
    ends = [end for _, end in whole]
    for at in range(0, 17 * 16_000, 4_000):
        if any(first < at < end for first, end in whole):
            continue  # a server asks for no audio from the middle of an utterance on
        again = said_in(sample, settings, [went_on(0), went_on(at)])
        for first, end in whole:
            assert any(begun <= (first + end) // 2 < over for begun, over in again), (at / 16_000, first, end)
    assert said_in(sample, settings, [went_on(0), went_on(ends[0], base_sample=0)])[0] == whole[0]


def test_what_is_said_is_placed_by_where_a_session_began_in_the_stream(sample):
    settings = SegmenterSettings()
    late = 9 * 16_000
    assert said_in(sample, settings, [went_on(0), went_on(16_000, base_sample=late - 16_000)]) == said_in(
        sample, settings, [went_on(0), went_on(late)]
    )


def test_a_counter_that_cannot_go_on_is_heard_in_one_go(sample):
    settings = SegmenterSettings()
    older = [Event(0.0, "connected", {"generation": 3}), Event(5.0, "connected", {"generation": 3})]
    assert said_in(sample, settings, older) == said_in(sample, settings, [])


def test_what_the_connection_before_heard_is_asked_for_whatever_the_next_one_hears(sample):
    first, end = said_in(sample, SegmenterSettings(), [])[0]
    skipped = said_in(sample, SegmenterSettings(), [went_on(0), went_on(end)])
    assert (first, end) in skipped
    assert judged(skipped, [], []).lost == len(skipped)
