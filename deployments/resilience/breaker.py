"""A circuit breaker: leaves a provider alone once it fails, probes it one call at a time, and learns from others.

closed     every call is let through
open       none is, until `open_until`
half_open  one probe at a time is: its success closes the breaker, its failure opens it again
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import Final, Literal

from deployments.resilience.gossip import ProviderState
from deployments.resilience.settings import BreakerSettings

FailureKind = Literal["unavailable", "timeout", "stalled", "throttled", "refused", "rejected"]
"""unavailable: network, 5xx, garbage; timeout: no answer in time; stalled: an answer that began and went silent;
throttled: 429; refused: the key is; rejected: this request was (another 4xx), which a retired model does to all."""

BreakerState = Literal["closed", "open", "half_open"]

WINDOW_CALLS: Final = 100
_LATE: Final = "late"
_THROTTLED: Final = "throttled"
_SMALLEST_STEP_S: Final = 1e-3
"""By how much a change of our own is newer than what was heard from a replica whose clock is ahead."""


@dataclass(frozen=True, slots=True, eq=False)
class Permit:
    """Leave to make one call; given back to the breaker with what became of it."""

    probe: bool
    begun_unix_s: float


class Breaker:
    """One provider's breaker in one replica. Every instant is in seconds since the epoch, as replicas share them.

    A permit ends in exactly one of `succeeded`, `failed` and `abandoned` (cancelled: says nothing of the provider).
    """

    def __init__(self, provider: str, settings: BreakerSettings) -> None:
        self.provider = provider
        self.errors: Counter[str] = Counter()
        """Failures by kind since the start."""
        self.openings = 0
        """How often this replica itself opened the breaker."""
        self._settings = settings
        self._window: deque[tuple[float, bool]] = deque(maxlen=WINDOW_CALLS)
        self._in_a_row = 0
        self._late = 0
        self._last_success_unix_s = 0.0
        self._failed_begun_unix_s = 0.0
        self._open_until_unix_s = 0.0
        self._changed_unix_s = 0.0
        self._kind = ""
        self._own = False
        self._probe: Permit | None = None
        self._in_flight: set[Permit] = set()

    @property
    def kind(self) -> str:
        """The failure that opened it; empty when closed."""
        return self._kind

    def state(self, now_unix_s: float) -> BreakerState:
        """Whether calls are let through at `now_unix_s`."""
        self._refresh(now_unix_s)
        if not self._kind:
            return "closed"
        return "half_open" if self._probe or now_unix_s >= self._open_until_unix_s else "open"

    def probe_in_s(self, now_unix_s: float) -> float:
        """Seconds until the next probe may go; 0 when it may now, and when the breaker is closed."""
        self._refresh(now_unix_s)
        return max(0.0, self._open_until_unix_s - now_unix_s) if self._kind else 0.0

    def enter(self, now_unix_s: float, *, alternative: bool = False) -> Permit | None:
        """Leave to call the provider, as a probe where its return is to be noticed; None: leave it alone.

        Where there is an `alternative`, a provider under suspicion (it failed or was late, and has answered nobody
        since) gets no more calls at once than may fail before the breaker opens: the rest need not find out too.
        """
        state = self.state(now_unix_s)
        if state == "closed":
            suspected = self._in_a_row or self._late
            if alternative and suspected and self._in_a_row + self.in_flight >= self._settings.failures_in_a_row:
                return None
            permit = Permit(probe=False, begun_unix_s=now_unix_s)
            self._in_flight.add(permit)
            return permit
        if state == "open" or self._probe is not None:
            return None
        self._probe = Permit(probe=True, begun_unix_s=now_unix_s)
        return self._probe

    @property
    def in_flight(self) -> int:
        """Calls whose end is not known yet, the probe left out."""
        return len(self._in_flight)

    def succeeded(self, permit: Permit, now_unix_s: float) -> None:
        """The provider answered. An answer to a call that is older than the one that failed says nothing of now."""
        self._in_flight.discard(permit)
        if permit.probe and permit is self._probe:
            self._close(now_unix_s)
        if not self._kind:
            self._last_success_unix_s = now_unix_s
            if permit.begun_unix_s >= self._failed_begun_unix_s:
                self._in_a_row = self._late = 0
            self._window.append((now_unix_s, False))

    def failed(self, permit: Permit, kind: FailureKind, now_unix_s: float, retry_after_s: float = 0.0) -> None:
        """The provider failed in this way; `retry_after_s` is how long it asks to be left alone, 0 if it does not.

        Whatever the failure, a pause that it asks for is kept, up to `throttled_open_max_s`.
        """
        self._in_flight.discard(permit)
        self.errors[kind] += 1
        probing = permit is self._probe
        if probing:
            self._probe = None
        if kind == "throttled" or retry_after_s > 0:
            asked_s = retry_after_s or self._settings.throttled_open_s
            self._open(_THROTTLED, min(asked_s, self._settings.throttled_open_max_s), now_unix_s)
        elif kind == "refused":
            self._open(kind, self._settings.refused_open_s, now_unix_s)
        elif probing:
            self._open(kind, self._settings.probe_every_s, now_unix_s)
        elif not self._kind:
            self._in_a_row += 1
            self._failed_begun_unix_s = max(self._failed_begun_unix_s, permit.begun_unix_s)
            self._window.append((now_unix_s, True))
            if self._in_a_row >= self._settings.failures_in_a_row or self._too_many(now_unix_s):
                self._open(kind, self._settings.probe_every_s, now_unix_s)

    def late(self, permit: Permit, now_unix_s: float) -> None:
        """A call is slower than the provider's usual; it goes on. Counts if nobody was answered since it began."""
        if self._kind or permit.probe or self._last_success_unix_s >= permit.begun_unix_s:
            return
        self._late += 1
        if self._late >= self._settings.late_in_a_row:
            self._open(_LATE, self._settings.probe_every_s, now_unix_s)

    def abandoned(self, permit: Permit) -> None:
        """The call was cancelled by whoever made it: that says nothing, and the next may probe."""
        self._in_flight.discard(permit)
        if permit is self._probe:
            self._probe = None

    def known(self) -> ProviderState:
        """What to tell other replicas."""
        until = self._open_until_unix_s if self._kind else 0.0
        return ProviderState(self.provider, until, self._changed_unix_s, self._kind)

    def adopt(self, state: ProviderState, now_unix_s: float) -> None:
        """Learn from another replica, if it knows something newer.

        Where this replica itself found the provider dead, another's good news only makes it probe at once: what is
        broken may be this replica's own way to the provider.
        """
        if state.provider != self.provider or state.changed_unix_s <= self._changed_unix_s:
            return
        self._changed_unix_s = state.changed_unix_s
        if state.open_until_unix_s > 0:
            self._kind, self._own = state.kind or "unavailable", False
            self._open_until_unix_s = min(state.open_until_unix_s, now_unix_s + self._settings.longest_open_s)
        elif self._kind and self._own:
            self._open_until_unix_s = now_unix_s
        else:
            self._forget()

    def _refresh(self, now_unix_s: float) -> None:
        """A pause that the provider asked for ends by itself; a probe of which nothing was heard is given up."""
        if self._kind == _THROTTLED and now_unix_s >= self._open_until_unix_s:
            self._close(now_unix_s)
        if self._open_until_unix_s - now_unix_s > self._settings.longest_open_s:  # the clock was set back
            self._open_until_unix_s = now_unix_s
        if self._probe and now_unix_s - self._probe.begun_unix_s > self._settings.probe_lease_s:
            self._probe = None

    def _too_many(self, now_unix_s: float) -> bool:
        while self._window and now_unix_s - self._window[0][0] > self._settings.window_s:
            self._window.popleft()
        failed = sum(was_failure for _, was_failure in self._window)
        enough = len(self._window) >= self._settings.window_calls_min
        return enough and failed >= self._settings.failure_share * len(self._window)

    def _open(self, kind: str, for_s: float, now_unix_s: float) -> None:
        self.openings += not self._kind
        self._kind, self._own = kind, True
        self._open_until_unix_s = max(self._open_until_unix_s, now_unix_s + for_s)
        self._changed(now_unix_s)

    def _close(self, now_unix_s: float) -> None:
        self._forget()
        self._changed(now_unix_s)

    def _forget(self) -> None:
        self._kind, self._open_until_unix_s, self._probe = "", 0.0, None
        self._in_a_row = self._late = 0
        self._window.clear()

    def _changed(self, now_unix_s: float) -> None:
        self._changed_unix_s = max(now_unix_s, self._changed_unix_s + _SMALLEST_STEP_S)
