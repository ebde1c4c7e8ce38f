"""Compares the suggestions that came with those that had to come; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from serve_app.demo.truth import Expectation, Truth

_SAME_SHARE: Final = 0.5  # an utterance that overlaps another by half or more of the shorter one is that utterance


@dataclass(frozen=True, slots=True)
class Advice:
    """One suggestion that came: where its utterance lies in the sample (seconds), and its macro where a row tells."""

    start_s: float
    end_s: float
    what: str
    macro: str | None = None


def share(a_start: float, a_end: float, b_start: float, b_end: float) -> float:
    """How much of the shorter of two intervals the other covers, 0..1."""
    shorter = min(a_end - a_start, b_end - b_start)
    return max(0.0, min(a_end, b_end) - max(a_start, b_start)) / shorter if shorter > 0 else 0.0


def utterances_of(advice: Advice, truth: Sequence[Truth]) -> list[Truth]:
    """The utterances of the truth that a suggestion answers: several where the segmenter merged them."""
    return [said for said in truth if share(advice.start_s, advice.end_s, said.start_s, said.end_s) >= _SAME_SHARE]


def judge(truth: Sequence[Truth], advices: Sequence[Advice]) -> list[str]:
    """What is wrong, in words: suggestions that had to come and did not, and those that came where none belongs."""
    answered = [(advice, utterances_of(advice, truth)) for advice in advices]
    problems = []
    for said in truth:
        if said.expected_of_demonstration and said.expect is not None:
            came = [advice for advice, utterances in answered if said in utterances]
            if not any(_fits(said.expect, advice) for advice in came):
                problems.append(_missing(said, said.expect, came))
    problems += [
        f"unexpected: “{advice.what}” at {advice.start_s:.1f} s, where nothing is to be suggested"
        for advice, utterances in answered
        if all(said.expect is None for said in utterances)
    ]
    return problems


def _fits(expected: Expectation, advice: Advice) -> bool:
    return advice.macro is None or not expected.macros or advice.macro in expected.macros


def _missing(said: Truth, expected: Expectation, came: Sequence[Advice]) -> str:
    wanted = " or ".join(expected.macros) or "a suggestion"
    instead = ", ".join(f"{advice.macro} came" for advice in came) or "nothing came"
    return f"missing: {wanted} for “{said.text}” at {said.start_s:.1f} s ({instead})"
