"""Rows become delays by step, quantiles and a verdict."""

from datetime import datetime, timedelta, timezone

import pytest

from bench.path.figures import BOUNDARIES, QUIET, RECEIPT, TOTAL, bars, delays, in_window, instant, outcomes, quantiles

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=timezone.utc)


def row(*steps_ms, start_ms=0.0, outcome="sugerido", suggestion_id="s1"):
    """A recorded row whose steps took `steps_ms`; the steps beyond them did not happen."""
    at, instants = NOON + timedelta(milliseconds=start_ms), {}
    for (_, name), step_ms in zip(BOUNDARIES, (0.0, *steps_ms), strict=False):
        at += timedelta(milliseconds=step_ms)
        instants[name] = at.isoformat()
    return {**instants, "outcome": outcome, "suggestion_id": suggestion_id}


def test_an_utterance_is_split_into_steps_that_add_up_to_its_total():
    found = delays([row(1, 9, 5, 0, 3, 2)], {})
    steps = {name: values[0] for name, values in found.items() if name not in (TOTAL, QUIET, RECEIPT)}
    assert steps == pytest.approx(
        {"hand-over": 1, "voice": 9, "speech-to-text": 5, "order": 0, "advice": 3, "send": 2}, abs=0.01
    )
    assert found[TOTAL] == [pytest.approx(20, abs=0.01)]


def test_an_utterance_that_led_to_no_suggestion_is_not_timed():
    found = delays([row(1, 9, outcome="descartado"), row(1, 9, 5, 0, 3, outcome="nada")], {})
    assert all(values == [] for values in found.values())


def test_the_way_to_the_counter_is_told_beside_the_total():
    sent_at = NOON + timedelta(milliseconds=20)
    found = delays([row(1, 9, 5, 0, 3, 2)], {"s1": sent_at.timestamp() + 0.004, "another": 0.0})
    assert found[RECEIPT] == [pytest.approx(4, abs=0.01)]
    assert found[TOTAL] == [pytest.approx(20, abs=0.01)]


def test_utterances_of_a_quiet_machine_are_told_apart_from_those_of_a_busy_one():
    found = delays([row(1, 9, 5, 0, 3, 2) | {"cpu_percent": 35.0}, row(9, 90, 5, 0, 3, 2) | {"cpu_percent": 97.0}], {})
    assert found[QUIET] == [pytest.approx(20, abs=0.01)]
    assert len(found[TOTAL]) == 2


def test_only_utterances_that_ended_within_the_window_count():
    rows = [row(start_ms=at) for at in (-1, 0, 999, 1000)] + [{"outcome": "sugerido", "origin": "texto"}]
    inside = in_window(rows, NOON.timestamp(), NOON.timestamp() + 1)
    assert [instant(found, "segment_emitted_at") - NOON.timestamp() for found in inside] == pytest.approx([0, 0.999])


@pytest.mark.parametrize("text", ["2026-11-22T12:00:00.000250Z", "2026-11-22T12:00:00.000250+00:00"])
def test_instants_are_read_as_either_json_library_writes_them(text):
    assert instant({"at": text}, "at") == pytest.approx(NOON.timestamp() + 0.00025, abs=1e-6)


def test_outcomes_are_counted_most_frequent_first():
    rows = [row(outcome=name) for name in ("nada", "sugerido", "sugerido")]
    assert list(outcomes(rows).items()) == [("sugerido", 2), ("nada", 1)]


def test_quantiles_are_those_of_the_values():
    assert quantiles([float(value) for value in range(101)]) == {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "max": 100}


def test_no_values_have_no_quantiles():
    assert quantiles([]) == {}


def test_a_median_that_is_good_enough_with_cleaning_is_too_slow_without():
    total = {"p50": 30.0, "p95": 79.0}
    assert [bar.met for bar in bars("on", total)] == [True, True]
    assert [bar.met for bar in bars("off", total)] == [False, True]


def test_a_slow_tail_is_missed_whatever_the_median():
    assert [bar.met for bar in bars("off", {"p50": 5.0, "p95": 80.1})] == [True, False]
