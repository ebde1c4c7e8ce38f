"""Whether the rules are sure of what they made of a text, so that no language model need be asked; pure."""

from __future__ import annotations

from dataclasses import dataclass

from cestas.entities import reading_of
from cestas.lexicon import Lexicon
from cestas.text import BREAK, Words
from deployments.recommender.settings import CascadeSettings

SHORT_WORD = 3
"""Letters up to which a word is no name that anybody could have missed."""


@dataclass(frozen=True, slots=True)
class Certainty:
    """What speaks for and against the rules' answer to one text."""

    speaks: bool
    """True when the rules would suggest something, False when they stay silent."""
    confidence: float
    """Of the category, 0..1."""
    unknown_words: int
    """Words of the text that nothing explains: a misheard name or a complaint that the lexicon lacks may be in them."""
    wish_probability: float
    """How likely somebody who says this wants something, 0..1."""
    guessed: bool
    """True when the lexicon named nothing and the category is a guess from the whole text."""


def is_sure(certainty: Certainty, settings: CascadeSettings) -> bool:
    """True when the rules' answer, a silence included, needs no second opinion."""
    if not certainty.speaks:
        return certainty.wish_probability <= settings.sure_silence_max_probability
    return (
        not certainty.guessed
        and certainty.confidence >= settings.sure_min_confidence
        and certainty.unknown_words <= settings.sure_unknown_words_max
        and certainty.wish_probability >= settings.sure_speaking_min_probability
    )


def certainty_of(text: str, lexicon: Lexicon, *, speaks: bool, confidence: float, wish_probability: float) -> Certainty:
    """How far the rules' reading of `text` covers it."""
    reading = reading_of(text, lexicon)
    explained = {at for hit in (*reading.things, *reading.troubles) for at in range(hit.first, hit.last + 1)}
    unknown = sum(
        index not in explained and _is_unknown(reading.words, at, lexicon)
        for index, at in enumerate(reading.words.content)
    )
    return Certainty(speaks, confidence, unknown, wish_probability, reading.silent)


def _is_unknown(words: Words, at: int, lexicon: Lexicon) -> bool:
    word = words.words[at]
    if word == BREAK or len(word) <= SHORT_WORD or word.isdigit() or word in lexicon.everyday:
        return False
    return words.stems[at] not in lexicon.known_stems
