"""Twenty counters speaking to two replicas in virtual time while providers die and come back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.providers.crowd import Crowd, Spoken, told
from bench.providers.hedging import lognormal
from bench.providers.scripted import Scripted, Step
from bench.providers.soak import in_virtual_time
from bench.providers.virtual import VirtualLoop, run
from deployments.speech_to_text.port import SttUnavailable
from deployments.speech_to_text.providers import Plan
from deployments.speech_to_text.settings import SpeechToTextSettings
from deployments.speech_to_text.stage import SpeechToText

HEALTHY_S = 45.0
DEAD_S = 60.0
DOWN = Step(SttUnavailable("503"), 0.02)
HANGS = Step(None)


@dataclass
class Vendor:
    """One vendor behind every replica's own client; `down` is what it does to everybody while it is dead."""

    name: str
    pace: Callable[[], Step]
    down: Step | None = None
    clients: list[Scripted] = field(default_factory=list)

    def client(self) -> Scripted:
        self.clients.append(Scripted(self.name, otherwise=lambda: self.down or self.pace()))
        return self.clients[-1]

    def asked_between(self, start_s: float, end_s: float) -> list[int]:
        return [sum(start_s <= at < end_s for at in client.asked_at_s) for client in self.clients]


@dataclass
class Seen:
    spoken: Sequence[Spoken]
    first: Vendor
    dead_at_s: float
    back_at_s: float

    @property
    def failed(self) -> list[Spoken]:
        return [one for one in self.spoken if one.answer.status not in ("ok", "vazio")]

    @property
    def during(self) -> list[Spoken]:
        return [one for one in self.spoken if self.dead_at_s <= one.at_s < self.back_at_s]


def outage(step: Step, *, both: bool) -> Seen:
    """Both replicas in health, then the outage for a minute, then health again."""
    loop = VirtualLoop()
    first = Vendor("a", lognormal(0.8, 2.0, seed=1))
    second = Vendor("b", lognormal(0.2, 0.5, seed=2))

    async def live() -> Sequence[Spoken]:
        replicas = [
            SpeechToText(SpeechToTextSettings(), None, [Plan(v.client(), "m", 1) for v in (first, second)], loop.unix)
            for _ in range(2)
        ]
        crowd = Crowd(replicas, counters=20, every_s=9.0, seed=3)
        talking = asyncio.create_task(crowd.speak(2 * HEALTHY_S + DEAD_S))
        await asyncio.sleep(HEALTHY_S)
        for vendor in (first, second) if both else (first,):
            vendor.down = step
        await asyncio.sleep(DEAD_S)
        first.down = second.down = None
        await talking
        await asyncio.gather(*(replica.close() for replica in replicas))
        return crowd.spoken

    return Seen(run(live(), loop), first, HEALTHY_S, HEALTHY_S + DEAD_S)


def heard_by_first_after_return_s(seen: Seen) -> float:
    return min(s.at_s for s in seen.spoken if s.at_s >= seen.back_at_s and s.answer.provider == "a") - seen.back_at_s


def test_the_first_provider_dies_and_no_utterance_is_lost() -> None:
    seen = outage(DOWN, both=False)
    assert seen.failed == []
    assert len(seen.during) > 100
    assert max(s.answer.elapsed_ms for s in seen.during) < 2_000  # as long as a healthy first provider may take
    until_open = seen.first.asked_between(seen.dead_at_s, seen.dead_at_s + 2.9)
    assert max(until_open) <= 3
    assert heard_by_first_after_return_s(seen) <= 10


def test_a_first_provider_that_falls_silent_costs_a_hedge_and_no_utterance() -> None:
    seen = outage(HANGS, both=False)
    assert seen.failed == []
    waited = [s for s in seen.during if s.answer.elapsed_ms > 1_000]
    assert len(waited) <= 12
    assert max(s.answer.elapsed_ms for s in seen.during) <= 0.6 * 3_000 + 800
    assert heard_by_first_after_return_s(seen) <= 10


def test_both_providers_are_dead_for_a_minute() -> None:
    seen = outage(DOWN, both=True)
    assert len(seen.failed) > 80
    assert {(s.answer.status, s.answer.text) for s in seen.failed} <= {("indisponivel", ""), ("prazo", "")}
    assert [told(seen.spoken, counter) for counter in range(20)] == [1] * 20
    assert max(s.at_s for s in seen.failed) <= seen.back_at_s + 10


def test_both_providers_fall_silent_for_a_minute() -> None:
    seen = outage(HANGS, both=True)
    assert {s.answer.status for s in seen.failed} <= {"prazo", "indisponivel"}
    assert max(s.answer.elapsed_ms for s in seen.failed) <= 3_000
    assert [told(seen.spoken, counter) for counter in range(20)] == [1] * 20
    assert max(s.at_s for s in seen.failed) <= seen.back_at_s + 10


def test_whatever_goes_wrong_every_call_ends_typed_and_in_time_and_leaves_nothing_behind() -> None:
    seen = in_virtual_time(calls=300, at_once=5, seed=11)
    assert {bar["name"]: bar["met"] for bar in seen["bars"]} == dict.fromkeys(
        ("unanswered", "untyped", "slowest, ms", "tasks left", "requests left"), True
    ), seen
    assert seen["outcomes"]["ok"] > 270
