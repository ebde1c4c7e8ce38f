"""The port through which a stage counts and measures, so that no stage knows where the figures go."""

from __future__ import annotations

from typing import Protocol


class Metrics(Protocol):
    """Counters and timings under a fixed name; labels are few-valued (never a text, an id or a key)."""

    def count(self, name: str, value: float = 1.0, **labels: str) -> None:
        """Add `value` to the counter `name`."""

    def observe_ms(self, name: str, value_ms: float, **labels: str) -> None:
        """Put one duration in milliseconds into the histogram `name`."""

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Set the gauge `name`."""


class NoMetrics:
    """Measures nothing: for tests and command lines."""

    def count(self, name: str, value: float = 1.0, **labels: str) -> None:
        """Do nothing."""

    def observe_ms(self, name: str, value_ms: float, **labels: str) -> None:
        """Do nothing."""

    def gauge(self, name: str, value: float, **labels: str) -> None:
        """Do nothing."""
