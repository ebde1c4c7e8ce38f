"""The metrics port on Ray: figures go to the node's agent, which Prometheus scrapes."""

from __future__ import annotations

from typing import Any, Final

from ray.serve.metrics import Counter, Gauge, Histogram

BOUNDARIES_MS: Final = [1, 2, 5, 10, 25, 50, 75, 100, 150, 250, 400, 650, 1000, 1500, 2000, 3000, 5000, 10_000]


class RayMetrics:
    """Makes each Ray metric at its first use, so that it can be sent to a replica before Ray runs there.

    A name keeps the label names of its first use; a label that is missing later is empty, one that is new is left out:
    a wrongly labelled figure must never cost an utterance. Names are prefixed with `balto_`.
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

    def _metric(self, kind: Any, name: str, labels: dict[str, str], **options: Any) -> tuple[Any, dict[str, str]]:
        if name not in self._made:
            names = tuple(labels)
            metric = kind(f"balto_{name}", description=name.replace("_", " "), tag_keys=names, **options)
            self._made[name] = metric, names
        metric, names = self._made[name]
        return metric, {label: labels.get(label, "") for label in names}
