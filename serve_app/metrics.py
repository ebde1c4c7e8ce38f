"""The metrics port on Ray: figures go to the node's agent, which Prometheus scrapes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final

from ray.serve.metrics import Counter, Gauge, Histogram

from deployments.metrics_list import METRICS

BOUNDARIES_MS: Final = [1, 2, 5, 10, 25, 50, 75, 100, 150, 250, 400, 650, 1000, 1500, 2000, 3000, 5000, 10_000]


_again: Final[dict[tuple[str, tuple[tuple[str, str], ...]], Callable[[], None]]] = {}
"""What sets each gauge of this process to its latest value."""


def repeat_gauges() -> None:
    """Set every gauge of this process again: Ray forgets one that is not set within some 20 s."""
    for again in list(_again.values()):
        again()


class RayMetrics:
    """Makes each Ray metric at its first use, so that it can be sent to a replica before Ray runs there.

    A name has the labels that METRICS gives it (one that is not there, those of its first use); a label that is missing
    is empty, another one is left out: a wrongly labelled figure must never cost an utterance. Names are prefixed with
    `balto_`.
    """

    def __init__(self) -> None:
        self._made: dict[str, tuple[Any, tuple[str, ...]]] = {}

    def count(self, name: str, value: float = 1.0, **labels: str) -> None:
        """Add to a counter."""
        if value > 0:
            metric, tags = self._metric(Counter, name, labels)
            metric.inc(value, tags=tags)

    def observe_ms(self, name: str, value_ms: float, **labels: str) -> None:
        """Put a duration in milliseconds into a histogram."""
        metric, tags = self._metric(Histogram, name, labels, boundaries=BOUNDARIES_MS)
        metric.observe(value_ms, tags=tags)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        metric, tags = self._metric(Gauge, name, labels)
        metric.set(value, tags=tags)
        _again[name, tuple(tags.items())] = functools.partial(metric.set, value, tags=tags)

    def _metric(self, kind: Any, name: str, labels: dict[str, str], **options: Any) -> tuple[Any, dict[str, str]]:
        if name not in self._made:
            known = METRICS.get(name)
            names = tuple(labels) if known is None else known.labels
            description = name.replace("_", " ") if known is None else known.meaning
            metric = kind(f"balto_{name}", description=description, tag_keys=names, **options)
            self._made[name] = metric, names
        metric, names = self._made[name]
        return metric, {label: labels.get(label, "") for label in names}
