"""All steps of the rules in order: what was said → what to offer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cestas.baskets import EMPTY, basket_for
from cestas.catalogue import Catalogue
from cestas.classify import NOTHING, Classification, classify
from cestas.entities import extract
from cestas.intent import Intent, intent_of
from cestas.invented import is_invented
from cestas.lexicon import Lexicon
from cestas.model import Block, Entities, Item
from cestas.safety import check
from cestas.speak import is_worth_speaking


@dataclass(frozen=True, slots=True)
class RulesAdvice:
    """What the rules understood of one text and what they would show."""

    intent: Intent
    entities: Entities
    classification: Classification
    cesta: str
    items: tuple[Item, ...]
    blocked: tuple[Block, ...]
    alert: str


def prepare(lexicon: Lexicon, catalogue: Catalogue) -> None:
    """Do once, in some milliseconds, what the first customers would else wait for: rules converted, labels resolved."""
    check(tuple(catalogue.items()), Entities(), lexicon, catalogue)


def advise(
    text: str,
    lexicon: Lexicon,
    catalogue: Catalogue,
    context: Sequence[str] = (),
    situations: Sequence[str] = (),
    shown_item_ids: Sequence[str] = (),
) -> RulesAdvice:
    """Entities, intent, category, basket and gate for `text`; under a millisecond for a sentence, never raises."""
    if is_invented(text):
        return RulesAdvice("conversa", Entities(), NOTHING, "", (), (), "")
    entities = extract(text, lexicon)
    if situations:
        entities = replace(entities, situations=tuple(dict.fromkeys((*entities.situations, *situations))))
    intent = intent_of(text, entities)
    if intent == "sintoma_ou_pedido" and not is_worth_speaking(text, lexicon):
        intent = "conversa"
    classification = classify(text, entities, lexicon)
    basket = EMPTY
    if intent == "sintoma_ou_pedido":
        basket = basket_for(classification, entities, catalogue, lexicon, frozenset(shown_item_ids))
    verdict = check(basket.items, entities, lexicon, catalogue, text, context)
    return RulesAdvice(intent, entities, classification, basket.cesta, verdict.items, verdict.blocked, verdict.alert)
