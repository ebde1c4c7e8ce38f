"""What a replica gives up under load, in which order, and how it comes back: simulated time."""

import pytest
from pydantic import ValidationError

from serve_app.overload import Overload, OverloadSettings, Shedding


def run(overload, seconds, *, lag_s=0.0, pending=0, wait_s=None, begin_s=0.0):
    """Tick four times a second; the levels after each tick."""
    levels = []
    for step in range(int(seconds * 4)):
        now_s = begin_s + step / 4
        if wait_s is not None:
            overload.waited(wait_s, now_s)
        levels.append(overload.tick(lag_s, pending, now_s))
    return levels


@pytest.mark.parametrize("load", [{"lag_s": 0.3}, {"pending": 500}, {"wait_s": 0.8}])
def test_load_of_any_kind_sheds_step_by_step_in_the_stated_order(load):
    levels = run(Overload(), 3, **load)
    assert sorted(set(levels)) == list(Shedding)
    assert levels == sorted(levels)


def test_new_connections_are_the_last_to_go_and_the_first_to_come_back():
    overload = Overload()
    run(overload, 10, lag_s=1.0)
    assert overload.sheds(Shedding.CONNECTIONS)
    run(overload, 3.5, begin_s=10)
    assert not overload.sheds(Shedding.CONNECTIONS)
    assert overload.sheds(Shedding.LANGUAGE_MODEL)


def test_all_is_well_again_15_s_after_the_load_has_gone():
    overload = Overload()
    run(overload, 120, pending=1200, wait_s=3.0)
    run(overload, 15, begin_s=120)
    assert overload.level == Shedding.NOTHING


def test_a_single_slow_moment_sheds_nothing():
    overload = Overload()
    overload.tick(2.0, 0, 0.0)
    assert run(overload, 1, begin_s=0.25) == [Shedding.NOTHING] * 4


def test_a_load_at_the_edge_does_not_go_to_and_fro():
    overload = Overload()
    run(overload, 0.75, lag_s=0.26)
    levels = [overload.tick(0.24 if step % 2 else 0.2, 0, 1 + step / 4) for step in range(80)]
    assert set(levels) == {Shedding.SPECULATION}


def test_old_waits_are_forgotten_where_nobody_speaks_any_more():
    overload = Overload()
    run(overload, 3, wait_s=2.0)
    overload.tick(0.0, 0, 10.0)
    assert overload.pressure == 0.0


def test_one_slow_utterance_of_many_is_no_load():
    overload = Overload()
    for number in range(20):
        overload.waited(5.0 if number == 0 else 0.01, 0.0)
    overload.tick(0.0, 0, 0.1)
    assert overload.pressure < 0.1


def test_coming_back_faster_than_shedding_is_refused():
    with pytest.raises(ValidationError, match="step_down_s"):
        OverloadSettings(step_up_s=5, step_down_s=1)
