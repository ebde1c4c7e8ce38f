"""How long a provider's latest answers took: quantiles over a bounded window."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque


class RecentLatency:
    """The latest `samples` durations not older than `horizon_s`, kept in order: a quantile is a look-up.

    A call that was given up after `t` seconds belongs in here with `t`, its lower bound: leaving it out would make the
    quantiles too small, and hedging feed on itself.
    """

    def __init__(self, samples: int, horizon_s: float) -> None:
        self._samples = samples
        self._horizon_s = horizon_s
        self._seen: deque[tuple[float, float]] = deque()
        self._ordered: list[float] = []

    def add(self, elapsed_s: float, now_s: float) -> None:
        """Note a duration that ended at `now_s` (any clock that only goes forward)."""
        if len(self._seen) >= self._samples:
            self._forget_oldest()
        self._seen.append((now_s, elapsed_s))
        insort(self._ordered, elapsed_s)

    def quantile(self, q: float, now_s: float, samples_min: int = 1) -> float | None:
        """The `q` quantile (0..1) in seconds, None with fewer than `samples_min` durations."""
        while self._seen and now_s - self._seen[0][0] > self._horizon_s:
            self._forget_oldest()
        if not self._seen or len(self._seen) < samples_min:
            return None
        return self._ordered[min(len(self._ordered) - 1, int(q * len(self._ordered)))]

    def __len__(self) -> int:
        return len(self._seen)

    def _forget_oldest(self) -> None:
        _, elapsed_s = self._seen.popleft()
        del self._ordered[bisect_left(self._ordered, elapsed_s)]
