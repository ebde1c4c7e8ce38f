"""What a look at one thing found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "wrong"]
"""ok: as it should be; warning: it works, and somebody should look; wrong: it does not work, or will not for long."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `says` and `do` never hold a key, a password or what anybody said."""

    check: str
    state: State
    says: str
    do: str = ""
    """What to do about it; empty where it is ok."""


def ok(check: str, says: str) -> Finding:
    """It is as it should be."""
    return Finding(check, "ok", says)


def warning(check: str, says: str, do: str) -> Finding:
    """It works, and somebody should look."""
    return Finding(check, "warning", says, do)


def wrong(check: str, says: str, do: str) -> Finding:
    """It does not work, or will not for long."""
    return Finding(check, "wrong", says, do)
