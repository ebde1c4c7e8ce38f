"""What simulated providers do to requests and remember of them: the same for the same seed, and equal to the cent."""

import statistics

import pytest

from bench.simulated.faults import FaultShare, Latency, Ledger, Steps
from bench.simulated.server import Fault


def test_a_latency_has_the_median_and_the_tail_that_it_was_given() -> None:
    latency = Latency(800, 2000, seed=1)
    drawn_ms = sorted(latency.next_s() * 1e3 for _ in range(20_000))
    assert statistics.median(drawn_ms) == pytest.approx(800, rel=0.02)
    assert drawn_ms[int(0.99 * len(drawn_ms))] == pytest.approx(2000, rel=0.05)


def test_the_same_seed_gives_the_same_row_and_another_one_another() -> None:
    rows = [
        [latency.next_s() for _ in range(5)] for latency in (Latency(8, 20, 3), Latency(8, 20, 3), Latency(8, 20, 4))
    ]
    assert rows[0] == rows[1] != rows[2]


def test_without_a_tail_every_answer_takes_as_long() -> None:
    latency = Latency(134)
    assert [latency.next_s() for _ in range(3)] == [0.134] * 3


@pytest.mark.parametrize(("median_ms", "p99_ms"), [(-1, None), (0, 10), (20, 10)])
def test_a_tail_that_cannot_be_is_refused(median_ms: float, p99_ms: float | None) -> None:
    with pytest.raises(ValueError, match="median_ms"):
        Latency(median_ms, p99_ms)


def test_a_share_of_the_requests_meets_every_kind_of_fault() -> None:
    share = FaultShare(0.05, seed=2)
    met = [share.next() for _ in range(10_000)]
    faults = [fault for fault in met if fault is not None]
    assert len(faults) == pytest.approx(500, rel=0.15)
    assert set(faults) == set(Fault)


def test_the_script_comes_first_then_every_so_many_then_the_share() -> None:
    steps: Steps[str] = Steps(("um", "dois"), Fault.RESET, every=3, share=FaultShare(1.0, (Fault.STALL,)))
    met = [steps.next() for _ in range(7)]
    assert met == ["um", "dois", Fault.RESET, Fault.STALL, Fault.STALL, Fault.RESET, Fault.STALL]


def test_a_ledger_bills_what_was_answered_or_given_up_and_nothing_that_failed() -> None:
    ledger = Ledger()
    for provider, outcome, keyterms in (
        ("a", "answered", 2),
        ("a", "abandoned", 0),
        ("a", "failed", 0),
        ("b", "answered", 0),
    ):
        entry = ledger.received(provider, audio_s=36.0, size=1_152_000, keyterms=keyterms)
        entry.outcome = outcome  # type: ignore[assignment]
    assert ledger.audio_usd("a", 0.22, 0.05) == pytest.approx(0.0027 + 0.0022)
    assert ledger.outcomes("a") == {"answered": 1, "abandoned": 1, "failed": 1}
    assert [entry.bytes for entry in ledger.of("b")] == [1_152_000]


def test_a_ledger_bills_tokens() -> None:
    ledger = Ledger()
    entry = ledger.received("llm")
    entry.tokens_in, entry.tokens_out, entry.outcome = 1_000_000, 500_000, "answered"
    assert ledger.tokens_usd("llm", 0.10, 0.50) == pytest.approx(0.35)
