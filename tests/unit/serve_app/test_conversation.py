"""The conversation at a counter: order, context, overlap, and a new customer."""

import pytest

from deployments.telemetry.records import Turn
from serve_app.conversation import Conversation, ConversationSettings


def test_every_understood_text_asks_with_the_earlier_ones_as_context():
    talk = Conversation()
    talk.heard("bom dia", 0, 1)
    ask = talk.heard("estou com dor de cabeça", 2, 4)
    assert ask is not None
    assert (ask.text, ask.context) == ("estou com dor de cabeça", ("bom dia",))


def test_text_without_a_word_asks_nothing():
    assert Conversation().heard(" ...! ", 0, 1) is None


def test_context_is_bounded():
    talk = Conversation(ConversationSettings(context_texts_max=2))
    for i in range(5):
        talk.heard(f"frase {i}", i, i + 0.5)
    ask = talk.heard("fim", 6, 7)
    assert ask is not None
    assert ask.context == ("frase 3", "frase 4")


def test_words_repeated_where_the_audio_overlaps_are_dropped_once():
    talk = Conversation()
    talk.heard("minha filha está com febre", 0, 3)
    ask = talk.heard("está com febre desde ontem", 2.5, 5)
    assert ask is not None
    assert ask.text == "desde ontem"


def test_an_overlap_that_says_nothing_new_asks_nothing():
    talk = Conversation()
    talk.heard("está com febre", 0, 3)
    assert talk.heard("Está com febre.", 1, 3) is None


def test_overlapping_audio_with_different_words_keeps_them_all():
    talk = Conversation()
    talk.heard("quero dipirona", 0, 3)
    ask = talk.heard("e também um soro", 2.9, 5)
    assert ask is not None
    assert ask.text == "e também um soro"


def test_an_overlap_with_a_forgotten_text_keeps_the_words():
    talk = Conversation(ConversationSettings(context_texts_max=0))
    talk.heard("com febre alta", 0, 3)
    ask = talk.heard("com febre alta", 2, 4)
    assert ask is not None


def test_legitimate_repetition_after_a_pause_is_kept():
    talk = Conversation()
    talk.heard("quero dipirona por favor", 0, 3)
    ask = talk.heard("quero dipirona por favor", 3.5, 5)
    assert ask is not None
    assert ask.text == "quero dipirona por favor"


def test_what_is_known_of_a_customer_holds_until_a_long_silence():
    talk = Conversation(ConversationSettings(new_customer_silence_s=30))
    talk.heard("estou grávida e com azia", 0, 3)
    talk.advised(["a", "b"], ["gestante"])
    same = talk.heard("tem mais alguma coisa", 5, 7)
    assert same is not None
    assert (same.situations, same.shown_item_ids) == (("gestante",), ("a", "b"))
    other = talk.heard("boa tarde, quero dipirona", 60, 62)
    assert other is not None
    assert (other.situations, other.shown_item_ids, other.context) == ((), (), ())


def test_a_situation_is_remembered_once():
    talk = Conversation()
    talk.advised([], ["gestante"])
    talk.advised([], ["gestante", "asmatico"])
    ask = talk.heard("e para azia", 0, 1)
    assert ask is not None
    assert ask.situations == ("gestante", "asmatico")


def test_a_resumed_session_knows_what_was_said_and_shown():
    talk = Conversation()
    talk.resume([Turn("dor de barriga", 6, 8, ("soro",))], at_s=9)
    ask = talk.heard("desde ontem", 10, 11)
    assert ask is not None
    assert (ask.context, ask.shown_item_ids) == (("dor de barriga",), ("soro",))


def known(talk, text, at_s):
    ask = talk.heard(text, at_s, at_s + 1)
    assert ask is not None
    return ask.context, ask.situations, ask.guarded_situations


@pytest.mark.parametrize(
    ("before", "after", "pause_s"),
    [
        ("minha filha está com febre", "tem alguma coisa para tosse", 8),
        ("minha filha está com febre", "boa tarde, tem soro", 1),
        ("obrigada, até logo", "tem alguma coisa para tosse", 1),
    ],
)
def test_across_an_uncertain_change_situations_guard_but_are_no_context(before, after, pause_s):
    talk = Conversation()
    talk.heard(before, 0, 2)
    talk.advised(["soro"], ["crianca"])
    assert known(talk, after, 2 + pause_s) == ((), (), ("crianca",))
    assert known(talk, "e o que mais", 4 + pause_s) == ((after,), (), ("crianca",))


def test_a_certain_change_ends_the_guard_too():
    talk = Conversation()
    talk.heard("estou grávida", 0, 2)
    talk.advised([], ["gestante"])
    talk.heard("bom dia", 3, 4)
    assert known(talk, "quero dipirona", 60) == ((), (), ())


def test_a_short_pause_in_one_sentence_changes_nothing():
    talk = Conversation()
    talk.heard("estou grávida", 0, 2)
    talk.advised([], ["gestante"])
    assert known(talk, "o que posso tomar para azia", 5) == (("estou grávida",), ("gestante",), ())


def test_the_same_situation_is_guarded_once():
    talk = Conversation()
    for at_s in (0, 10, 20):
        talk.heard("estou grávida", at_s, at_s + 1)
        talk.advised([], ["gestante"])
    assert known(talk, "oi", 30)[2] == ("gestante",)


def test_what_was_shown_may_be_suggested_again_after_a_while():
    talk = Conversation(ConversationSettings(repeat_after_s=60, new_customer_silence_s=3600))
    talk.heard("diarreia", 0, 2)
    talk.advised(["soro"], [])
    soon = talk.heard("ainda diarreia", 50, 52)
    later = talk.heard("diarreia de novo", 70, 72)
    assert soon is not None
    assert later is not None
    assert (soon.shown_item_ids, later.shown_item_ids) == (("soro",), ())


def test_the_same_alert_is_shown_once_in_a_while_and_again_to_another_customer():
    talk = Conversation(ConversationSettings(repeat_after_s=60, new_customer_silence_s=45))
    talk.heard("dor no peito", 0, 2)
    assert talk.alerts("Dor no peito: chame o farmacêutico.")
    talk.heard("e tontura", 3, 4)
    assert not talk.alerts("Dor no peito: chame o farmacêutico.")
    assert talk.alerts("Desmaio: chame o farmacêutico.")
    talk.heard("dor no peito", 60, 62)
    assert talk.alerts("Desmaio: chame o farmacêutico.")
