"""Finds the product names that speech recognition mangled: by sound, by small spelling distance, split in two."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import pairwise

from rapidfuzz import process
from rapidfuzz.distance import DamerauLevenshtein

from cestas.lexicon import Lexicon
from cestas.matching import Hit
from cestas.text import BREAK, FILLERS, Words, sound, word_set

_AT_LEAST = 6
"""Letters of a heard name below which only an equal sound of a single word counts."""
_SPLIT_OFF = frozenset({"de", "a", "o", "e", "em", "para", "com", "do", "da"})
"""Little words that recognition splits off the front of a name ("de pirona")."""
_NEVER_JOINED = word_set("tem tens ce ces vc voce voces que ou to ta ter ve da")
"""Little words of everyday talk that are no piece of a name, whatever they sound like with their neighbours."""
_CONJUGATED = ("ei", "ou", "ava", "ando", "endo", "indo", "amos", "aram", "eram", "iram")
"""Endings of verbs: no name of a product ends so, but many forms that no list of everyday words holds do."""
_SYLLABLE, _SYLLABLES = 4, 9
"""Letters of what may be a syllable, and syllables in one name, of speech cut to pieces."""
_JOINED_AFTER = 3
"""Words after the first that may be pieces of one name."""
_STRANGE_AT_LEAST = 2
"""Syllables among them that are no everyday word."""
_JOINED_AT_LEAST = 5
_SURELY_A_NAME = 9
"""Letters from which an equal sound of joined words is believed even if little words of everyday talk are in it."""
_UNKNOWN_AT_LEAST = 3
"""Letters of a word below which it is not worth asking whether it is known."""


def mangled_names(words: Words, taken: list[bool], lexicon: Lexicon) -> list[Hit]:
    """Products that words not yet `taken` sound like, in the order heard."""
    hits: list[Hit] = []
    odd = [_odd(word, lexicon) for word in words.words]
    if True not in odd:
        return hits
    unknown = [is_odd and _unknown(words, at, lexicon) for at, is_odd in enumerate(odd)]
    index = 0
    while index < len(words.content):
        at = words.content[index]
        near = sum(odd[max(0, at - 1) : at + _JOINED_AFTER + 1]) or sum(odd[at : at + _SYLLABLES]) >= _STRANGE_AT_LEAST
        hit = _at(words, index, taken, odd, unknown, lexicon) if near and not taken[index] else None
        if hit is not None:
            hits.append(hit)
            index = hit.last + 1
        else:
            index += 1
    return hits


def _at(
    words: Words, index: int, taken: list[bool], odd: list[bool], unknown: list[bool], lexicon: Lexicon
) -> Hit | None:
    at = words.content[index]
    word = words.words[at]
    if word == BREAK or word.isdigit():
        return None
    joins = [*_syllables(words, index, taken, odd), *_joins(words, index, taken, odd)]
    for join in joins:
        name = lexicon.sounds.get(sound(join.joined)) if _broken(join, odd, unknown) else None
        if name is not None:
            return Hit(name, index, join.last_content)
    for join in reversed([join for join in joins if True in unknown[join.first : join.last + 1]]):
        if words.words[join.first] in FILLERS and words.words[join.first] not in _SPLIT_OFF:
            continue
        if any(word.endswith(_CONJUGATED) for word in words.words[join.first : join.last + 1]):
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


def _joins(words: Words, index: int, taken: list[bool], odd: list[bool]) -> list[_Join]:
    """The word alone and joined to its neighbours as heard ("dor flex", "de pirona"), longest first.

    Where none of the words is `odd`, everything is understood, and nothing joined.
    """
    at = words.content[index]
    size = len(words.words)
    can_lead = at > 0 and words.words[at - 1] in FILLERS
    joins = []
    for before, after in ((0, _JOINED_AFTER), (1, 2), (0, 2), (1, 1), (0, 1), (1, 0), (0, 0)):
        first, last = at - before, at + after
        if last >= size or (before and not can_lead) or True not in odd[first : last + 1]:
            continue
        pieces = words.words[first : last + 1]
        if BREAK in pieces:
            continue
        join = _join(words, index, first, last)
        short = len(join.joined) < _SURELY_A_NAME
        if last > first and ((short and not _NEVER_JOINED.isdisjoint(pieces)) or len(join.joined) < _JOINED_AT_LEAST):
            continue
        if True not in taken[index : join.last_content + 1]:
            joins.append(join)
    return joins


def _join(words: Words, index: int, first: int, last: int) -> _Join:
    """Words `first` to `last` as one, a stuttered beginning ("re re pelente") said once."""
    pieces = words.words[first : last + 1]
    kept = [piece for piece, following in pairwise(pieces) if len(piece) > _SYLLABLE or not following.startswith(piece)]
    last_content = bisect_right(words.content, last, index + 1, min(len(words.content), index + _SYLLABLES + 1)) - 1
    return _Join("".join((*kept, pieces[-1])), first, last, last_content)


def _syllables(words: Words, index: int, taken: list[bool], odd: list[bool]) -> list[_Join]:
    """A run of syllables from this word on, longest first, where it cannot be words: "vi ta mina ce"."""
    first = words.content[index]
    if sum(odd[first : first + _SYLLABLES]) < _STRANGE_AT_LEAST:
        return []
    last = first
    while last + 1 < min(len(words.words), first + _SYLLABLES) and 0 < len(words.words[last + 1]) <= _SYLLABLE + 2:
        if words.words[last + 1] == BREAK or len(words.words[last]) > _SYLLABLE + 1:
            break
        last += 1
    if sum(odd[first : last + 1]) < _STRANGE_AT_LEAST:
        return []
    joins = [_join(words, index, first, end) for end in range(last, first + 2, -1)]
    return [join for join in joins if not any(taken[index : join.last_content + 1])]


def _odd(word: str, lexicon: Lexicon) -> bool:
    known = word == BREAK or word in FILLERS or word in lexicon.everyday or word in _NEVER_JOINED
    return not (known or word.isdigit())


def _broken(join: _Join, odd: list[bool], unknown: list[bool]) -> bool:
    """True when the joined words may be a name by their sound: one unknown word, or pieces that are not all words."""
    return unknown[join.first] if join.first == join.last else True in odd[join.first : join.last + 1]


def _unknown(words: Words, at: int, lexicon: Lexicon) -> bool:
    """True when an odd word is none of the lexicon's either; what is understood needs no repair."""
    return len(words.words[at]) >= _UNKNOWN_AT_LEAST and words.stems[at] not in lexicon.known_stems


def _nearest(word: str, is_joined: bool, lexicon: Lexicon) -> str | None:
    """The product whose sound differs by one or two letters from that of `word`, if it is long enough to tell."""
    if len(word) < _AT_LEAST or word in lexicon.everyday:
        return None
    key = sound(word)
    allowed = 0 if len(key) < (8 if is_joined else 7) else 1 if len(key) < 10 or is_joined else 2
    best = process.extractOne(
        key, lexicon.sound_buckets.get(key[0], ()), scorer=DamerauLevenshtein.distance, score_cutoff=allowed
    )
    return None if best is None else lexicon.sounds[best[0]]
