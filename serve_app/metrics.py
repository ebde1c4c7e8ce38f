"""The metrics port on Ray: figures go to the node's agent, which Prometheus scrapes."""

from __future__ import annotations

from typing import Any, Final

from ray.serve.metrics import Counter, Gauge, Histogram

BOUNDARIES_MS: Final = [1, 2, 5, 10, 25, 50, 75, 100, 150, 250, 400, 650, 1000, 1500, 2000, 3000, 5000, 10_000]


class RayMetrics:
    """Makes each Ray metric at its first use, so that it can be sent to a replica before Ray runs there.

    A name keeps the label names of its first use; names are prefixed with `balto_`.
    """

    def __init__(self) -> None:
        self._made: dict[str, Any] = {}

    def count(self, name: str, value: float = 1.0, **labels: str) -> None:
        """Add to a counter."""
        if value > 0:
            self._metric(Counter, name, labels).inc(value, tags=labels)

    def observe_ms(self, name: str, value_ms: float, **labels: str) -> None:
        """Put a duration in milliseconds into a histogram."""
        self._metric(Histogram, name, labels, boundaries=BOUNDARIES_MS).observe(value_ms, tags=labels)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        self._metric(Gauge, name, labels).set(value, tags=labels)

    def _metric(self, kind: Any, name: str, labels: dict[str, str], **options: Any) -> Any:
        metric = self._made.get(name)
        if metric is None:
            metric = kind(f"balto_{name}", description=name.replace("_", " "), tag_keys=tuple(labels), **options)
            self._made[name] = metric
        return metric
