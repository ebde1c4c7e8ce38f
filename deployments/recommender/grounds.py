"""What a language model's answer rests on: medicines need a ground that the lexicon itself finds in the text; pure."""

from __future__ import annotations

from collections.abc import Sequence

from rapidfuzz import fuzz

from cestas.classify import PEDIATRICS
from cestas.entities import extract
from cestas.lexicon import Lexicon
from cestas.model import Block, Entities, Item
from cestas.text import slug, sound

GROUND_RULE = "M-SEM-LASTRO"
"""Id under which a medicine is recorded that a language model's shelf holds and nothing said calls for."""

SOUNDS_ALIKE = 70.0
"""Of 100: how much of a medicine's sound must be in its quote. "luzartana" is losartana, "chácara" is no medicine."""


def grounded_macros(entities: Entities, lexicon: Lexicon) -> frozenset[str]:
    """Macro categories to which something points that the lexicon itself read."""
    found = [
        macro
        for name in (*entities.symptoms, *entities.diseases)
        if name in lexicon.complaints
        for macro, _ in lexicon.complaints[name].categories
    ]
    wanted = (name for name in entities.medicines if name not in entities.in_use)
    found += [lexicon.products[name].category[0] for name in wanted if name in lexicon.products]
    if found and "crianca" in entities.situations:
        found.append(PEDIATRICS)
    return frozenset(found)


def without_groundless(
    items: Sequence[Item], macro: str | None, read: Entities, lexicon: Lexicon
) -> tuple[tuple[Item, ...], tuple[Block, ...]]:
    """`items` of the shelf `macro` without the medicines, where nothing in `read` points to that shelf; and those."""
    if macro is None or macro in grounded_macros(read, lexicon):
        return tuple(items), ()
    harmless = [item for item in items if not _is_medicine(item, lexicon)]
    blocks = [Block(item.id, GROUND_RULE) for item in items if _is_medicine(item, lexicon)]
    return tuple(harmless), tuple(blocks)


def _is_medicine(item: Item, lexicon: Lexicon) -> bool:
    """True for what is or may be a medicine: an unknown name may be."""
    names = lexicon.resolve(item.suggestion)
    return not names or any(lexicon.products[name].is_medicine for name in names)


def is_heard_in(name: str, quote: str, lexicon: Lexicon) -> bool:
    """True when the medicine `name` is what the quote says: by its sound, or by what the lexicon reads in it."""
    if fuzz.partial_ratio(_sound_of(name), _sound_of(quote)) >= SOUNDS_ALIKE:
        return True
    said, _ = lexicon.contents(extract(quote, lexicon).medicines)
    meant, _ = lexicon.contents(extract(name, lexicon).medicines)
    return bool(said & meant)


def _sound_of(text: str) -> str:
    return sound(slug(text).replace("-", ""))
