"""Words of a pharmacy's own catalogue that a conversation is likely to name, for a recogniser to listen for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Final

from cestas.catalogue import Catalogue
from cestas.model import Entities, Item
from cestas.text import fold

CHARACTERS_MAX: Final = 50
WORDS_MAX: Final = 5
"""The narrowest limits of the recognisers that take such words; see docs/providers/."""
_STRENGTH: Final = re.compile(
    r"\(.*?\)|\b\d[\d.,]*\s*(mg|mcg|g|kg|ml|l|ui|%|cm|mm|m|comprimidos|cápsulas|unidades|sachês)?(?!\w)", re.IGNORECASE
)


def keyterms_of(
    catalogue: Catalogue, macro: str | None, micro: str | None, named: Entities, limit: int
) -> tuple[str, ...]:
    """At most `limit` names, each once: of the category's items first, then of products for what was complained of,
    then of all other products. Strengths and package sizes are left out: nobody says them."""
    names = chain(
        _names(catalogue.by_micro.get((macro or "", micro or ""), ())),
        _names(catalogue.by_macro.get(macro or "", ())),
        _names(catalogue.for_indication((*named.symptoms, *named.diseases))),
        _names(product.item for product in catalogue.products),
    )
    return tuple(islice(_each_once(names), limit))


def _each_once(names: Iterable[str]) -> Iterator[str]:
    seen: set[str] = set()
    for name in names:
        if fold(name) not in seen:
            seen.add(fold(name))
            yield name


def _names(items: Iterable[Item]) -> Iterator[str]:
    for item in items:
        name = spoken_name(item)
        if name:
            yield name


def spoken_name(item: Item) -> str:
    """An item's name as people say it; empty where it is too long to be listened for."""
    name = " ".join(_STRENGTH.sub(" ", item.suggestion).split()).strip(" ,-/+")
    return name if 0 < len(name) <= CHARACTERS_MAX and len(name.split()) <= WORDS_MAX else ""
