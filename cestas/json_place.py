"""Finds the line of a JSON text at which a value stands, so that a refusal can say where."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

Place = tuple[str | int, ...]
"""Keys and indexes from the outermost value inwards; empty: the outermost value itself."""

_BLANK = re.compile(r"[ \t\r\n]*")
_decode = json.JSONDecoder().raw_decode


def shown(place: Place) -> str:
    """`place` as people write it: `a.b[0].c`; `$` for the outermost value."""
    parts = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return parts.removeprefix(".") or "$"


def line_of(text: str, place: Sequence[str | int]) -> int:
    """The line, counted from 1, on which the value at `place` of the well-formed JSON `text` begins.

    Where the place is missing: the line of the innermost value around it.
    """
    at = _skip(text, 0)
    for part in place:
        inner = _inside(text, at, part)
        if inner is None:
            break
        at = inner
    return text.count("\n", 0, at) + 1


def _inside(text: str, at: int, part: str | int) -> int | None:
    """Where the member `part` of the object or list at `at` begins; the last one of a key that is there twice."""
    if at >= len(text) or text[at] != ("[" if isinstance(part, int) else "{"):
        return None
    found, index, at = None, 0, _skip(text, at + 1)
    while text[at] not in "]}":
        name: str | int = index
        if isinstance(part, str):
            name, at = _decode(text, at)
            at = _skip(text, _skip(text, at) + 1)
        if name == part:
            found = at
        at = _skip(text, _decode(text, at)[1])
        if text[at] == ",":
            at = _skip(text, at + 1)
        index += 1
    return found


def _skip(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return at if match is None else match.end()
