"""What a language model's answer has cost lately, and so what each answer saves that did not need it; pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

WINDOW = 200
"""Answers over which the mean is taken: enough to be steady, few enough to follow a change of model or price."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Money and time; of a saving, an estimate."""

    usd: float = 0.0
    ms: float = 0.0


NOTHING = Spent()


class RecentCost:
    """The mean cost of the last `WINDOW` answers; `NOTHING` until there was one, so that no saving is invented."""

    def __init__(self) -> None:
        self._answers: deque[Spent] = deque(maxlen=WINDOW)

    def add(self, spent: Spent) -> None:
        """Count one answer that was paid and waited for."""
        self._answers.append(spent)

    @property
    def mean(self) -> Spent:
        """Cost of one answer."""
        count = len(self._answers)
        if not count:
            return NOTHING
        return Spent(sum(a.usd for a in self._answers) / count, sum(a.ms for a in self._answers) / count)
