"""Tells a request or a complaint from questions of price and use, payment, small talk and the television."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Literal

from cestas.data_files import DATA_DIR, read_json
from cestas.matching import PhraseBook
from cestas.model import Entities
from cestas.text import Words, word_set, words_of

Intent = Literal["sintoma_ou_pedido", "preco", "posologia", "pagamento", "entrega", "tv", "conversa"]
"""Only `sintoma_ou_pedido` is advised on."""


@cache
def _cue_books() -> Mapping[str, PhraseBook]:
    phrases: dict[str, list[str]] = read_json(DATA_DIR / "intents.json")
    return {
        name: PhraseBook(((said, name) for said in group), literal=name == "figurado")
        for name, group in phrases.items()
    }


def intent_of(text: str, entities: Entities) -> Intent:
    """What the speaker is after; conservative: a complaint said in the first person beats a cue of price."""
    words = words_of(text)
    cues = {name: len(book.find(words)) for name, book in _cue_books().items()}
    if cues["tv"] and not is_personal(words):
        return "tv"
    if cues["figurado"] or entities.empty:
        return _idle(cues)
    complains = bool(entities.symptoms or entities.diseases or entities.contexts)
    if cues["preco"] and not (complains and is_personal(words)):
        return "preco"
    if cues["posologia"] and not (complains and is_personal(words) and _asks(words)):
        return "posologia"
    if (cues["entrega"] or cues["pagamento"]) and not complains and not _asks(words):
        return "entrega" if cues["entrega"] else "pagamento"
    return "sintoma_ou_pedido"


def calls_for_nothing(words: Words) -> bool:
    """True when the words ask for a price or a dose, pay, greet or come from the television: nothing to guess at."""
    return any(book.find(words) for book in _cue_books().values())


def _idle(cues: dict[str, int]) -> Intent:
    for name in ("preco", "posologia", "pagamento", "entrega"):
        if cues[name]:
            return name
    return "conversa"


_PERSONAL = word_set(
    """eu to tou estou tenho sinto minha meu meus minhas me mim comigo ando fiquei acordei peguei nao gente nosso nossa
    doi doendo filho filha marido esposa mae pai bebe nenem"""
)
_ASKING = word_set(
    "quero queria preciso precisava tem teria ve arruma levar procuro indica recomenda sugere bom boa algo alguma "
    "algum remedio passa tomar separa"
)


def is_personal(words: Words) -> bool:
    """True when somebody speaks of themselves or of their own people."""
    return any(word in _PERSONAL for word in words.words)


def _asks(words: Words) -> bool:
    return any(word in _ASKING for word in words.words)
