"""What a medicine needs to have been named before it may be offered: a complaint, a request, the right complaint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cestas.entities import extract, reading_of
from cestas.intent import cues_of
from cestas.knowledge import Category, category
from cestas.lexicon import Lexicon
from cestas.model import Entities
from cestas.speak import judged
from cestas.text import word_set, words_of

NEED_RULE = "G-SEM-QUEIXA"
"""The block of a medicine where nobody named anything that a medicine is for."""


@dataclass(frozen=True, slots=True)
class Need:
    """Classes and ingredients that are offered only for certain complaints, or for complaints of certain categories."""

    id: str
    severity: str
    source: str
    reason: str
    classes: frozenset[str]
    ingredients: frozenset[str]
    complaints: frozenset[str]
    categories: frozenset[Category]

    def covers(self, ingredients: frozenset[str], classes: frozenset[str]) -> bool:
        """True when something of these contents is offered only for the complaints of this need."""
        return bool(self.classes & classes or self.ingredients & ingredients)


@dataclass(frozen=True, slots=True)
class Named:
    """What was named that a medicine may be for."""

    complaints: frozenset[str]
    """Complaints, and kinds of products asked for without a name ("um xarope"), but nothing that was only guessed."""
    categories: frozenset[Category]
    """The categories that these point to, their macro categories included."""
    anything: bool
    """True when a medicine may be offered at all: not where only an occasion, an article or a prescription was said."""


def named(parts: Iterable[Entities], texts: Sequence[str], lexicon: Lexicon) -> Named:
    """What `parts` name, without the complaints that were guessed for `texts` in which no phrase was recognised."""
    parts = tuple(parts)
    guessed = {name for text in texts if text for name in _guessed(text, lexicon)}
    asked = {name for part in parts for name in part.articles}
    complaints = {name for part in parts for name in (*part.symptoms, *part.diseases)} - guessed
    asked_for = {name for part in parts for name in part.medicines if name not in part.in_use}
    medicines = {name for name in asked_for if name in lexicon.products and lexicon.products[name].suggestible}
    kinds = set() if asked_for else {name for name in asked if name in lexicon.complaints} - _NOT_BY_ITSELF
    lasting = set(lexicon.people.by_disease) if any(part.contexts for part in parts) else set()
    pressing = set() if _is_prevention(texts) else {n for n in complaints - lasting if not _for_articles(n, lexicon)}
    anything = bool(pressing or medicines or kinds) and any(_is_need(text, lexicon) for text in texts)
    places = {place for name in complaints | kinds if name in lexicon.complaints for place in _places(name, lexicon)}
    return Named(frozenset(complaints | kinds), frozenset(places), anything)


def _is_prevention(texts: Sequence[str]) -> bool:
    """True when the last thing said is about what might come ("pra prevenir", "pra deixar em casa")."""
    return bool(texts) and "prevencao" in cues_of(words_of(texts[0]))


_LIKELIER_THAN_NOT = 0.5
"""Probability of a need from which a medicine may pass; to speak unasked more is needed."""
_ARTICLES_DO = word_set(
    """MENSTRUACAO_ABSORVENTES TESTE_GRAVIDEZ HALITO_CUIDADOS_ORAIS INCONTINENCIA_ABSORVENTE_GERIATRICO
    REPELENTES_PICADAS PRESERVATIVOS_LUBRIFICANTES FIO_DENTAL_ESCOVAS"""
)
"""Micro categories of complaints that no medicine is for."""


_NOT_BY_ITSELF = frozenset({"anticoncepcional", "remedio para emagrecer"})
"""Kinds of products asked for of which none is sold freely as a medicine: such a request opens the way to no other."""


def _is_need(text: str, lexicon: Lexicon) -> bool:
    return judged(text, lexicon).need >= _LIKELIER_THAN_NOT


def _for_articles(name: str, lexicon: Lexicon) -> bool:
    complaint = lexicon.complaints.get(name)
    return bool(complaint and complaint.categories and complaint.categories[0][1] in _ARTICLES_DO)


def _guessed(text: str, lexicon: Lexicon) -> tuple[str, ...]:
    if not reading_of(text, lexicon).silent:
        return ()
    entities = extract(text, lexicon)
    return (*entities.symptoms, *entities.diseases)


def _places(name: str, lexicon: Lexicon) -> Iterable[Category]:
    for macro, micro in lexicon.complaints[name].categories:
        yield macro, micro
        yield macro, None


def lacking(ingredients: frozenset[str], classes: frozenset[str], known: Named, needs: Sequence[Need]) -> str:
    """The id of the need that a medicine of these contents does not meet; empty when it meets one, or has none."""
    if "medicamento" not in classes:
        return ""
    if not known.anything:
        return NEED_RULE
    mine = [need for need in needs if need.covers(ingredients, classes)]
    if not mine or any(need.complaints & known.complaints or need.categories & known.categories for need in mine):
        return ""
    return mine[0].id


def need_of(r: dict[str, Any]) -> Need:
    """A record of `safety.json` (`necessidades`) as a need."""
    of, required = r["de"], r["so_com"]
    return Need(
        id=r["id"],
        severity=r["gravidade"],
        source=r["fonte"],
        reason=r["motivo"],
        classes=frozenset(of.get("classes", ())),
        ingredients=frozenset(of.get("ingredientes", ())),
        complaints=frozenset(required.get("queixas", ())),
        categories=frozenset(category(place) for place in required.get("categorias", ())),
    )
