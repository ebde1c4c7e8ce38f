"""When the rules are sure enough that nobody else need be asked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cestas.lexicon import Lexicon
from deployments.recommender.certainty import Certainty, is_sure
from deployments.recommender.port import AdviceRequest
from deployments.recommender.rules import RulesAdvisor
from deployments.recommender.settings import CascadeSettings

SETTINGS = CascadeSettings(
    sure_min_confidence=0.8,
    sure_unknown_words_max=1,
    sure_speaking_min_probability=0.7,
    sure_silence_max_probability=0.3,
)
SURE = Certainty(speaks=True, confidence=0.9, unknown_words=0, wish_probability=0.95, guessed=False)


def test_a_clear_complaint_that_is_wholly_understood_is_sure() -> None:
    assert is_sure(SURE, SETTINGS)


@pytest.mark.parametrize(
    "doubt",
    [{"confidence": 0.79}, {"unknown_words": 2}, {"wish_probability": 0.69}, {"guessed": True}],
    ids=lambda doubt: next(iter(doubt)),
)
def test_any_one_doubt_asks_for_a_second_opinion(doubt: dict[str, float]) -> None:
    assert not is_sure(replace(SURE, **doubt), SETTINGS)  # type: ignore[arg-type]


@pytest.mark.parametrize(("probability", "sure"), [(0.05, True), (0.3, True), (0.31, False), (0.9, False)])
def test_silence_is_sure_only_where_nobody_seems_to_want_anything(probability: float, sure: bool) -> None:
    assert is_sure(replace(SURE, speaks=False, wish_probability=probability), SETTINGS) is sure


def certainty(text: str, lexicon: Lexicon) -> Certainty:
    return RulesAdvisor(lexicon, 0.5).read(AdviceRequest("u1", text, 3.0)).certainty


def test_words_that_nothing_explains_are_counted_and_everyday_ones_are_not(lexicon: Lexicon) -> None:
    assert certainty("estou com dor de cabeça desde ontem", lexicon).unknown_words == 0
    assert certainty("estou com dor de cabeça e um xorumbelo esquiprotivo danado", lexicon).unknown_words == 2


def test_the_rules_tell_of_their_own_silence(lexicon: Lexicon) -> None:
    talk = certainty("bom dia, tudo bem com você?", lexicon)
    assert not talk.speaks
    assert is_sure(talk, CascadeSettings())


def test_a_text_that_nobody_said_is_silence_for_sure(lexicon: Lexicon) -> None:
    invented = certainty("Legendas pela comunidade Amara.org", lexicon)
    assert not invented.speaks
    assert is_sure(invented, CascadeSettings())
