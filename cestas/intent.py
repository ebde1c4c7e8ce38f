"""Tells a request or a complaint from questions of price and use, payment, small talk and the television."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Literal

from cestas.data_files import DATA_DIR, read_json
from cestas.matching import CueBook
from cestas.model import Entities
from cestas.text import Words, word_set, words_of

Intent = Literal["sintoma_ou_pedido", "preco", "posologia", "pagamento", "entrega", "tv", "conversa"]
"""Only `sintoma_ou_pedido` is advised on."""


@cache
def _cue_book() -> CueBook:
    return CueBook(read_json(DATA_DIR / "intents.json"), literal=("figurado",))


def intent_of(text: str, entities: Entities) -> Intent:
    """What the speaker is after; conservative: a complaint said in the first person beats a cue of price."""
    words = words_of(text)
    cues = cues_of(words)
    if "tv" in cues and not is_personal(words):
        return "tv"
    if "figurado" in cues or entities.empty or any(name in cues for name in _NEVER):
        return _idle(cues)
    complains = bool(entities.symptoms or entities.diseases)
    own = complains and is_personal(words)
    if "preco" in cues and not own:
        return "preco"
    if "posologia" in cues and not (own and asks(words)):
        return "posologia"
    if any(name in cues for name in _UNLESS_NEEDED) and not (own and asks(words)):
        return _idle(cues)
    if ("entrega" in cues or "pagamento" in cues) and not complains and not asks(words):
        return "entrega" if "entrega" in cues else "pagamento"
    return "sintoma_ou_pedido"


_NEVER = ("animal", "interno", "troca")
"""Cues of talk in which nothing is ever wanted for a person: of animals, among attendants, about a return."""
_UNLESS_NEEDED = ("servico", "recusa", "fofoca", "injecao")
"""Cues of a service, a refusal, gossip or orders to a machine: heeded unless the same person complains and asks."""


def calls_for_nothing(words: Words) -> bool:
    """True when the words ask for a price or a dose, pay, greet or come from the television: nothing to guess at."""
    return bool(cues_of(words))


def is_figure(words: Words) -> bool:
    """True when what sounds like a complaint is a figure of speech, long cured, or an animal's."""
    return not cues_of(words).isdisjoint(("figurado", "animal"))


def cues_of(words: Words) -> frozenset[str]:
    """The groups of `intents.json` of which something was said."""
    return _cues(words.text)


@lru_cache(maxsize=64)
def _cues(text: str) -> frozenset[str]:
    return _cue_book().named(words_of(text))


def _idle(cues: frozenset[str]) -> Intent:
    for name in ("preco", "posologia", "pagamento", "entrega"):
        if name in cues:
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


def asks(words: Words) -> bool:
    """True when a word of a request is said: quero, tem, preciso, …"""
    return any(word in _ASKING for word in words.words)
