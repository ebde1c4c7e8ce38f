"""A breaker: when a provider is left alone, how its return is noticed, and what replicas learn from each other."""

import ast
from pathlib import Path

import pytest

from deployments.resilience.breaker import Breaker, FailureKind, Permit
from deployments.resilience.gossip import Gossip, ProviderState
from deployments.resilience.settings import BreakerSettings

NOW = 1_800_000_000.0
SETTINGS = BreakerSettings()


def entered(breaker: Breaker, now: float = NOW) -> Permit:
    permit = breaker.enter(now)
    assert permit is not None
    return permit


def fail(breaker: Breaker, times: int = 1, kind: FailureKind = "unavailable", now: float = NOW) -> None:
    for _ in range(times):
        breaker.failed(entered(breaker, now), kind, now)


def opened(now: float = NOW) -> Breaker:
    breaker = Breaker("a", SETTINGS)
    fail(breaker, 3, now=now)
    return breaker


@pytest.mark.parametrize("kind", ["unavailable", "timeout", "stalled", "rejected"])
def test_three_failures_in_a_row_open_it_and_nobody_waits_for_the_provider_any_more(kind: FailureKind) -> None:
    breaker = Breaker("a", SETTINGS)
    fail(breaker, 2, kind)
    assert breaker.state(NOW) == "closed"
    fail(breaker, 1, kind)
    assert (breaker.state(NOW), breaker.enter(NOW), breaker.openings) == ("open", None, 1)
    assert breaker.errors[kind] == 3


def test_an_answer_in_between_keeps_it_closed() -> None:
    breaker = Breaker("a", SETTINGS)
    for _ in range(4):
        fail(breaker, 2)
        breaker.succeeded(entered(breaker), NOW)
        for _ in range(3):
            breaker.succeeded(entered(breaker), NOW)
    assert breaker.state(NOW) == "closed"


def test_a_provider_that_fails_every_other_time_is_left_alone_too() -> None:
    breaker = Breaker("a", SETTINGS)
    for _ in range(4):
        breaker.succeeded(entered(breaker), NOW)
        fail(breaker, 1)
    assert breaker.state(NOW) == "closed"  # too few calls to judge by
    breaker.succeeded(entered(breaker), NOW)
    fail(breaker, 1)
    assert breaker.state(NOW) == "open"


def test_failures_of_long_ago_do_not_count_in_the_share() -> None:
    breaker = Breaker("a", BreakerSettings(failures_in_a_row=100))
    fail(breaker, 8)
    later = NOW + SETTINGS.window_s + 1
    for _ in range(3):
        breaker.succeeded(entered(breaker, later), later)
    fail(breaker, 2, now=later)
    assert breaker.state(later) == "closed"


def test_cancelled_calls_never_open_it() -> None:
    breaker = Breaker("a", SETTINGS)
    for _ in range(50):
        breaker.abandoned(entered(breaker))
    assert breaker.state(NOW) == "closed"


def test_it_is_probed_one_call_at_a_time_and_closes_with_the_first_answer() -> None:
    breaker = opened()
    due = NOW + SETTINGS.probe_every_s
    assert breaker.enter(due - 0.01) is None
    probe = entered(breaker, due)
    assert probe.probe
    assert (breaker.state(due), breaker.enter(due)) == ("half_open", None)
    breaker.succeeded(probe, due + 0.5)
    assert breaker.state(due + 0.5) == "closed"
    assert not entered(breaker, due + 0.5).probe


def test_a_probe_that_fails_puts_the_next_one_off() -> None:
    breaker = opened()
    due = NOW + SETTINGS.probe_every_s
    breaker.failed(entered(breaker, due), "timeout", due + 1)
    assert breaker.enter(due + 1) is None
    assert breaker.probe_in_s(due + 1) == SETTINGS.probe_every_s
    assert entered(breaker, due + 1 + SETTINGS.probe_every_s).probe


def test_a_probe_that_was_cancelled_leaves_the_next_one_free_to_go() -> None:
    breaker = opened()
    due = NOW + SETTINGS.probe_every_s
    breaker.abandoned(entered(breaker, due))
    assert entered(breaker, due).probe


def test_a_probe_of_which_nothing_is_ever_heard_does_not_block_it_for_good() -> None:
    breaker = opened()
    due = NOW + SETTINGS.probe_every_s
    entered(breaker, due)
    assert entered(breaker, due + SETTINGS.probe_lease_s + 1).probe


def test_the_answer_to_a_call_that_began_before_the_outage_does_not_end_it() -> None:
    breaker = Breaker("a", SETTINGS)
    slow = entered(breaker)
    fail(breaker, 3)
    breaker.succeeded(slow, NOW + 1)
    assert breaker.state(NOW + 1) == "open"


def test_a_revoked_key_opens_it_at_once_and_for_long() -> None:
    breaker = Breaker("a", SETTINGS)
    fail(breaker, 1, "refused")
    assert breaker.state(NOW + 59) == "open"
    assert breaker.probe_in_s(NOW) == SETTINGS.refused_open_s


def test_too_many_requests_pause_it_for_as_long_as_it_asks_and_end_by_themselves() -> None:
    breaker = Breaker("a", SETTINGS)
    breaker.failed(entered(breaker), "throttled", NOW, retry_after_s=7.0)
    assert (breaker.state(NOW + 6.9), breaker.state(NOW + 7.0)) == ("open", "closed")
    breaker.failed(entered(breaker, NOW + 8), "throttled", NOW + 8, retry_after_s=86_400.0)
    assert breaker.state(NOW + 8 + SETTINGS.throttled_open_max_s) == "closed"


