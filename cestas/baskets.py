"""From a category to the items worth offering, without what was asked for."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass

from cestas.catalogue import Catalogue
from cestas.classify import Classification
from cestas.lexicon import Lexicon
from cestas.model import Entities, Item


@dataclass(frozen=True, slots=True)
class Basket:
    """Candidates in the order of the catalogue, and where they came from: `MACRO/MICRO`, `MACRO` or `produtos`."""

    cesta: str
    items: tuple[Item, ...]


EMPTY = Basket("", ())


def basket_for(
    classification: Classification,
    entities: Entities,
    catalogue: Catalogue,
    lexicon: Lexicon,
    exclude_item_ids: Set[str] = frozenset(),
) -> Basket:
    """The micro category's items, else the macro's, else products by indication; empty without a macro category.

    Excluded: items of `exclude_item_ids`, and what was asked for or contains an ingredient of it. Where only an
    occasion was named (a trip, the beach), medicines are excluded too. For somebody with a situation that the gate
    will look at, the macro category's items follow as a reserve.
    """
    if classification.macro is None:
        return EMPTY
    named = frozenset((*entities.medicines, *entities.articles))
    only_occasion = bool(entities.contexts) and not (named or entities.symptoms or entities.diseases)
    for cesta, items in _sources(classification, entities, catalogue):
        kept = tuple(
            item
            for item in items
            if item.id not in exclude_item_ids and not _offers(item, named, only_occasion, lexicon)
        )
        if kept:
            return Basket(cesta, kept)
    return EMPTY


def _sources(
    classification: Classification, entities: Entities, catalogue: Catalogue
) -> Iterable[tuple[str, tuple[Item, ...]]]:
    macro, micro = classification.macro or "", classification.micro
    fallback = catalogue.by_macro.get(macro, ())
    if micro is not None:
        items = catalogue.by_micro.get((macro, micro), ())
        if items and entities.situations:
            names = {item.suggestion for item in items}
            items = (*items, *(item for item in fallback if item.suggestion not in names))
        yield f"{macro}/{micro}", items
    yield macro, fallback
    yield "produtos", catalogue.for_indication((*entities.symptoms, *entities.diseases))


def _offers(item: Item, named: frozenset[str], only_occasion: bool, lexicon: Lexicon) -> bool:
    """True when `item` gives what is asked for already, or a medicine where only an occasion was named."""
    inside = lexicon.resolve(item.suggestion)
    ingredients, classes = lexicon.contents(inside)
    if only_occasion and "medicamento" in classes:
        return True
    asked, _ = lexicon.contents(named)
    return bool(inside & named or ingredients & asked)
