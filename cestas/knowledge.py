"""The records that the knowledge files hold: product classes, products and complaints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["isento", "tarja_vermelha", "retencao", "controlado", "nao_medicamento"]
"""Dispensing status in Brazil: over the counter, red stripe, prescription kept, controlled, no medicine at all."""

ComplaintKind = Literal["sintoma", "doenca", "contexto", "pedido"]
"""What a phrase names: a symptom, a disease, an occasion (a trip, the beach), or a kind of product asked for."""

Category = tuple[str, str | None]
"""Macro category and, where there is one, micro category of the taxonomy."""


@dataclass(frozen=True, slots=True)
class ProductClass:
    """A therapeutic or product class; `parent` is the wider class it belongs to."""

    id: str
    title: str
    category: Category
    situation: str = ""
    """What taking it says about a person: an oral antidiabetic → `diabetico`."""
    unrepeatable: bool = False
    """True when two products of the class must not be taken together."""
    parent: str = ""


@dataclass(frozen=True, slots=True)
class Product:
    """An ingredient, a brand or a non-medicine that can be asked for or suggested."""

    name: str
    kind: Literal["ingrediente", "marca", "artigo"]
    ingredients: tuple[str, ...]
    """All its ingredients; an ingredient's and an article's own name."""
    classes: frozenset[str]
    """All its classes, wider ones and those of its ingredients included."""
    main_class: str
    status: Status
    category: Category
    forms: tuple[str, ...] = ()
    over_the_counter_up_to_mg: float | None = None
    """Strength above which a label of it needs a prescription; None where the strength does not matter."""

    @property
    def is_medicine(self) -> bool:
        """True for everything that is registered as a medicine."""
        return self.status != "nao_medicamento"

    @property
    def suggestible(self) -> bool:
        """True when it may be offered without a prescription."""
        return self.status in ("isento", "nao_medicamento")


@dataclass(frozen=True, slots=True)
class Complaint:
    """A symptom, a disease, an occasion or a kind of product, and the categories it points to, likeliest first."""

    name: str
    kind: ComplaintKind
    categories: tuple[Category, ...]


def category(label: str) -> Category:
    """`MACRO/MICRO` or `MACRO` as a pair."""
    macro, _, micro = label.partition("/")
    return macro, micro or None
