"""What a realtime stream says twice or too late, decided without a stream."""

from deployments.speech_to_text.realtime import Finals, Partials


def test_a_partial_is_news_once() -> None:
    partials = Partials()
    assert [partials.fresh(text) for text in ("estou", "estou com", "estou", " estou com ", "")] == [
        True,
        True,
        False,
        False,
        False,
    ]
    assert (partials.latest, partials.dropped) == ("estou com", 2)


def test_a_partial_of_the_utterance_before_is_stale_and_of_the_one_before_that_is_news_again() -> None:
    partials = Partials()
    partials.fresh("sim")
    partials.ended("sim senhora")
    assert [partials.fresh("sim"), partials.fresh("sim senhora"), partials.fresh("tem")] == [False, False, True]
    partials.ended("tem soro")
    assert partials.fresh("sim")


def test_a_final_answers_its_commit_at_once() -> None:
    finals = Finals(wait_s=0.4)
    finals.committed()
    assert finals.left_s(1.0) is None
    finals.arrived(" tem soro ", 1.0)
    assert finals.left_s(1.0) == 0.0
    assert finals.take() == "tem soro"


def test_a_final_without_a_commit_is_dropped() -> None:
    finals = Finals(wait_s=0.4)
    finals.committed()
    finals.arrived("sim", 1.0)
    finals.take()
    finals.arrived("sim", 1.01)
    assert (finals.dropped, finals.left_s(2.0)) == (1, None)


def test_a_final_that_repeats_the_one_before_is_held_and_replaced_by_another() -> None:
    finals = Finals(wait_s=0.4)
    finals.committed()
    finals.arrived("sim", 1.0)
    finals.take()
    finals.committed()
    finals.arrived("sim", 2.0)
    assert finals.left_s(2.1) == 2.4 - 2.1
    finals.arrived("tem soro", 2.2)
    assert (finals.left_s(2.2), finals.take(), finals.dropped) == (0.0, "tem soro", 1)


def test_a_repetition_that_nothing_follows_was_said_twice() -> None:
    finals = Finals(wait_s=0.4)
    for at_s in (1.0, 2.0):
        finals.committed()
        finals.arrived("sim", at_s)
        assert finals.left_s(at_s + 0.5) == 0.0
        assert finals.take() == "sim"
    assert finals.dropped == 0


def test_silence_twice_is_not_a_repetition() -> None:
    finals = Finals(wait_s=0.4)
    for at_s in (1.0, 2.0):
        finals.committed()
        finals.arrived("", at_s)
        assert finals.left_s(at_s) == 0.0
        assert finals.take() == ""
