"""How far two texts of one utterance are apart, in words; pure."""

from __future__ import annotations

import re

from cestas.text import fold


def words_of(text: str) -> list[str]:
    """The words without case, accents and punctuation: what two recognisers can be held to."""
    return re.findall(r"[a-z0-9]+", fold(text))


def word_differences(first: list[str], second: list[str]) -> int:
    """Words inserted, left out or replaced between the two (Levenshtein's distance over words)."""
    row = list(range(len(second) + 1))
    for number, word in enumerate(first, 1):
        diagonal, row[0] = row[0], number
        for place, other in enumerate(second, 1):
            diagonal, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, diagonal + (word != other))
    return row[-1]
