"""What must hold, beside what was found."""

from __future__ import annotations

import math
from typing import Any


def bar(name: str, value: float, limit: float) -> dict[str, Any]:
    """A figure that must not exceed its limit; one that could not be had has not met it."""
    known = math.isfinite(value)
    return {"name": name, "value": round(value, 3) if known else None, "limit": limit, "met": known and value <= limit}
