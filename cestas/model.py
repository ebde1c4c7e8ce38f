"""The nouns of the pharmacy: entities heard, items suggested, blocks of the safety gate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entities:
    """What was named in a text, as canonical names (lower case, without accents), in the order heard, without repeats."""

    medicines: tuple[str, ...] = ()
    symptoms: tuple[str, ...] = ()
    diseases: tuple[str, ...] = ()
    situations: tuple[str, ...] = ()
    """Who it is for and what they live with: `gestante`, `hipertenso`, `crianca`, …"""
    evidence: tuple[str, ...] = ()
    """The words of the text that each entity was read from, medicines first, then symptoms, then diseases."""

    @property
    def empty(self) -> bool:
        """True when nothing to advise on was named."""
        return not (self.medicines or self.symptoms or self.diseases)


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
