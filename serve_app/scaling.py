"""How many replicas a stage needs: by the share of its utterances' time that goes by in it; pure.

Ray Serve's controller calls `by_waiting` once per control loop and deployment; each replica tells its figures through
`record_autoscaling_stats` (see `StageLoad`). Named in serve_config.yaml under `autoscaling_config.policy`.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

WINDOW_S: Final = 5.0
"""What a replica tells is about its last seconds."""
CALLS_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class ScalingRule:
    """When a stage grows and shrinks."""

    share_high: float = 0.5
    """Of the time that its utterances had left when they came, nine in ten spend no more than this in the stage; beyond
    it the stage grows. 3 s of deadline, a third of it for each of three stages, and some to spare."""
    grow_max: float = 3.0
    """At most so many times as many replicas in one round."""
    crowded: float = 1.25
    """So many times as many at once as the running replicas are made for are a crowd. Fewer are a peak: to start a
    replica for it costs those that run more than the peak does."""
    room: float = 0.6
    """A smaller stage must be filled to no more than this share of its target: or it would grow again at once."""
    up_s: float = 1.0
    """How long the need must last before the stage grows: one reading may be an accident."""
    down_s: float = 120.0
    """How long it must have been too large before it shrinks by one replica."""
    peak_s: float = 10.0
    """A peak that is over sooner does not begin `down_s` anew: a handful of counters speak at once now and then."""
    settle_s: float = 10.0
    """A round ends so long after all of its replicas run: they work off what waited, which asks for no more."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What is known of a stage at one instant. `target` utterances at once are what one replica is made for."""

    replicas: int
    at_once: float
    """Utterances in the stage and waiting for it, over all replicas."""
    share: float
    """0…: of the time left when they came, what nine in ten utterances spent in the stage lately."""
    target: float
    running: int
    """Of the replicas, those that have started; on a busy machine that takes half a minute."""


@dataclass(frozen=True, slots=True)
class ScalingState:
    """What is remembered from reading to reading; seconds of one clock, None: not so now."""

    needed_since_s: float | None = None
    spare_since_s: float | None = None
    busy_since_s: float | None = None
    """Since when a smaller stage would be busy again."""
    grown_at_s: float | None = None
    """When it last grew, or last waited for replicas to start: what has grown since `grown_from` is one round."""
    grown_from: int | None = None
    """How many replicas ran when the round began."""


def decide(rule: ScalingRule, reading: Reading, state: ScalingState, now_s: float) -> tuple[int, ScalingState]:
    """How many replicas from now on, and what to remember. Grows by need, within seconds; shrinks one by one."""
    replicas = max(1, reading.replicas)
    running = min(max(1, reading.running), replicas)
    if state.grown_at_s is not None and running < replicas:
        state = replace(state, grown_at_s=now_s)
    begun_with = running
    if state.grown_at_s is not None and now_s - state.grown_at_s < rule.settle_s:
        begun_with = state.grown_from or running
    spare = _has_spare(rule, reading, replicas)
    seen = _remembered(rule, state, now_s, spare=spare)
    needed = min(_needed(rule, reading, running), math.ceil(begun_with * rule.grow_max))
    if needed > replicas:
        since_s = now_s if state.needed_since_s is None else state.needed_since_s
        if now_s - since_s < rule.up_s:
            return replicas, replace(seen, needed_since_s=since_s)
        return needed, ScalingState(grown_at_s=now_s, grown_from=begun_with)
    if not spare or seen.spare_since_s is None or now_s - seen.spare_since_s < rule.down_s:
        return replicas, seen
    return replicas - 1, ScalingState(spare_since_s=now_s)


def _remembered(rule: ScalingRule, state: ScalingState, now_s: float, *, spare: bool) -> ScalingState:
    """What to remember where nothing is decided: since when it has been too large, short peaks or not; no need."""
    if spare:
        spare_s = now_s if state.spare_since_s is None else state.spare_since_s
        return replace(state, needed_since_s=None, spare_since_s=spare_s, busy_since_s=None)
    busy_s = now_s if state.busy_since_s is None else state.busy_since_s
    kept_s = state.spare_since_s if now_s - busy_s < rule.peak_s else None
    return replace(state, needed_since_s=None, spare_since_s=kept_s, busy_since_s=busy_s)


