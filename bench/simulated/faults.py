"""What a simulated provider does to a request, and what it remembers of it: latency, a share of faults, a ledger."""

from __future__ import annotations

import math
import random
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from bench.simulated.server import Fault

KEPT_ENTRIES = 20_000
"""Entries that a ledger keeps for looking at; its sums go on."""

P99 = 2.326348
"""The standard normal's 99th percentile."""

StepT = TypeVar("StepT")

Outcome = Literal["open", "answered", "failed", "abandoned"]
"""open: not answered yet; answered: got a right answer; failed: met a fault; abandoned: the client hung up first."""

BILLED: frozenset[Outcome] = frozenset({"answered", "abandoned"})
"""What a provider bills unless a bench says otherwise: what it answered, and what was sent and then given up."""


class Latency:
    """How long a provider thinks, in milliseconds: always `median_ms`, or lognormal with the given 99th percentile.

    The same `seed` gives the same row of latencies: runs that are compared use one.
    """

    def __init__(self, median_ms: float = 0.0, p99_ms: float | None = None, seed: int = 0) -> None:
        if median_ms < 0 or (p99_ms is not None and not 0 < median_ms <= p99_ms):
            raise ValueError("latency: 0 < median_ms <= p99_ms, please")
        self.median_ms = median_ms
        self._sigma = 0.0 if p99_ms is None else math.log(p99_ms / median_ms) / P99
        self._random = random.Random(seed)

    def next_s(self) -> float:
        """The next request's latency in seconds."""
        if not self._sigma:
            return self.median_ms / 1e3
        return self.median_ms / 1e3 * math.exp(self._sigma * self._random.gauss(0, 1))


class FaultShare:
    """Lets a random `share` (0–1) of the requests meet one of `faults`, each as likely as another, by `seed`."""

    def __init__(self, share: float, faults: Sequence[Fault] = tuple(Fault), seed: int = 0) -> None:
        if not 0 <= share <= 1 or not faults:
            raise ValueError("faults: a share between 0 and 1, and at least one fault, please")
        self._share = share
        self._faults = tuple(faults)
        self._random = random.Random(seed)

    def next(self) -> Fault | None:
        """What the next request meets; None for nothing."""
        return self._random.choice(self._faults) if self._random.random() < self._share else None


class Steps(Generic[StepT]):
    """What each request meets: `script` one by one, then `fault` every `every`-th time, then a share; else None."""

    def __init__(
        self,
        script: Iterable[StepT],
        fault: Fault | None = None,
        every: int = 0,
        share: FaultShare | None = None,
    ) -> None:
        self._script = deque(script)
        self._fault = fault
        self._every = every
        self._share = share
        self._asked = 0

    def next(self) -> StepT | Fault | None:
        """The next request's step."""
        self._asked += 1
        if self._script:
            return self._script.popleft()
        if self._every and self._asked % self._every == 0:
            return self._fault
        return self._share.next() if self._share else None


@dataclass(slots=True)
class Entry:
    """One request as the provider's bill would see it. `audio_s` and `bytes` are of the audio received."""

    provider: str
    audio_s: float = 0.0
    bytes: int = 0
    keyterms: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    outcome: Outcome = "open"


@dataclass
class Ledger:
    """What simulated providers received, entry by entry; several servers may share one."""

    entries: deque[Entry] = field(default_factory=lambda: deque(maxlen=KEPT_ENTRIES))

    def received(self, provider: str, *, audio_s: float = 0.0, size: int = 0, keyterms: int = 0) -> Entry:
        """A new, open entry; the server sets its outcome and its tokens."""
        entry = Entry(provider, audio_s=audio_s, bytes=size, keyterms=keyterms)
        self.entries.append(entry)
        return entry

    def of(self, provider: str | None = None, outcomes: Iterable[Outcome] = BILLED) -> list[Entry]:
        """Entries of one provider, or of all, that ended so."""
        wanted = frozenset(outcomes)
        return [e for e in self.entries if e.outcome in wanted and provider in (None, e.provider)]

    def outcomes(self, provider: str | None = None) -> Mapping[str, int]:
        """How many requests ended how."""
        return Counter(e.outcome for e in self.entries if provider in (None, e.provider))

    def audio_usd(
        self,
        provider: str,
        usd_per_hour: float,
        keyterms_usd_per_hour: float = 0.0,
        outcomes: Iterable[Outcome] = BILLED,
    ) -> float:
        """The bill for audio by the second; the surcharge is for requests with at least one keyterm."""
        return math.fsum(
            e.audio_s / 3600 * (usd_per_hour + bool(e.keyterms) * keyterms_usd_per_hour)
            for e in self.of(provider, outcomes)
        )

    def tokens_usd(
        self, provider: str, usd_per_million_in: float, usd_per_million_out: float, outcomes: Iterable[Outcome] = BILLED
    ) -> float:
        """The bill for tokens."""
        return math.fsum(
            (e.tokens_in * usd_per_million_in + e.tokens_out * usd_per_million_out) / 1e6
            for e in self.of(provider, outcomes)
        )
