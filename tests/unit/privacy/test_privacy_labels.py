"""The labelled sets: how many there are, and that the rules stay as good as they were measured to be."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.redaction import plain, read_case, score
from privacy.documents import is_card, is_cnpj, is_cpf, is_phone
from privacy.redact import Redactor

LABELS = Path(__file__).parents[3] / "bench" / "labels"


def cases(part: str):
    return [read_case(line) for line in (LABELS / f"redaction_{part}.jsonl").read_text().splitlines()]


def test_there_are_four_hundred_cases_and_none_is_in_both_parts():
    dev, heldout = cases("dev"), cases("heldout")
    assert len(dev) + len(heldout) >= 400
    assert not {case.text for case in dev} & {case.text for case in heldout}


@pytest.mark.parametrize("part", ["dev", "heldout"])
def test_recall_and_precision_hold(part: str):
    total = score(cases(part), Redactor())["total"]
    assert total["recall"] >= 0.97
    assert total["precision"] >= 0.95
    assert total["typed"] >= 0.95


@pytest.mark.parametrize("part", ["dev", "heldout"])
def test_without_capitals_and_punctuation_little_more_is_missed(part: str):
    labelled = [plain(case) for case in cases(part) if not any(span.kind == "EMAIL" for span in case.spans)]
    total = score(labelled, Redactor())["total"]
    assert total["recall"] >= 0.92
    assert total["precision"] >= 0.95


def test_a_label_of_an_unknown_kind_is_refused_and_named():
    with pytest.raises(ValueError, match=r"x1: no kind SENHA"):
        read_case('{"id": "x1", "marked": "a {SENHA:b}"}')


def test_check_digits_decide():
    assert is_cpf("52998224725")
    assert not is_cpf("52998224726")
    assert not is_cpf("11111111111")
    assert is_cnpj("11222333000181")
    assert not is_cnpj("11222333000182")
    assert is_card("4111111111111111")
    assert not is_card("4111111111111112")
    assert is_phone("11987654321")
    assert is_phone("5511987654321")
    assert not is_phone("10987654321")
