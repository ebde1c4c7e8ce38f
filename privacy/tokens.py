"""Text as the finders of this room see it: words, numbers and signs with their places."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

_TOKEN: Final = re.compile(r"\d+|[^\W\d_]+|[^\s\w]|_")
_ACCENTED: Final = "áàâãäéèêëíìîïóòôõöúùûüçñ"
_FOLD: Final = str.maketrans(_ACCENTED, "aaaaaeeeeiiiiooooouuuucn")


@dataclass(frozen=True, slots=True)
class Token:
    """A run of letters, a run of digits or one sign. `folded` is lower case without accents."""

    text: str
    folded: str
    start: int
    end: int

    @property
    def is_word(self) -> bool:
        """Whether it is made of letters."""
        return self.text[0].isalpha()

    @property
    def is_digits(self) -> bool:
        """Whether it is made of digits."""
        return self.text[0].isdecimal()

    @property
    def capital(self) -> bool:
        """Whether it begins with a capital letter."""
        return self.text[0].isupper()


@dataclass(frozen=True, slots=True)
class Span:
    """A place in a text, from `start` to `end` (exclusive) in characters, and what kind of thing is there."""

    start: int
    end: int
    kind: str


def normal(text: str) -> str:
    """`text` as this room reads and gives it back: Unicode's composed form (NFC)."""
    return unicodedata.normalize("NFC", text)


def fold(text: str) -> str:
    """`text` in lower case without the accents of Portuguese."""
    return text.lower().translate(_FOLD)


def tokens_of(text: str) -> list[Token]:
    """The tokens of a text in composed form; blanks are none."""
    return [Token(m.group(), fold(m.group()), m.start(), m.end()) for m in _TOKEN.finditer(text)]


def folded_at(tokens: Sequence[Token], index: int) -> str:
    """The folded token at `index`; empty before the first and after the last."""
    return tokens[index].folded if 0 <= index < len(tokens) else ""


def touch(tokens: Sequence[Token], index: int) -> bool:
    """Whether no blank stands between the token at `index` and the one before it."""
    return 0 < index < len(tokens) and tokens[index - 1].end == tokens[index].start


def words(said: str) -> frozenset[str]:
    """The words of `said`, separated by blanks, as a set."""
    return frozenset(in_order(said))


def in_order(said: str) -> list[str]:
    """The words of `said`, separated by blanks, in their order."""
    return said.split()
