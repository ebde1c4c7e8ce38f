"""Finds the product names that speech recognition mangled: by sound, by small spelling distance, split in two."""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import NamedTuple

from rapidfuzz import process
from rapidfuzz.distance import DamerauLevenshtein

from cestas.lexicon import SOUNDS_APART, Lexicon
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


class _Heard(NamedTuple):
    """What is asked of the same words again and again: lists over all of them, but for `taken`."""

    words: Words
    taken: list[bool]
    """Over the content words: part of what is understood already."""
    odd: list[bool]
    """No word of everyday talk."""
    unknown: list[bool]
    """Odd, and none of the lexicon's either."""
    pieces: list[str]
    """The word, or nothing where it is the stuttered beginning of the next one ("re re pelente")."""


def mangled_names(words: Words, taken: list[bool], lexicon: Lexicon) -> list[Hit]:
    """Products that words not yet `taken` sound like, in the order heard."""
    hits: list[Hit] = []
    odd = [_odd(word, lexicon) for word in words.words]
    if True not in odd:
        return hits
    unknown = [is_odd and _unknown(words, at, lexicon) for at, is_odd in enumerate(odd)]
    heard = _Heard(words, taken, odd, unknown, _pieces(words.words))
    index = 0
    while index < len(words.content):
        at = words.content[index]
        near = True in odd[max(0, at - 1) : at + _JOINED_AFTER + 1] or _is_strange(odd[at : at + _SYLLABLES])
        hit = _at(heard, index, lexicon) if near and not taken[index] else None
        if hit is not None:
            hits.append(hit)
            index = hit.last + 1
        else:
            index += 1
    return hits


def _pieces(words: list[str]) -> list[str]:
    stuttered = (len(word) <= _SYLLABLE and following.startswith(word) for word, following in pairwise(words))
    return [*("" if again else word for word, again in zip(words, stuttered, strict=False)), *words[-1:]]


def _is_strange(odd: list[bool]) -> bool:
    return odd.count(True) >= _STRANGE_AT_LEAST


def _at(heard: _Heard, index: int, lexicon: Lexicon) -> Hit | None:
    words, unknown = heard.words, heard.unknown
    at = words.content[index]
    word = words.words[at]
    if word == BREAK or word.isdigit():
        return None
    joins = [*_syllables(heard, index), *_joins(heard, index)]
    for join in joins:
        name = lexicon.sounds.get(sound(join.joined)) if _broken(join, heard) else None
        if name is not None:
            return Hit(name, index, join.last_content)
    for join in reversed(joins):
        if True not in unknown[join.first : join.last + 1]:
            continue
        if words.words[join.first] in FILLERS and words.words[join.first] not in _SPLIT_OFF:
            continue
        if any(word.endswith(_CONJUGATED) for word in words.words[join.first : join.last + 1]):
            continue
        name = _nearest(join.joined, join.last > join.first, lexicon)
        if name is not None:
            return Hit(name, index, join.last_content)
    return None


class _Join(NamedTuple):
    """Words `first` to `last` written as one."""

    joined: str
    first: int
    last: int
    last_content: int


_NEIGHBOURS = ((0, _JOINED_AFTER), (1, 2), (0, 2), (1, 1), (0, 1), (1, 0), (0, 0))
"""Words before and after the first that are joined to it, longest first."""


def _joins(heard: _Heard, index: int) -> list[_Join]:
    """The word alone and joined to its neighbours as heard ("dor flex", "de pirona"), longest first.

    Where none of the words is `odd`, everything is understood, and nothing joined.
    """
    words = heard.words.words
    at = heard.words.content[index]
    can_lead = at > 0 and words[at - 1] in FILLERS
    joins = []
    for before, after in _NEIGHBOURS:
        first, last = at - before, at + after
        if last >= len(words) or (before and not can_lead) or True not in heard.odd[first : last + 1]:
            continue
        said = words[first : last + 1]
        if BREAK in said:
            continue
        join = _join(heard, index, first, last)
        short = len(join.joined) < _SURELY_A_NAME
        if last > first and ((short and not _NEVER_JOINED.isdisjoint(said)) or len(join.joined) < _JOINED_AT_LEAST):
            continue
        if True not in heard.taken[index : join.last_content + 1]:
            joins.append(join)
    return joins


def _join(heard: _Heard, index: int, first: int, last: int) -> _Join:
    content = heard.words.content
    last_content = bisect_right(content, last, index + 1, min(len(content), index + _SYLLABLES + 1)) - 1
    return _Join("".join(heard.pieces[first:last]) + heard.words.words[last], first, last, last_content)


def _syllables(heard: _Heard, index: int) -> list[_Join]:
    """A run of syllables from this word on, longest first, where it cannot be words: "vi ta mina ce"."""
    words, odd = heard.words.words, heard.odd
    first = heard.words.content[index]
    if not _is_strange(odd[first : first + _SYLLABLES]):
        return []
    last = first
    while last + 1 < min(len(words), first + _SYLLABLES) and 0 < len(words[last + 1]) <= _SYLLABLE + 2:
        if words[last + 1] == BREAK or len(words[last]) > _SYLLABLE + 1:
            break
        last += 1
    if not _is_strange(odd[first : last + 1]):
        return []
    joins = [_join(heard, index, first, end) for end in range(last, first + 2, -1)]
    return [join for join in joins if True not in heard.taken[index : join.last_content + 1]]


def _odd(word: str, lexicon: Lexicon) -> bool:
    known = word == BREAK or word in FILLERS or word in lexicon.everyday or word in _NEVER_JOINED
    return not (known or word.isdigit())


def _broken(join: _Join, heard: _Heard) -> bool:
    """True when the joined words may be a name by their sound: one unknown word, or pieces that are not all words."""
    if join.first == join.last:
        return heard.unknown[join.first]
    return True in heard.odd[join.first : join.last + 1]


def _unknown(words: Words, at: int, lexicon: Lexicon) -> bool:
    """True when an odd word is none of the lexicon's either; what is understood needs no repair."""
    return len(words.words[at]) >= _UNKNOWN_AT_LEAST and words.stems[at] not in lexicon.known_stems


def _nearest(word: str, is_joined: bool, lexicon: Lexicon) -> str | None:
    """The product whose sound differs by one or two letters from that of `word`, if it is long enough to tell."""
    if len(word) < _AT_LEAST or word in lexicon.everyday:
        return None
    key = sound(word)
    allowed = 0 if len(key) < (8 if is_joined else 7) else 1 if len(key) < 10 or is_joined else SOUNDS_APART
    if not allowed:
        return lexicon.sounds.get(key)
    alike = lexicon.sound_buckets.get((key[0], len(key)), ())
    best = process.extractOne(key, alike, scorer=DamerauLevenshtein.distance, score_cutoff=allowed)
    return None if best is None else lexicon.sounds[best[0]]
