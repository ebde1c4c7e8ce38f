"""Finds every phrase of a vocabulary in a text in one pass, the longest first."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cestas.text import BREAK, Words, phrase, words_of

_HERE = ""


@dataclass(frozen=True, slots=True)
class Hit:
    """A phrase found: what it names and the content words it covers (positions in `Words.content`, inclusive)."""

    name: str
    first: int
    last: int

    @property
    def length(self) -> int:
        """Number of content words covered."""
        return self.last - self.first + 1


class PhraseBook:
    """Two tries: phrases over the stems of content words, and literal phrases over all words as they stand.

    A phrase of several words that fillers reduce to one ("me queimei", "quanto é") is literal: without its fillers it
    would say too little. Matching costs a few dictionary look-ups a word.
    """

    def __init__(self, phrases: Iterable[tuple[str, str]] = (), literal: bool = False) -> None:
        """Build it from (phrase as people say it, the name it stands for); `literal`: all phrases are literal ones."""
        self._all_literal = literal
        self._content: dict[str, Any] = {}
        self._literal: dict[str, Any] = {}
        self.stems: set[str] = set()
        for said, name in phrases:
            self.add(said, name)

    def add(self, said: str, name: str) -> str | None:
        """Add one phrase; returns the name that it already stood for when that is another one (which it keeps)."""
        self.stems.update(phrase(said))
        is_literal, parts = _parts(said, self._all_literal)
        return _insert(self._literal if is_literal else self._content, parts, name)

    def find(self, words: Words) -> list[Hit]:
        """Longest matches from left to right, none overlapping another, none across punctuation."""
        hits = _scan(self._content, words.content_stems)
        if not self._literal:
            return hits
        literal = [_in_content(hit, words) for hit in _scan(self._literal, words.words)]
        if not literal:
            return hits
        literal = [hit for hit in literal if not any(_inside(hit, other) for other in hits)]
        kept = [hit for hit in hits if not any(_inside(hit, other) or hit == other for other in literal)]
        kept = [hit for hit in kept if not any(_same_place(hit, other) for other in literal)]
        return sorted([*kept, *literal], key=lambda hit: hit.first)


class CueBook:
    """Which of several groups of phrases have one in a text, all groups in one pass; phrases as in `PhraseBook`."""

    def __init__(self, groups: Mapping[str, Iterable[str]], literal: Container[str] = ()) -> None:
        """Build it from group → its phrases; all phrases of the groups in `literal` are literal ones."""
        self._content: dict[str, Any] = {}
        self._literal: dict[str, Any] = {}
        for name, phrases in groups.items():
            for said in phrases:
                is_literal, parts = _parts(said, name in literal)
                node = self._literal if is_literal else self._content
                for part in parts:
                    node = node.setdefault(part, {})
                node.setdefault(_HERE, set()).add(name)

    def named(self, words: Words) -> frozenset[str]:
        """The groups of which a phrase is there."""
        found: set[str] = set()
        _gather(self._content, words.content_stems, found)
        _gather(self._literal, words.words, found)
        return frozenset(found)


def _gather(root: dict[str, Any], parts: Sequence[str], found: set[str]) -> None:
    for at, first in enumerate(parts):
        node = root.get(first)
        if node is None:
            continue
        index = at
        while node is not None and first != BREAK:
            found.update(node.get(_HERE, ()))
            index += 1
            node = node.get(parts[index]) if index < len(parts) and parts[index] != BREAK else None


def _parts(said: str, literal: bool) -> tuple[bool, Sequence[str]]:
    """Whether a phrase is literal, and what has to follow one another in a text: its words, or else its stems."""
    stems, cut = phrase(said), words_of(said)
    words = [word for word in cut.words if word != BREAK]
    only_fillers = all(cut.words[at] == BREAK for at in cut.content)
    if len(words) > 1 and (only_fillers or literal or len(stems) == 1):
        return True, words
    return False, stems


def _insert(root: dict[str, Any], parts: Sequence[str], name: str) -> str | None:
    node = root
    for part in parts:
        node = node.setdefault(part, {})
    known: str = node.setdefault(_HERE, name)
    return known if known != name else None


def _scan(root: dict[str, Any], parts: Sequence[str]) -> list[Hit]:
    hits: list[Hit] = []
    if root.keys().isdisjoint(parts):
        return hits
    free = 0
    for at, part in enumerate(parts):
        if part in root and at >= free:
            hit = _longest(root, parts, at)
            if hit is not None:
                hits.append(hit)
                free = hit.last + 1
    return hits


def _longest(root: dict[str, Any], parts: Sequence[str], at: int) -> Hit | None:
    """The longest phrase that begins at `at`; the punctuation between clauses is in no phrase, so none crosses it."""
    node = root
    name, last = None, at
    for index in range(at, len(parts)):
        following = node.get(parts[index])
        if following is None:
            break
        node = following
        if _HERE in node:
            name, last = node[_HERE], index
    return None if name is None else Hit(name, at, last)


def _in_content(hit: Hit, words: Words) -> Hit:
    """A hit over all words as a hit over the content words among them, or next to them where there is none."""
    first = min(bisect_left(words.content, hit.first), max(0, len(words.content) - 1))
    last = max(first, bisect_right(words.content, hit.last) - 1)
    return Hit(hit.name, first, last)


def _inside(hit: Hit, other: Hit) -> bool:
    """True when `other` covers `hit` and more."""
    return other.first <= hit.first and hit.last <= other.last and other.length > hit.length


def _same_place(hit: Hit, literal: Hit) -> bool:
    return hit.length == 1 and literal.first <= hit.first <= literal.last
