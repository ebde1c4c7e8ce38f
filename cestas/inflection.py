"""The forms of a Portuguese verb or noun that the light stems do not bring together, for the body's grammar."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from cestas.text import fold

_ENDINGS: Final = {
    "ar": "ar a am ava avam ou ei aram ando ado ada ados adas asse e em",
    "er": "er e em ia iam eu eram endo ido ida idos idas esse a am",
    "ir": "ir e em ia iam iu iram indo ido ida idos idas isse a am",
}
"""Infinitive ending → the endings that are heard of what a body does: third person, past, gerund, participle."""
_BEFORE_E: Final = {"c": "qu", "g": "gu", "ç": "c"}
"""How a root is spelt before an e or an i: fincar → finque, coçar → coce, boca → boquinha."""


def verb_forms(infinitive: str) -> Iterator[str]:
    """The folded forms of a regular verb ("latejar" → latejar, lateja, latejava, …); its cedilla tells ç from c."""
    root, ending = infinitive[:-2], fold(infinitive[-2:])
    for form in _ENDINGS[ending].split():
        before_e = ending == "ar" and form[0] == "e"
        yield fold(root[:-1] + (_BEFORE_E.get(root[-1], root[-1]) if before_e else root[-1]) + form)


def diminutives(noun: str) -> tuple[str, ...]:
    """The folded diminutives of a noun of one word ("barriga" → barriguinha; "nariz" → narizinho); none of a phrase.

    Short nouns have none here: their diminutives share stems with other words ("solinha" of the foot with the sun).
    """
    word = fold(noun)
    if " " in word or word.endswith("s") or len(word) < _NOUN_AT_LEAST or word[-2:] in ("ao", "io", "ia"):
        return ()
    gender = "a" if word.endswith("a") else "o"
    if word[-1] not in "aeo":
        return (f"{word}inh{gender}", f"{word}zinh{gender}")
    softened = _BEFORE_E.get(noun[-2], word[-2])
    return (f"{word[:-2]}{softened}inh{gender}",)


_NOUN_AT_LEAST: Final = 5
"""Letters of the shortest noun whose diminutive is made."""