def test_a_provider_that_is_late_for_everybody_is_left_before_it_has_failed() -> None:
    breaker = Breaker("a", SETTINGS)
    waiting = [entered(breaker) for _ in range(SETTINGS.late_in_a_row)]
    for permit in waiting:
        breaker.late(permit, NOW + 1.3)
    assert (breaker.state(NOW + 1.3), breaker.kind) == ("open", "late")


def test_late_calls_do_not_count_while_others_are_answered() -> None:
    breaker = Breaker("a", SETTINGS)
    for n in range(20):
        late, prompt = entered(breaker, NOW + n), entered(breaker, NOW + n)
        breaker.succeeded(prompt, NOW + n + 0.5)
        breaker.late(late, NOW + n + 0.9)
    assert breaker.state(NOW + 20) == "closed"


def test_a_provider_under_suspicion_gets_no_more_calls_than_may_fail_where_another_can_be_asked() -> None:
    breaker = Breaker("a", SETTINGS)
    fail(breaker, 1)
    waiting = [breaker.enter(NOW, alternative=True) for _ in range(5)]
    assert [permit is not None for permit in waiting] == [True, True, False, False, False]
    assert breaker.enter(NOW) is not None  # nobody else can be asked
    assert waiting[0] is not None
    breaker.succeeded(waiting[0], NOW + 1)
    assert breaker.enter(NOW + 1, alternative=True) is not None


def test_every_call_that_has_ended_is_forgotten() -> None:
    breaker = Breaker("a", SETTINGS)
    breaker.succeeded(entered(breaker), NOW)
    breaker.failed(entered(breaker), "timeout", NOW)
    breaker.abandoned(entered(breaker))
    assert breaker.in_flight == 0


def test_a_clock_that_is_set_back_does_not_keep_it_open_for_years() -> None:
    breaker = opened()
    assert breaker.enter(NOW - 10_000_000) is not None


def test_an_outage_that_one_replica_found_is_known_to_another_with_the_next_message() -> None:
    first, second = opened(), Breaker("a", SETTINGS)
    second.adopt(first.known(), NOW + 0.1)
    assert second.enter(NOW + 0.1) is None
    probe = entered(first, NOW + 3)
    first.succeeded(probe, NOW + 3.2)
    second.adopt(first.known(), NOW + 3.3)
    assert (second.state(NOW + 3.3), second.openings) == ("closed", 0)


def test_answers_to_calls_from_before_the_outage_do_not_hide_it() -> None:
    breaker = Breaker("a", SETTINGS)
    earlier = [entered(breaker) for _ in range(3)]
    for n, permit in enumerate(earlier):
        fail(breaker, 1, now=NOW + n + 1)
        breaker.succeeded(permit, NOW + n + 1.5)
    assert breaker.state(NOW + 4) == "open"


def test_old_news_do_not_undo_newer_ones() -> None:
    first, second = opened(), Breaker("a", SETTINGS)
    old = first.known()
    first.succeeded(entered(first, NOW + 3), NOW + 3.2)
    second.adopt(first.known(), NOW + 3.3)
    second.adopt(old, NOW + 3.4)
    assert second.state(NOW + 3.4) == "closed"


def test_where_it_found_the_provider_dead_itself_good_news_only_make_it_probe_at_once() -> None:
    breaker = opened()
    breaker.adopt(ProviderState("a", 0.0, NOW + 0.5), NOW + 1)
    permit = entered(breaker, NOW + 1)
    assert permit.probe
    breaker.failed(permit, "unavailable", NOW + 1.1)
    assert breaker.state(NOW + 1.1) == "open"


def test_a_change_of_its_own_is_newer_than_the_word_of_a_replica_whose_clock_is_ahead() -> None:
    breaker = Breaker("a", SETTINGS)
    heard = ProviderState("a", NOW + 63, NOW + 60, "unavailable")
    breaker.adopt(heard, NOW)
    probe_at = NOW + 63
    breaker.succeeded(entered(breaker, probe_at), probe_at)
    assert breaker.known().changed_unix_s > heard.changed_unix_s
    early = Breaker("a", SETTINGS)
    early.adopt(ProviderState("a", 0.0, NOW + 60), NOW)
    fail(early, 3, now=NOW + 1)
    assert early.known().changed_unix_s > NOW + 60


def test_news_of_another_provider_change_nothing() -> None:
    breaker = Breaker("a", SETTINGS)
    breaker.adopt(ProviderState("b", NOW + 3, NOW, "timeout"), NOW)
    assert breaker.state(NOW) == "closed"


def test_the_newest_word_on_each_provider_is_passed_on() -> None:
    gossip = Gossip()
    gossip.merge((ProviderState("a", NOW + 3, NOW, "timeout"), ProviderState("b", 0.0, NOW)))
    gossip.merge((ProviderState("a", 0.0, NOW + 2), ProviderState("b", NOW, NOW - 5, "timeout")))
    assert gossip.known == (ProviderState("a", 0.0, NOW + 2), ProviderState("b", 0.0, NOW))


def test_made_up_names_cannot_fill_the_messages() -> None:
    gossip = Gossip()
    gossip.merge(ProviderState(f"p{n}", 0.0, NOW) for n in range(1000))
    assert len(gossip.known) == 64


def test_the_room_knows_no_clock_no_network_and_no_event_loop() -> None:
    room = Path(__file__).parents[3] / "deployments" / "resilience"
    imported = {
        name.split(".")[0]
        for path in room.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
            if isinstance(node, ast.Import)
            else []
        )
    }
    assert imported <= {"__future__", "bisect", "collections", "dataclasses", "deployments", "pydantic", "typing"}
