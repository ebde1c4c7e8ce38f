"""A counter is shown only so many suggestions an hour."""

import pytest

from serve_app.conversation import Conversation, ConversationSettings


def suggested_at(talk: Conversation, at_s: float) -> bool:
    """Whether a suggestion at `at_s` is shown; if so, it counts."""
    talk.heard("estou com azia", at_s - 1, at_s)
    may = talk.may_suggest()
    talk.advised([f"item-{at_s}"] if may else [], [])
    return may


def test_beyond_the_limit_nothing_is_shown_until_the_oldest_is_an_hour_ago():
    talk = Conversation(ConversationSettings(suggestions_per_hour_max=2))
    assert [suggested_at(talk, at_s) for at_s in (10, 20, 30, 3605)] == [True, True, False, False]
    assert suggested_at(talk, 3610)
    assert not suggested_at(talk, 3615)
    assert suggested_at(talk, 3621)


def test_a_new_customer_does_not_open_a_new_hour():
    talk = Conversation(ConversationSettings(suggestions_per_hour_max=1, new_customer_silence_s=45))
    assert suggested_at(talk, 10)
    assert not suggested_at(talk, 200)


def test_advice_without_items_does_not_count():
    talk = Conversation(ConversationSettings(suggestions_per_hour_max=1))
    talk.heard("bom dia", 0, 1)
    talk.advised([], ["gestante"])
    assert suggested_at(talk, 10)


def test_without_a_limit_everything_is_shown():
    talk = Conversation(ConversationSettings(suggestions_per_hour_max=0))
    assert all(suggested_at(talk, at_s) for at_s in range(1, 200))


def test_the_call_for_the_pharmacist_is_never_held_back():
    talk = Conversation(ConversationSettings(suggestions_per_hour_max=1))
    suggested_at(talk, 10)
    talk.heard("dor no peito", 11, 12)
    assert talk.alerts("Dor no peito: chame o farmacêutico.")


def test_the_shipped_limit_is_one_a_minute():
    talk = Conversation()
    assert sum(suggested_at(talk, at_s) for at_s in range(10, 3000, 10)) == 60


@pytest.mark.parametrize("limit", [-1, 3601])
def test_a_senseless_limit_is_refused(limit: int):
    with pytest.raises(ValueError, match="suggestions_per_hour_max"):
        ConversationSettings(suggestions_per_hour_max=limit)
