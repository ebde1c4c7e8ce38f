"""The protocol's report says plainly what was checked, what was not, and proves it by rows without what was said."""

import json

import httpx
import pytest

from bench.load.deployment import Deployment
from bench.protocol.__main__ import _one
from bench.protocol.checks import Bench, CheckFailed, CheckSkipped, expect, expect_error, expect_fields
from bench.protocol.report import Outcome, Report

ROW = {"interaction_id": "i1", "counter_id": "c1", "outcome": "sugerido", "text": "estou com azia"}


def report(*results):
    outcomes = [
        Outcome("REST", f"n{number}", "POST /x | y", result, "what", 0.1) for number, result in enumerate(results)
    ]
    return Report("http://h:1", "2026-11-22T12:00:00+00:00", outcomes, [ROW])


@pytest.fixture
def bench():
    return Bench(Deployment("http://h:1", "secret"))


def test_it_has_passed_when_nothing_failed_and_says_how_much_was_left_out():
    assert report("passed", "skipped").passed
    assert not report("passed", "failed").passed
    assert report("passed", "failed", "skipped").summary() == "1 passed, 1 failed, 1 skipped; 1 rows"


def test_both_forms_are_written_and_neither_holds_what_was_said(tmp_path):
    report("passed", "failed").write(tmp_path / "deep" / "er")
    markdown = (tmp_path / "deep" / "er" / "protocol.md").read_text()
    document = json.loads((tmp_path / "deep" / "er" / "protocol.json").read_text())
    assert "**FAILED** | POST /x \\| y" in markdown
    assert document["rows"][0]["interaction_id"] == "i1"
    assert "azia" not in markdown + json.dumps(document)


@pytest.mark.parametrize(
    ("raised", "result"),
    [
        (None, "passed"),
        (CheckFailed("closed with 1011, not 1000"), "failed"),
        (CheckSkipped("no --admin-secret"), "skipped"),
        (KeyError("codigo"), "failed"),
        (httpx.ConnectError("refused"), "failed"),
    ],
)
def test_a_check_ends_in_one_outcome_whatever_the_deployment_does(bench, raised, result):
    def made(_):
        """A promise"""
        if raised is not None:
            raise raised
        return "kept"

    outcome = _one("REST", made, bench)
    assert (outcome.promise, outcome.result) == ("A promise", result)


def test_without_the_administrators_token_what_needs_it_is_skipped_not_failed():
    with pytest.raises(CheckSkipped, match="admin-secret"):
        Bench(Deployment("http://h:1", "")).administrator()


def answer(status, body):
    return httpx.Response(status, json=body, request=httpx.Request("GET", "http://h:1/x"))


def test_another_status_than_the_documented_one_is_told_with_the_route():
    assert expect(answer(201, {"codigo": "a"}), 201) == {"codigo": "a"}
    with pytest.raises(CheckFailed, match="GET /x: 200, not 201"):
        expect(answer(200, {}), 201)


def test_an_error_needs_its_documented_form():
    assert expect_error(answer(404, {"error": "não há"}), 404, 422) == "404"
    with pytest.raises(CheckFailed, match="without `error`"):
        expect_error(answer(404, {"detail": "x"}), 404)


def test_a_field_of_another_type_is_told():
    expect_fields({"a": 1}, a=int)
    with pytest.raises(CheckFailed, match="field a: NoneType"):
        expect_fields({}, a=int)


def test_counters_connect_where_the_deployment_answers():
    assert Deployment("https://balto.example", "x").socket_url == "wss://balto.example/ws"
    assert "secret" not in repr(Deployment("http://h:1", "secret"))