def _needed(rule: ScalingRule, reading: Reading, running: int) -> int:
    """By how many are there at once, and, where they wait too long, by how much too long it is."""
    crowd = reading.at_once > reading.target * rule.crowded * running
    by_count = math.ceil(reading.at_once / reading.target) if crowd else 0
    by_waiting = math.ceil(running * reading.share / rule.share_high) if reading.share > rule.share_high else 0
    busy = reading.at_once > reading.target * rule.room * running  # else its provider is slow, not the stage
    return max(by_count, by_waiting if busy else 0)


def _has_spare(rule: ScalingRule, reading: Reading, replicas: int) -> bool:
    """Whether a stage of one replica less would not be busy; a provider that is slow keeps no replica."""
    smaller_is_busy = reading.at_once > reading.target * rule.room * (replicas - 1)
    return replicas > 1 and reading.share <= rule.share_high and not smaller_is_busy


@dataclass(slots=True)
class StageLoad:
    """One replica's figures: fed with every utterance, asked by Serve. Monotonic seconds of `clock`."""

    clock: Callable[[], float] = time.monotonic
    _calls: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=CALLS_MAX))
    _begun: dict[int, tuple[float, float]] = field(default_factory=dict)
    _number: int = 0

    def came(self, budget_s: float) -> int:
        """An utterance has come with so much of its time left; its number."""
        self._number += 1
        self._begun[self._number] = (self.clock(), max(budget_s, 0.001))
        return self._number

    def went(self, number: int) -> None:
        """The utterance of this number has been answered, or given up."""
        begun_s, budget_s = self._begun.pop(number)
        now_s = self.clock()
        self._calls.append((now_s, (now_s - begun_s) / budget_s))

    def figures(self) -> dict[str, float]:
        """`parcela_da_espera`: see Reading.share. Who is still waiting counts with the wait so far."""
        now_s = self.clock()
        while self._calls and now_s - self._calls[0][0] > WINDOW_S:
            self._calls.popleft()
        done = [share for _, share in self._calls]
        under_way = [(now_s - begun_s) / budget_s for begun_s, budget_s in self._begun.values()]
        shares = sorted([*done, *(share for share in under_way if not done or share > min(done))])
        share = shares[min(len(shares) - 1, len(shares) * 9 // 10)] if shares else 0.0
        return {SHARE: share}


SHARE: Final = "parcela_da_espera"


class Context(Protocol):
    """What `by_waiting` reads of Ray Serve's AutoscalingContext."""

    target_num_replicas: int
    current_num_replicas: int
    current_time: float | None
    """Unix seconds."""
    policy_state: dict[str, Any]
    config: Any

    @property
    def total_num_requests(self) -> float:
        """Running and queued, over all replicas."""

    @property
    def aggregated_metrics(self) -> Mapping[str, Mapping[Any, float]] | None:
        """Figure → replica → its mean over the look-back period."""


def by_waiting(ctx: Context) -> tuple[int, dict[str, Any]]:
    """The policy for `autoscaling_config.policy.policy_function`: see `decide`.

    `target_ongoing_requests` is a replica's target. Bounds, `upscale_delay_s` and `downscale_delay_s` are Serve's and
    come on top: the delays are 0 in serve_config.yaml, since the rule has its own.
    """
    now_s = time.time() if ctx.current_time is None else ctx.current_time
    target = float(ctx.config.target_ongoing_requests) if ctx.config is not None else 1.0
    share = _worst(ctx.aggregated_metrics)
    reading = Reading(ctx.target_num_replicas, ctx.total_num_requests, share, target, ctx.current_num_replicas)
    state = ScalingState(**{name: ctx.policy_state.get(name) for name in _STATE})
    replicas, state = decide(ScalingRule(), reading, state, now_s)
    return replicas, {name: getattr(state, name) for name in _STATE}


def _worst(metrics: Mapping[str, Mapping[Any, float]] | None) -> float:
    return max((metrics or {}).get(SHARE, {}).values(), default=0.0)


_STATE: Final = ("needed_since_s", "spare_since_s", "busy_since_s", "grown_at_s", "grown_from")
