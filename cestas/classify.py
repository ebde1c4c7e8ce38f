"""Which category of the taxonomy an utterance is about, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cestas.knowledge import Category
from cestas.lexicon import Lexicon
from cestas.model import Entities

PEDIATRICS = "PEDIATRIA"


@dataclass(frozen=True, slots=True)
class Classification:
    """The likeliest category. `confidence` is 0..1; `reason` names the kind of evidence that decided."""

    macro: str | None
    micro: str | None
    confidence: float
    reason: str


NOTHING = Classification(None, None, 0.0, "nada")

_WEIGHTS = {"sintoma": 1.0, "doenca": 1.1, "pedido": 0.6, "contexto": 0.5, "medicamento": 0.8, "artigo": 0.85}
_ASIDE_WEIGHT = 0.15
"""Of a medicine that somebody takes already: it says who they are, not what they came for."""
_BACKGROUND_WEIGHT = 0.3
"""Of a lasting condition where something else is complained of: it says who they are."""
_LATER_CATEGORIES = (1.0, 0.55, 0.4)
"""Weight of the first, second and further categories that one complaint may point to."""
_CERTAINTY = {"sintoma": 0.92, "doenca": 0.95, "pedido": 0.9, "contexto": 0.62, "medicamento": 0.9, "artigo": 0.9}


def classify(text: str, entities: Entities, lexicon: Lexicon) -> Classification:
    """The category that the entities speak for together; `NOTHING` where none was named."""
    del text
    scores: dict[Category, float] = {}
    reasons: dict[Category, tuple[float, str]] = {}
    for place, weight, reason in _votes(entities, lexicon):
        place = _for_children(place, entities, lexicon)
        scores[place] = scores.get(place, 0.0) + weight
        reasons[place] = max(reasons.get(place, (0.0, "")), (weight, reason))
    if not scores:
        return NOTHING
    best = max(scores, key=lambda place: (scores[place], place[1] is not None))
    reason = reasons[best][1]
    return Classification(best[0], best[1], _confidence(best, scores, reason), reason)


def _votes(entities: Entities, lexicon: Lexicon) -> Iterator[tuple[Category, float, str]]:
    """Each named thing's categories with their weights and the kind of evidence."""
    for name in (*entities.symptoms, *entities.diseases, *entities.articles, *entities.contexts):
        complaint = lexicon.complaints.get(name)
        if complaint is not None:
            weight = _BACKGROUND_WEIGHT if _is_background(name, entities, lexicon) else _WEIGHTS[complaint.kind]
            for rank, place in enumerate(complaint.categories):
                yield place, weight * _LATER_CATEGORIES[min(rank, len(_LATER_CATEGORIES) - 1)], complaint.kind
    for name in (*entities.medicines, *entities.articles):
        product = lexicon.products.get(name)
        if product is not None:
            kind = "artigo" if product.kind == "artigo" else "medicamento"
            weight = _ASIDE_WEIGHT if name in entities.in_use else _WEIGHTS[kind]
            yield product.category, weight, kind


def _is_background(name: str, entities: Entities, lexicon: Lexicon) -> bool:
    others = [*entities.symptoms, *entities.articles, *(n for n in entities.diseases if n != name)]
    return name in lexicon.people.by_disease and any(n not in lexicon.people.by_disease for n in others)


def _for_children(place: Category, entities: Entities, lexicon: Lexicon) -> Category:
    macro, micro = place
    if micro is None or "crianca" not in entities.situations:
        return place
    if "bebe" in entities.situations and micro in lexicon.people.infant:
        return PEDIATRICS, lexicon.people.infant[micro]
    if micro in lexicon.people.pediatric and (micro != "ANALGESICOS_ANTITERMICOS" or "febre" in entities.symptoms):
        return PEDIATRICS, lexicon.people.pediatric[micro]
    return macro, micro


def _confidence(best: Category, scores: dict[Category, float], reason: str) -> float:
    """The evidence's own certainty, lowered by how much other macro categories have to say."""
    total = sum(scores.values())
    same = sum(score for place, score in scores.items() if place[0] == best[0])
    share = same / total if total else 0.0
    return round(_CERTAINTY[reason] * (0.4 + 0.6 * share), 3)
