"""Recent latency, and what hedges and retries may add."""

import pytest

from deployments.resilience.budget import ShareBudget
from deployments.resilience.latency import RecentLatency


def test_a_quantile_is_that_of_the_latest_answers() -> None:
    recent = RecentLatency(samples=100, horizon_s=1e9)
    for n in range(1000):
        recent.add(float(n), now_s=n)
    assert len(recent) == 100
    assert (recent.quantile(0.0, 999), recent.quantile(0.9, 999), recent.quantile(0.999, 999)) == (900, 990, 999)


def test_too_few_answers_give_no_quantile() -> None:
    recent = RecentLatency(samples=100, horizon_s=10)
    assert recent.quantile(0.9, 0.0) is None
    for _ in range(29):
        recent.add(0.8, now_s=0.0)
    assert recent.quantile(0.9, 0.0, samples_min=30) is None
    recent.add(0.9, now_s=0.0)
    assert recent.quantile(0.9, 0.0, samples_min=30) == 0.8


def test_answers_beyond_the_horizon_are_forgotten() -> None:
    recent = RecentLatency(samples=100, horizon_s=10)
    recent.add(5.0, now_s=0.0)
    recent.add(0.5, now_s=9.0)
    assert recent.quantile(0.99, 9.0) == 5.0
    assert recent.quantile(0.99, 11.0) == 0.5
    assert recent.quantile(0.99, 30.0) is None


@pytest.mark.parametrize(("share", "burst"), [(0.1, 5), (0.02, 1), (1.0, 3)])
def test_extra_requests_stay_within_their_share_of_the_traffic(share: float, burst: int) -> None:
    budget = ShareBudget(share, burst)
    granted = 0
    for n in range(1, 2001):
        budget.earn()
        granted += budget.take()
        assert granted <= share * n + burst
    assert granted >= share * 2000 - 1


def test_a_budget_that_begins_empty_never_grants_more_than_the_share_of_what_came() -> None:
    budget = ShareBudget(0.1, 5, begins_full=False)
    granted = 0
    for n in range(1, 301):
        budget.earn()
        granted += budget.take()
        assert granted <= 0.1 * n + 1e-9
    assert granted >= 29


def test_without_a_share_nothing_extra_is_granted() -> None:
    budget = ShareBudget(0.0, 10)
    budget.earn()
    assert not budget.take()


def test_what_a_quiet_time_saves_is_bounded() -> None:
    budget = ShareBudget(0.5, 4)
    for _ in range(1000):
        budget.earn()
    assert [budget.take() for _ in range(5)] == [True, True, True, True, False]
