"""Portuguese text as the pharmacy's matchers see it: words without accents, light stems, and how a word sounds."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

BREAK = "|"
"""The stem that stands for a clause's end (punctuation); no phrase matches across it."""

_ACCENTED = "áàâãäåéèêëíìîïóòôõöúùûüçñýÁÀÂÃÄÅÉÈÊËÍÌÎÏÓÒÔÕÖÚÙÛÜÇÑÝ"
_PLAIN = "aaaaaaeeeeiiiiooooouuuucny" * 2
_FOLD = str.maketrans(_ACCENTED + "ABCDEFGHIJKLMNOPQRSTUVWXYZ", _PLAIN + "abcdefghijklmnopqrstuvwxyz")
_TOKEN = re.compile(r"[a-z0-9]+|[.;:!?,—–\n]")


def word_set(said: str) -> frozenset[str]:
    """The words of `said`, separated by blanks, as a set."""
    return frozenset(said.split())


FILLERS = word_set(
    """a o as os um uma uns umas de do da dos das no na nos nas em com e que ta to tava tou esta estou estava estao tao
    tem tenho tendo teve tive tinha ter muito muita muitos muitas meu minha meus minhas seu sua seus suas dele dela nele
    nela pra para pro pras pros per por ao aos ele ela eles elas eu me te se la ja ai aqui so bem mesmo tipo assim ne
    pouco pouquinho demais toda todo hoje isso isto esse essa este esta aquele aquela aquilo num numa mais tambem cara
    ficou ficando fica fico ser sou era foi fui vai vou to estar ficar ando anda andando deu dando ca quando acho sinto
    sentindo parece meio super bastante forte terrivel danada danado horrivel moco moca senhor senhora ha faz fez ainda
    desde dona seu doutor gente olha entao ce ces voce voces vc tu"""
)
"""Words that a phrase may contain or lack without changing what it names."""

_RESTLESS = word_set(
    "para paro param parou passa passou aguento aguenta melhora melhorou sai some larga deixa sara cede baixa"
)
"""Verbs after which "não" insists instead of denying: "não para de coçar", "a febre não baixa"."""


def fold(text: str) -> str:
    """`text` in lower case without accents, of the same length as its NFC form, so that positions carry over."""
    return unicodedata.normalize("NFC", text).translate(_FOLD)


_WHOLE = word_set("dois seis depois teste testes mamae fungando fungar junto")
"""Words that share a stem with another one: dois (dói), teste (testa), mamãe (mama), fungar (fungo), junto (junta)."""


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """A light stem of a folded word: plural, diminutive, gender and the commonest verb endings taken off."""
    if word in _WHOLE:
        return word
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    if len(word) > 6 and word.endswith(("zinha", "zinho")):
        word = word[:-5]
    elif len(word) > 6 and word.endswith(("inha", "inho", "ando", "endo", "indo")):
        word = word[:-4]
    elif len(word) > 5 and word.endswith(("ar", "er", "ir", "ou", "ei")):
        word = word[:-2]
    elif len(word) > 4 and word[-1] in "aoe":
        word = word[:-1]
    return word


def slug(text: str) -> str:
    """`text` as an identifier: folded words joined by hyphens."""
    return "-".join(re.findall(r"[a-z0-9]+", fold(text)))


def _rule(needs: str, pattern: str, replacement: str) -> tuple[tuple[str, ...], Callable[[str], str]]:
    """A rewriting of sounds, and the pieces of which a word must hold one for it to change anything."""
    if re.escape(pattern) == pattern:
        return (pattern,), lambda word: word.replace(pattern, replacement)
    compiled = re.compile(pattern)
    return tuple(needs.split()), lambda word: compiled.sub(replacement, word)


def _letters(letters: str, replacements: str, left_out: str = "") -> tuple[tuple[str, ...], Callable[[str], str]]:
    """Letters that are written as others wherever they stand, all at once."""
    table = str.maketrans(letters, replacements, left_out)
    return tuple(letters + left_out), lambda word: word.translate(table)


_SOUNDS = (
    _rule("", "ph", "f"),
    _rule("y j", r"[yj](?=[^aeiou]|$)", "i"),
    _rule("", "th", "t"),
    _rule("h", r"(?:ch|sh)", "x"),
    _rule("x", r"x$", "ks"),
    _rule("q ck", r"qu(?=[eiy])|q|ck", "k"),
    _rule("c ss z ts", r"s?c(?=[eiy])|ss|sc(?=[eiy])|xc(?=[eiy])|z|ts", "s"),
    _rule("", "c", "k"),
    _rule("g", r"g(?=[eiy])", "j"),
    _rule("gu", r"gu(?=[ei])", "g"),
    _rule("", "lh", "li"),
    _rule("", "nh", "ni"),
    _letters("wy", "vi", left_out="h"),
    _rule("l", r"l(?=[^aeiou]|$)", "u"),
    _rule("n m", r"[nm](?=[^aeiou]|$)", "n"),
    _letters("xeo", "siu"),
)
_DOUBLED = re.compile(r"(.)\1+")


@lru_cache(maxsize=20_000)
def sound(word: str) -> str:
    """How a folded word sounds to a Brazilian ear: words that are confused in speech share a key."""
    for needs, rewrite in _SOUNDS:
        for piece in needs:
            if piece in word:
                word = rewrite(word)
                break
    return _DOUBLED.sub(r"\1", word)


@dataclass(frozen=True, slots=True)
class Words:
    """A text cut into words: three parallel lists over all words, and the positions of those that carry meaning."""

    text: str
    """The NFC text that `spans` point into."""
    words: list[str]
    """Folded words; punctuation is `BREAK`."""
    stems: list[str]
    spans: list[tuple[int, int]]
    content: list[int]
    """Positions of the words that are not fillers."""
    content_stems: list[str] = field(init=False, repr=False, compare=False)
    """The stems at these positions: what phrases are looked up by."""

    def __post_init__(self) -> None:
        """Pick the stems once, as every vocabulary looks at them."""
        object.__setattr__(self, "content_stems", [self.stems[at] for at in self.content])

    def quote(self, first: int, last: int) -> str:
        """The words `first` to `last` (inclusive positions in `words`) as they were written."""
        return self.text[self.spans[first][0] : self.spans[last][1]]


@lru_cache(maxsize=64)
def words_of(text: str) -> Words:
    """Cut `text` into words; linear in its length. The last few texts are remembered: every step looks at them."""
    nfc = unicodedata.normalize("NFC", text)
    words: list[str] = []
    spans: list[tuple[int, int]] = []
    for match in _TOKEN.finditer(nfc.translate(_FOLD)):
        word = match.group()
        words.append(word if word.isalnum() else BREAK)
        spans.append(match.span())
    stems = [word if word == BREAK else stem(word) for word in words]
    content = [i for i, word in enumerate(words) if word not in FILLERS and not _insists(words, i)]
    return Words(nfc, words, stems, spans, content)


def _insists(words: list[str], at: int) -> bool:
    return words[at] == "nao" and at + 1 < len(words) and words[at + 1] in _RESTLESS


def phrase(text: str) -> tuple[str, ...]:
    """The stems of a lexicon phrase, as they have to occur in a text; all of its words if it is made of fillers."""
    words = words_of(text)
    stems = tuple(words.stems[i] for i in words.content if words.stems[i] != BREAK)
    return stems or tuple(s for s in words.stems if s != BREAK)
