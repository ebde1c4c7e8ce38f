"""Finds the product names that speech recognition mangled: by sound, by small spelling distance, split in two."""

from __future__ import annotations

from dataclasses import dataclass

from rapidfuzz import process
from rapidfuzz.distance import DamerauLevenshtein

from cestas.lexicon import Lexicon
from cestas.matching import Hit
from cestas.text import BREAK, FILLERS, Words, sound

_AT_LEAST = 6
"""Letters of a heard name below which only an equal sound of a single word counts."""
_SPLIT_OFF = frozenset({"de", "a", "o", "e", "em", "para", "com", "do", "da"})
"""Little words that recognition splits off the front of a name ("de pirona")."""
_UNKNOWN_AT_LEAST = 3
"""Letters of a word below which it is not worth asking whether it is known."""


def mangled_names(words: Words, taken: list[bool], lexicon: Lexicon) -> list[Hit]:
    """Products that words not yet `taken` sound like, in the order heard."""
    hits: list[Hit] = []
    index = 0
    while index < len(words.content):
        hit = None if taken[index] else _at(words, index, taken, lexicon)
        if hit is not None:
            hits.append(hit)
            index = hit.last + 1
        else:
            index += 1
    return hits


def _at(words: Words, index: int, taken: list[bool], lexicon: Lexicon) -> Hit | None:
    at = words.content[index]
    word = words.words[at]
    if word == BREAK or word.isdigit():
        return None
    joins = [join for join in _joins(words, index, taken) if _strange(words, join, lexicon)]
    for join in joins:
        name = lexicon.sounds.get(sound(join.joined))
        if name is not None and join.joined not in lexicon.everyday:
            return Hit(name, index, join.last_content)
    for join in reversed(joins):
        if words.words[join.first] in FILLERS and words.words[join.first] not in _SPLIT_OFF:
            continue
        name = _nearest(join.joined, join.last > join.first, lexicon)
        if name is not None:
            return Hit(name, index, join.last_content)
    return None


@dataclass(frozen=True, slots=True)
class _Join:
    """Words `first` to `last` written as one."""

    joined: str
    first: int
    last: int
    last_content: int


def _joins(words: Words, index: int, taken: list[bool]) -> list[_Join]:
    """The word alone and joined to its neighbours as heard ("dor flex", "de pirona"), longest first."""
    at = words.content[index]
    joins = []
    for before, after in ((0, 2), (1, 1), (0, 1), (1, 0), (0, 0)):
        first, last = at - before, at + after
        if first < 0 or last >= len(words.words) or BREAK in words.words[first : last + 1]:
            continue
        if before and words.words[first] not in FILLERS:
            continue
        last_content = index + sum(1 for i in words.content[index + 1 : index + 3] if i <= last)
        if not any(taken[index : last_content + 1]):
            joins.append(_Join("".join(words.words[first : last + 1]), first, last, last_content))
    return [join for join in joins if len(join.joined) >= _AT_LEAST or join.first == join.last]


def _strange(words: Words, join: _Join, lexicon: Lexicon) -> bool:
    """True when at least one of the joined words is no everyday word: what is understood needs no repair."""
    return any(_unknown(words, at, lexicon) for at in range(join.first, join.last + 1))


def _unknown(words: Words, at: int, lexicon: Lexicon) -> bool:
    word = words.words[at]
    if word in FILLERS or word in lexicon.everyday or word.isdigit():
        return False
    return len(word) >= _UNKNOWN_AT_LEAST and words.stems[at] not in lexicon.known_stems


def _nearest(word: str, is_joined: bool, lexicon: Lexicon) -> str | None:
    """The product whose sound differs by one or two letters from that of `word`, if it is long enough to tell."""
    if len(word) < _AT_LEAST or word in lexicon.everyday:
        return None
    key = sound(word)
    allowed = 0 if len(key) < 7 else 1 if len(key) < 10 or is_joined else 2
    best = process.extractOne(
        key, lexicon.sound_buckets.get(key[0], ()), scorer=DamerauLevenshtein.distance, score_cutoff=allowed
    )
    return None if best is None else lexicon.sounds[best[0]]
