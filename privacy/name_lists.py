"""The names that this room knows: given names, those that are everyday words too, and surnames."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from privacy.tokens import Token, fold

_FILE: Final = Path(__file__).parent / "data" / "names.json"


@dataclass(frozen=True, slots=True)
class NameLists:
    """Folded names. `given_like_words` are given names that are everyday words or plants as well ("rosa", "vitoria"),
    `given_like_brands` those that are products ("yasmin"): they count as names only where something says so."""

    given: frozenset[str]
    given_like_words: frozenset[str]
    given_like_brands: frozenset[str]
    surnames: frozenset[str]
    never: frozenset[str]

    def is_given(self, token: Token) -> bool:
        """Whether a token is a given name and nothing else."""
        return token.folded in self.given and token.folded not in self.never

    def may_be_given(self, token: Token) -> bool:
        """Whether a token is a given name, or a word that is one too."""
        return self.is_given(token) or self.may_be_person(token) or token.folded in self.given_like_brands - self.never

    def may_be_person(self, token: Token) -> bool:
        """Whether a token is a given name that is an everyday word too, but no product."""
        return token.folded in self.given_like_words and token.folded not in self.never

    def is_part(self, token: Token) -> bool:
        """Whether a token may stand in a name behind its first word."""
        return self.may_be_given(token) or (token.folded in self.surnames and token.folded not in self.never)


@lru_cache(maxsize=8)
def name_lists(extra: tuple[str, ...] = (), never: tuple[str, ...] = ()) -> NameLists:
    """The lists of `data/names.json`, with the given names `extra` added and the words `never` taken out."""
    lists = json.loads(_FILE.read_text(encoding="utf-8"))
    return NameLists(
        frozenset(lists["given"]) | _folded(extra),
        frozenset(lists["given_like_words"]) - _folded(extra),
        frozenset(lists["given_like_brands"]) - _folded(extra),
        frozenset(lists["surnames"]),
        _folded(never),
    )


def _folded(names: Iterable[str]) -> frozenset[str]:
    return frozenset(fold(name) for name in names)
