"""Putting together what was named by several readers or in several texts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields
from itertools import chain

from cestas.model import Entities


def together(parts: Iterable[Entities]) -> Entities:
    """All of `parts` in one: every kind in its order, without repeats."""
    parts = tuple(parts)
    return Entities(
        **{
            kind.name: tuple(dict.fromkeys(chain.from_iterable(getattr(part, kind.name) for part in parts)))
            for kind in fields(Entities)
        }
    )
