"""`python -m bench.ordering`: what learning the order of items is worth on simulated customers."""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cestas.ordering import ArmCount, OrderingRule, posterior, uplift

BASKETS, ITEMS, OFFERED = 10, 6, 3
ACCEPTANCE = (0.02, 0.25)
REFRESH_SUGGESTIONS = 20
"""Outcomes reach the learner in batches, as a refresh once a minute does at a busy chain."""

Counts = NDArray[np.int64]


class Customers:
    """Many shops at once: each takes each offered item with a chance of its own, whatever stands beside it."""

    def __init__(self, chances: NDArray[np.float64], rule: OrderingRule, seed: int) -> None:
        self._chances, self._rule = chances, rule
        self._rng = np.random.default_rng(seed)
        shops = len(chances)
        self.shown = np.zeros((shops, BASKETS, ITEMS), np.int64)
        self.taken = np.zeros_like(self.shown)
        self._known = (self.shown.copy(), self.taken.copy())
        self.arms = np.zeros((shops, BASKETS, 2, 3), np.int64)
        """Suggestions, items taken, and its square, of the learned (0) and the kept (1) order."""
        self.lost = np.zeros((shops, 2))
        """Expected items not taken, against the best three: as offered, and in the pharmacist's order."""
        self._rows = np.arange(shops)

    def serve(self, suggestions: int) -> None:
        """That many suggestions in every shop, each of a basket drawn at random."""
        for number in range(suggestions):
            if number % REFRESH_SUGGESTIONS == 0:
                self._known = (self.shown.copy(), self.taken.copy())
            self._one(self._rng.integers(0, BASKETS, len(self._rows)))

    def _one(self, basket: Counts) -> None:
        rows, rng, chances = self._rows, self._rng, self._chances[self._rows, basket]
        shown, taken = self._known[0][rows, basket], self._known[1][rows, basket]
        of_cesta = shown.sum(1, keepdims=True), taken.sum(1, keepdims=True)
        on = of_cesta[0][:, 0] >= self._rule.least_shown
        learned = on & (rng.random(len(rows)) >= self._rule.kept_share)
        drawn = rng.beta(*posterior(shown, taken, *of_cesta, self._rule.prior_strength))
        drawn[~learned] = np.arange(ITEMS, 0, -1)
        offered = np.argsort(-drawn, axis=1)[:, :OFFERED]
        p = np.take_along_axis(chances, offered, 1)
        took = rng.random(p.shape) < p
        np.add.at(self.shown, (rows[:, None], basket[:, None], offered), 1)
        np.add.at(self.taken, (rows[:, None], basket[:, None], offered), took)
        count = took.sum(1)
        arm = np.where(learned, 0, 1)[on]
        self.arms[rows[on], basket[on], arm] += np.stack([np.ones_like(count), count, count**2], 1)[on]
        best = np.sort(chances, axis=1)[:, -OFFERED:].sum(1)
        self.lost += np.stack([best - p.sum(1), best - chances[:, :OFFERED].sum(1)], 1)

    def claims(self) -> float:
        """Share of shops of which an uplift would be claimed: its 95 % interval lies above 0."""
        found = [uplift((ArmCount(*a), ArmCount(*b)) for a, b in shop.tolist()) for shop in self.arms]
        return float(np.mean([one is not None and one.low > 0 for one in found]))


def simulate(shops: int, suggestions: int, rule: OrderingRule, seed: int) -> dict[str, Any]:
    """Regret against the fixed order where items differ, and claims of uplift where they do not."""
    rng = np.random.default_rng(seed)
    differing = Customers(rng.uniform(*ACCEPTANCE, (shops, BASKETS, ITEMS)), rule, seed + 1)
    differing.serve(suggestions)
    ratio = differing.lost[:, 0].sum() / differing.lost[:, 1].sum()
    each = differing.lost[:, 0] / differing.lost[:, 1]
    alike = Customers(np.repeat(rng.uniform(*ACCEPTANCE, (shops, BASKETS, 1)), ITEMS, axis=2), rule, seed + 2)
    alike.serve(suggestions)
    false = alike.claims()
    return {
        "shops": shops,
        "suggestions": suggestions,
        "rule": asdict(rule),
        "regret_over_fixed_order": round(float(ratio), 3),
        "regret_over_fixed_order_p10_p90": [round(float(q), 3) for q in np.quantile(each, (0.1, 0.9))],
        "uplift_claimed_where_there_is_some": round(differing.claims(), 3),
        "uplift_claimed_where_there_is_none": round(false, 4),
        "its_95_percent_interval": [round(q, 4) for q in _interval(false, shops)],
    }


def _interval(share: float, count: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval of a share."""
    middle, scale = share + z**2 / (2 * count), 1 + z**2 / count
    reach = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return (middle - reach) / scale, (middle + reach) / scale


def main() -> int:
    """Print the figures as JSON; with `--plot FILE`, draw regret and claims against the number of suggestions."""
    parser = argparse.ArgumentParser(prog="python -m bench.ordering", description=__doc__)
    parser.add_argument("--shops", type=int, default=1000)
    parser.add_argument("--suggestions", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    rule = OrderingRule()
    print(json.dumps(simulate(options.shops, options.suggestions, rule, options.seed), indent=1))
    if options.plot is not None:
        if importlib.util.find_spec("matplotlib") is None:
            print("matplotlib is not installed (requirements-bench.txt): no plot", file=sys.stderr)
            return 1
        _plot(options.plot, [simulate(200, n, rule, options.seed) for n in (250, 500, 1000, 2500, 5000, 10000)])
    return 0


def _plot(path: Path, points: list[dict[str, Any]]) -> None:
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 4))
    at = [point["suggestions"] for point in points]
    for name in ("regret_over_fixed_order", "uplift_claimed_where_there_is_some", "uplift_claimed_where_there_is_none"):
        axis.plot(at, [point[name] for point in points], marker="o", label=name.replace("_", " "))
    axis.set_xscale("log")
    axis.set_xlabel("suggestions of a client (ten cestas)")
    axis.axhline(0.05, color="grey", lw=0.8, ls=":")
    axis.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    sys.exit(main())
