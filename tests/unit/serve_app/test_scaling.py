"""How many replicas a stage gets: a stage of scripted service time, in simulated time."""

import itertools
import random
from collections import deque
from dataclasses import dataclass, field
from types import SimpleNamespace

from serve_app.scaling import SHARE, Reading, ScalingRule, ScalingState, StageLoad, by_waiting, decide

RULE = ScalingRule()
TARGET = 4.0


class Stage:
    """A queue before replicas that each work on one utterance at a time for `service_s`; they take seconds to start."""

    def __init__(self, service_s=0.45, budget_s=2.5, seed=1, start_s=6):
        self.service_s, self.budget_s, self.start_s = service_s, budget_s, start_s
        self.random = random.Random(seed)
        self.replicas, self.starting = 1, deque()
        self.busy_until, self.queue, self.delays = [0.0], deque(), []
        self.state, self.sizes = ScalingState(), []

    def run(self, begin_s, seconds, per_s, step_s=0.1):
        """`per_s` utterances a second for a while; a decision each half second, over Serve's look-back of 5 s."""
        for step in range(int(seconds / step_s)):  # 0.1 s: the service time is 0.45
            now_s = begin_s + step * step_s
            while self.starting and self.starting[0] <= now_s:
                self.starting.popleft()
                self.busy_until.append(now_s)
            if self.random.random() < per_s * step_s:
                self.queue.append(now_s)
            self._work(now_s)
            if step % 5 == 0:
                self._decide(now_s)

    def _work(self, now_s):
        for place, free_s in enumerate(self.busy_until):
            if free_s <= now_s and self.queue:
                came_s = self.queue.popleft()
                self.busy_until[place] = now_s + self.service_s
                self.delays.append((came_s, now_s + self.service_s - came_s))

    def _decide(self, now_s):
        lately = sorted(delay for came_s, delay in self.delays if came_s + delay > now_s - 5)
        waiting = [now_s - came_s for came_s in self.queue]
        all_waits = sorted([*lately, *waiting])
        share = all_waits[len(all_waits) * 9 // 10] / self.budget_s if all_waits else 0.0
        at_once = len(self.queue) + sum(free_s > now_s for free_s in self.busy_until)
        wanted, self.state = decide(
            RULE, Reading(self.replicas, at_once, share, TARGET, len(self.busy_until)), self.state, now_s
        )
        wanted = min(max(wanted, 1), 8)
        for _ in range(wanted - self.replicas):
            self.starting.append(now_s + self.start_s)
        for _ in range(self.replicas - wanted):
            self.busy_until.pop() if len(self.busy_until) > 1 else None
        if wanted != self.replicas:
            self.sizes.append((now_s, wanted))
        self.replicas = wanted

    def p95(self, begin_s, end_s):
        delays = sorted(delay for came_s, delay in self.delays if begin_s <= came_s < end_s)
        return delays[len(delays) * 95 // 100]


def test_a_step_from_5_to_60_counters_and_back_is_followed_without_flapping():
    stage = Stage()
    stage.run(0, 120, per_s=5 * 0.11)
    normal = stage.p95(0, 120)
    assert stage.sizes == []
    stage.run(120, 300, per_s=60 * 0.11)
    assert stage.replicas >= 3
    assert stage.p95(180, 420) <= 1.5 * normal
    stage.run(420, 1050, per_s=5 * 0.11)
    sizes = [size for _, size in stage.sizes]
    top = sizes.index(max(sizes))
    assert sizes[: top + 1] == sorted(sizes[: top + 1])
    assert sizes[top:] == sorted(sizes[top:], reverse=True)
    assert stage.replicas == 1
    apart_s = [later - earlier for (earlier, _), (later, _) in itertools.pairwise(stage.sizes[top:])]
    assert min(apart_s) >= RULE.down_s - 1


def test_it_grows_within_seconds_and_not_for_one_reading():
    crowd = Reading(1, 12, 1.2, TARGET, 1)
    replicas, state = decide(RULE, crowd, ScalingState(), 0.0)
    assert replicas == 1
    replicas, state = decide(RULE, crowd, state, RULE.up_s)
    assert replicas == 3
    replicas, _ = decide(RULE, Reading(3, 60, 1.2, TARGET, 3), state, RULE.up_s + 1)
    assert replicas == 3


def test_a_round_asks_for_as_many_as_those_that_it_began_with_allow():
    state = ScalingState(grown_at_s=0.0, grown_from=1, needed_since_s=0.0)
    for running in (1, 2):
        assert decide(RULE, Reading(2, 60, 3.0, TARGET, running), state, 2.0)[0] == 3
        assert decide(RULE, Reading(3, 60, 3.0, TARGET, running), state, 2.0)[0] == 3


def test_what_waits_while_new_replicas_start_asks_for_no_more_of_them():
    state = ScalingState(grown_at_s=0.0, grown_from=2)
    for second in range(1, 40):
        replicas, state = decide(RULE, Reading(6, 60, 3.0, TARGET, 2), state, float(second))
        assert replicas == 6
    for second in range(40, 48):
        replicas, state = decide(RULE, Reading(6, 60, 3.0, TARGET, 6), state, float(second))
        assert replicas == 6
    grown, state = decide(RULE, Reading(6, 60, 3.0, TARGET, 6), state, 50.0)
    later, _ = decide(RULE, Reading(6, 60, 3.0, TARGET, 6), state, 51.0)
    assert (grown, later) == (6, 18)


def test_replicas_that_start_slowly_are_no_reason_to_grow_beyond_the_need():
    slow, quick = Stage(start_s=25), Stage(start_s=6)
    for stage in (slow, quick):
        stage.run(0, 60, per_s=5 * 0.11)
        stage.run(60, 200, per_s=60 * 0.11)
        assert stage.p95(220, 260) <= 1.5 * stage.p95(0, 60)
    assert max(size for at_s, size in slow.sizes if at_s < 60 + slow.start_s) == 3


def test_a_peak_is_no_crowd():
    state = ScalingState()
    for second in range(60):
        replicas, state = decide(RULE, Reading(6, 6 * TARGET * 1.2, 0.3, TARGET, 6), state, float(second))
        assert replicas == 6
    crowd = Reading(6, 6 * TARGET * 1.3, 0.3, TARGET, 6)
    _, state = decide(RULE, crowd, state, 60.0)
    assert decide(RULE, crowd, state, 61.0)[0] == 8


def test_a_slow_provider_keeps_no_replica():
    state, replicas, sizes = ScalingState(), 4, []
    for second in range(600):
        replicas, state = decide(RULE, Reading(replicas, 1, 0.4, 32, replicas), state, float(second))
        sizes.append(replicas)
    assert replicas == 1
    assert sizes == sorted(sizes, reverse=True)


def test_a_slow_provider_is_no_reason_to_grow():
    state = ScalingState()
    for second in range(60):
        replicas, state = decide(RULE, Reading(2, 2, 0.9, 32, 2), state, float(second))
        assert replicas == 2


def test_it_does_not_shrink_to_a_size_that_would_grow_again():
    state = ScalingState()
    for second in range(600):
        replicas, state = decide(RULE, Reading(3, TARGET * 1.5, 0.1, TARGET, 3), state, float(second))
        assert replicas == 3


def sizes_with_peaks_each_minute(of_s, at_once_then=TARGET * 0.7):
    state, replicas, sizes = ScalingState(), 2, []
    for second in range(600):
        at_once = at_once_then if second % 60 < of_s else 1.0
        replicas, state = decide(RULE, Reading(replicas, at_once, 0.1, TARGET, replicas), state, float(second))
        sizes.append(replicas)
    return sizes


def test_a_peak_now_and_then_keeps_no_replica_and_a_busy_stretch_does():
    assert sizes_with_peaks_each_minute(RULE.peak_s / 2)[-1] == 1
    assert set(sizes_with_peaks_each_minute(RULE.peak_s * 1.5)) == {2}
    assert sizes_with_peaks_each_minute(RULE.up_s, at_once_then=TARGET * 3)[-1] == 1  # too short to grow for


def test_a_replica_tells_how_much_of_their_time_its_utterances_spend_in_it():
    now = [0.0]
    load = StageLoad(clock=lambda: now[0])
    assert load.figures() == {SHARE: 0.0}
    for _ in range(10):
        number = load.came(budget_s=2.0)
        now[0] += 0.5
        load.went(number)
    assert load.figures()[SHARE] == 0.25
    load.came(budget_s=2.0)
    now[0] += 4.0
    assert load.figures()[SHARE] > 0.25
    now[0] += 10.0
    assert load.figures()[SHARE] == 7.0


@dataclass
class FakeContext:
    """What Serve's controller gives to a policy."""

    target_num_replicas: int = 1
    current_num_replicas: int = 1
    current_time: float | None = 0.0
    policy_state: dict = field(default_factory=dict)
    config: object = field(default_factory=lambda: SimpleNamespace(target_ongoing_requests=4))
    total_num_requests: float = 12.0
    aggregated_metrics: dict = field(default_factory=lambda: {SHARE: {"a": 0.1, "b": 1.4}})


def test_serves_controller_gets_the_decision_and_brings_back_what_is_to_be_remembered():
    ctx = FakeContext()
    first, ctx.policy_state = by_waiting(ctx)
    ctx.current_time = RULE.up_s
    second, state = by_waiting(ctx)
    assert (first, second) == (1, 3)
    assert state["grown_at_s"] == RULE.up_s
    assert by_waiting(FakeContext(total_num_requests=0.0, aggregated_metrics={}))[0] == 1
