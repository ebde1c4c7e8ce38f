"""A budget of extra requests as a share of the traffic: what hedges and retries may add, and no more."""

from __future__ import annotations


class ShareBudget:
    """A bucket that every request fills by `share` of a token and every extra request empties by one.

    It starts full, with `burst` tokens, unless `begins_full` is False. One for hedges, another for retries: over any
    stretch of n requests at most `share`·n + `burst` extra ones are granted.
    """

    def __init__(self, share: float, burst: int, *, begins_full: bool = True) -> None:
        self._share = share
        self._burst = float(burst)
        self._tokens = float(burst) if begins_full and share > 0 else 0.0

    def earn(self) -> None:
        """One more ordinary request was made."""
        self._tokens = min(self._burst, self._tokens + self._share)

    def take(self) -> bool:
        """Whether one extra request may be made now; if so, it is spent."""
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True
