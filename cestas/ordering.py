"""In which order equally fitting items are offered, learned from what customers took, and what that is worth."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from cestas.model import Item

Arm = Literal["", "mantida", "aprendida"]
"""Whose order a suggestion was in: "" the pharmacist's, for nothing is learned yet; `mantida` the pharmacist's, kept to
compare with; `aprendida` the learned one."""

NumberT = TypeVar("NumberT", bound=float)

Z_95 = 1.959964
"""Two-sided 95 % of the normal distribution."""


@dataclass(frozen=True, slots=True)
class OrderingRule:
    """When the order is learned, and how quickly."""

    kept_share: float = 0.2
    """Share of suggestions that keep the pharmacist's order, so that what was gained can be measured."""
    least_shown: int = 60
    """Items of a cesta that must have been shown, all together, before its order is learned."""
    prior_strength: float = 10.0
    """How many times an item must be shown before its own acceptance weighs as much as its cesta's."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How often an item was shown and taken (accepted or sold)."""

    shown: int = 0
    taken: int = 0


@dataclass(frozen=True, slots=True)
class ArmCount:
    """Of one cesta and arm: suggestions, items taken in them, and the sum over suggestions of its square."""

    suggestions: int
    taken: int
    taken_squared: int


@dataclass(frozen=True, slots=True)
class Uplift:
    """Items taken a suggestion, learned order against the pharmacist's, weighed over cestas."""

    learned: float
    kept: float
    difference: float
    low: float
    high: float
    """The difference's 95 % interval."""
    suggestions: int


def order(
    items: tuple[Item, ...], tallies: Mapping[str, Tally], suggestion: str, rule: OrderingRule
) -> tuple[tuple[Item, ...], Arm]:
    """`items` of one cesta, equally fitting, in the order in which this suggestion offers them, and whose it is.

    Thompson sampling: each item's acceptance is drawn from its Beta posterior (`tallies`: item id → counts of one
    client and cesta), the highest first. `suggestion` is any text that identifies the suggestion: the same one gives
    the same order. Permutes and nothing else: what may be offered is the safety gate's affair.
    """
    counts = [_plausible(tallies.get(item.id, Tally())) for item in items]
    shown, taken = sum(count.shown for count in counts), sum(count.taken for count in counts)
    if len(items) < 2 or shown < rule.least_shown:
        return items, ""
    chance = random.Random(hashlib.sha256(suggestion.encode()).digest())  # noqa: S311  reproducible on purpose
    if chance.random() < rule.kept_share:
        return items, "mantida"
    drawn = [
        chance.betavariate(*posterior(count.shown, count.taken, shown, taken, rule.prior_strength)) for count in counts
    ]
    ranked = sorted(range(len(items)), key=lambda place: -drawn[place])
    return tuple(items[place] for place in ranked), "aprendida"


def _plausible(tally: Tally) -> Tally:
    """Counters may report an outcome twice: no item is taken more often than it was shown."""
    return Tally(tally.shown, min(tally.shown, tally.taken))


def posterior(
    shown: NumberT, taken: NumberT, shown_in_cesta: NumberT, taken_in_cesta: NumberT, strength: float
) -> tuple[NumberT, NumberT]:
    """Parameters of an item's Beta posterior; its prior is worth `strength` showings at its cesta's smoothed mean.

    Arithmetic alone, so that arrays of counts can be given too. A cesta that was never shown is expected to have 1 in
    10 of its items taken.
    """
    mean = (taken_in_cesta + 1) / (shown_in_cesta + 10)
    return taken + strength * mean, shown - taken + strength * (1 - mean)  # type: ignore[return-value]


def uplift(cestas: Iterable[tuple[ArmCount, ArmCount]]) -> Uplift | None:
    """The learned order against the kept one, from (learned, kept) counts of each cesta; None without two of either.

    Cestas differ in how readily they are taken, and the learned order begins at a different time in each: they are
    compared within themselves, then averaged with Mantel and Haenszel's weights (n·m / (n + m)). Arms are drawn by a
    suggestion's hash, so neither can choose its customers, and with no effect the interval excludes 0 one time in 20.
    """
    pairs = [(one, other) for one, other in cestas if one.suggestions > 1 and other.suggestions > 1]
    weights = [a.suggestions * b.suggestions / (a.suggestions + b.suggestions) for a, b in pairs]
    whole = sum(weights)
    if not whole:
        return None
    shares = [weight / whole for weight in weights]
    learned = sum(share * a.taken / a.suggestions for share, (a, _) in zip(shares, pairs, strict=True))
    kept = sum(share * b.taken / b.suggestions for share, (_, b) in zip(shares, pairs, strict=True))
    variance = sum(
        share**2 * (_variance(a) / a.suggestions + _variance(b) / b.suggestions)
        for share, (a, b) in zip(shares, pairs, strict=True)
    )
    reach = Z_95 * math.sqrt(variance)
    count = sum(a.suggestions + b.suggestions for a, b in pairs)
    return Uplift(learned, kept, learned - kept, learned - kept - reach, learned - kept + reach, count)


def _variance(count: ArmCount) -> float:
    mean = count.taken / count.suggestions
    return max(0.0, count.taken_squared - count.suggestions * mean**2) / (count.suggestions - 1)
