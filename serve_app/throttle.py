"""How often something may be tried: failures counted by name over a sliding window, in bounded memory."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `count` within `window_s` seconds under one name; at most `names_max` names are remembered."""

    count: int
    window_s: float
    names_max: int = 10_000


@dataclass(slots=True)
class Throttle:
    """Counts under names; pure: the time in seconds, on any clock that does not run back, is given."""

    limit: Limit
    _tries: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)

    def wait_s(self, name: str, now_s: float) -> float:
        """Seconds until `name` may try again; 0: now."""
        tries = self._recent(name, now_s)
        return 0.0 if tries is None or len(tries) < self.limit.count else tries[0] + self.limit.window_s - now_s

    def count(self, name: str, now_s: float) -> None:
        """Count one try of `name`. Where too many names are known, the one that tried longest ago is forgotten."""
        tries = self._tries.setdefault(name, deque(maxlen=self.limit.count))
        tries.append(now_s)
        self._tries.move_to_end(name)
        while len(self._tries) > self.limit.names_max:
            self._tries.popitem(last=False)

    def take_back(self, name: str) -> None:
        """The last try of `name` does not count after all."""
        tries = self._tries.get(name)
        if tries:
            tries.pop()

    def forgive(self, name: str) -> None:
        """Forget what `name` has tried."""
        self._tries.pop(name, None)

    def _recent(self, name: str, now_s: float) -> deque[float] | None:
        tries = self._tries.get(name)
        while tries and now_s - tries[0] >= self.limit.window_s:
            tries.popleft()
        if tries is not None and not tries:
            del self._tries[name]
        return tries or None
