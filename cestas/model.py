"""The nouns of the pharmacy: entities heard, items suggested, blocks of the safety gate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entities:
    """What was named in a text: canonical names (lower case, no accents) in the order heard, without repeats."""

    medicines: tuple[str, ...] = ()
    symptoms: tuple[str, ...] = ()
    diseases: tuple[str, ...] = ()
    situations: tuple[str, ...] = ()
    """Who it is for and what they live with: `gestante`, `hipertenso`, `crianca`, …"""
    evidence: tuple[str, ...] = ()
    """The words of the text that each entity was read from, medicines first, then symptoms, then diseases."""
    articles: tuple[str, ...] = ()
    """Non-medicines named: `protetor solar`, `absorvente`, …"""
    contexts: tuple[str, ...] = ()
    """Occasions that call for harmless articles only: `praia`, `trilha`, `viagem`, …"""
    in_use: tuple[str, ...] = ()
    """Those of `medicines` that somebody takes already ("toma marevan"), rather than asks for."""

    @property
    def empty(self) -> bool:
        """True when nothing to advise on was named."""
        return not (self.medicines or self.symptoms or self.diseases or self.articles or self.contexts)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to suggest: what, why (a sentence that an attendant can say aloud), and its tag."""

    id: str
    suggestion: str
    explanation: str
    tag: str = ""


@dataclass(frozen=True, slots=True)
class Block:
    """An item that the safety gate held back, and the id of the rule that did."""

    item_id: str
    rule_id: str
