"""A linear judgement of what somebody is after: idle talk, a need, or words of alarm; weights over words and pieces."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_SHORTEST, _LONGEST = 3, 4
"""Letters of a piece of a word, its edges included."""
_REMEMBERED_AT_MOST = 20_000
"""Words whose sums are remembered; a counter's talk has a few thousand."""

_Sum = tuple[int, float, float]


@dataclass(frozen=True, slots=True)
class Judgement:
    """How likely a text asks for something, and how likely it tells of an emergency, 0..1 each, together at most 1."""

    need: float
    alarm: float


@dataclass(frozen=True, eq=False)
class Judge:
    """A logistic model of three classes; each feature's pair weighs for a need and for an alarm, against idle talk.

    The thresholds were chosen by leaving one author out (`python -m cestas.train` prints the figures).
    """

    weights: Mapping[str, tuple[float, float]]
    bias: tuple[float, float]
    need_at: float
    """Least probability of a need at which it is worth speaking."""
    alarm_at: float
    """Least probability of an alarm at which the pharmacist is called."""
    _remembered: dict[str, _Sum] = field(default_factory=dict, init=False, repr=False)
    """Sums over the pieces of words met before."""

    def judge(self, features: Iterable[str], words: Iterable[str]) -> Judgement:
        """The judgement on a text of these features (each once) and of these folded words (cut into pieces)."""
        need, alarm = self.bias
        for known, for_need, for_alarm in (self._of(features), self._of_words(words)):
            share = 1 / math.sqrt(known + 1)
            need += share * for_need
            alarm += share * for_alarm
        top = max(0.0, need, alarm)
        idle_part, need_part, alarm_part = math.exp(-top), math.exp(need - top), math.exp(alarm - top)
        whole = idle_part + need_part + alarm_part
        return Judgement(need_part / whole, alarm_part / whole)

    def _of(self, names: Iterable[str]) -> _Sum:
        """How many of `names` have weights, and their sums, exact so that the order of a set does not matter."""
        found = [pair for pair in map(self.weights.get, names) if pair is not None]
        return len(found), math.fsum([need for need, _ in found]), math.fsum([alarm for _, alarm in found])

    def _of_words(self, words: Iterable[str]) -> _Sum:
        known, need, alarm = 0, 0.0, 0.0
        for word in words:
            sums = self._remembered.get(word)
            if sums is None:
                sums = self._of(pieces_of(word))
                if len(self._remembered) < _REMEMBERED_AT_MOST:
                    self._remembered[word] = sums
            known, need, alarm = known + sums[0], need + sums[1], alarm + sums[2]
        return known, need, alarm


def pieces_of(word: str) -> tuple[str, ...]:
    """The pieces of three and four letters of a folded word, its edges marked; the whole word where it is shorter."""
    marked = f"~{word}~"
    return tuple(
        f"~{marked[start : start + size]}"
        for size in range(_SHORTEST, _LONGEST + 1)
        for start in range(max(1, len(marked) - size + 1))
    )
