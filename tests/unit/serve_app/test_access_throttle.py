"""Wrong tries are counted by name over a window, in bounded memory."""

from serve_app.throttle import Limit, Throttle


def test_the_window_moves_with_the_oldest_try():
    throttle = Throttle(Limit(2, 10.0))
    throttle.count("a", 0.0)
    throttle.count("a", 4.0)
    assert throttle.wait_s("a", 5.0) == 5.0
    assert throttle.wait_s("b", 5.0) == 0.0
    assert throttle.wait_s("a", 10.0) == 0.0
    throttle.count("a", 10.0)
    assert throttle.wait_s("a", 11.0) == 3.0


def test_a_try_that_was_right_can_be_taken_back_or_all_forgiven():
    throttle = Throttle(Limit(2, 10.0))
    for now_s in (0.0, 1.0):
        throttle.count("a", now_s)
    throttle.take_back("a")
    assert throttle.wait_s("a", 1.0) == 0.0
    throttle.count("a", 1.0)
    throttle.forgive("a")
    throttle.take_back("a")
    assert throttle.wait_s("a", 1.0) == 0.0


def test_names_are_bounded_and_the_one_that_tried_longest_ago_goes():
    throttle = Throttle(Limit(1, 1000.0, names_max=3))
    for number in range(5):
        throttle.count(f"n{number}", float(number))
    assert [throttle.wait_s(f"n{number}", 5.0) > 0 for number in range(5)] == [False, False, True, True, True]
