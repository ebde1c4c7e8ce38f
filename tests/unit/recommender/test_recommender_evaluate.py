"""The stage's evaluation: the same figures as the rules', and who answered, what it cost and what it saved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from recommender_fakes import FakeAdvisor

from cestas.evaluate import main as rules_main
from cestas.evaluate import read_labels
from cestas.lexicon import Lexicon
from cestas.model import Entities
from deployments.recommender.evaluate import advices_on, main, report
from deployments.recommender.port import AdvisorUnavailable, Understanding
from deployments.recommender.settings import RecommenderSettings
from deployments.recommender.stage import Recommender

PAIN = {
    "id": "x1",
    "kind": "sintoma",
    "text": "estou com dor de cabeça desde ontem",
    "med": [],
    "sint": ["dor de cabeca"],
    "doenca": [],
    "macros": ["DOR_FEBRE_INFLAMACAO"],
    "micros": ["ANALGESICOS_ANTITERMICOS"],
    "suggest": True,
    "forbidden": [],
}
TALK = {**PAIN, "id": "x2", "kind": "negativo", "text": "bom dia, tudo bem com você?", "sint": [], "suggest": False}
TALK |= {"macros": ["OUTRO"], "micros": []}
ODD = {**PAIN, "id": "x3", "text": "estou com dor de cabeça e um xorumbelo esquiprotivo danado"}
BY_MODEL = Understanding(
    Entities(symptoms=("dor de cabeca",)), "DOR_FEBRE_INFLAMACAO", "ENXAQUECA", 0.9, "llm", "m", 1000, 50, 0.002
)


def file_of(tmp_path: Path, *labels: dict[str, object]) -> Path:
    path = tmp_path / "labels.jsonl"
    path.write_text("".join(f"{json.dumps(label)}\n" for label in labels), encoding="utf-8")
    return path


async def test_who_answered_what_it_cost_and_what_it_saved_is_reported(tmp_path: Path, lexicon: Lexicon) -> None:
    labels = read_labels(file_of(tmp_path, ODD, PAIN, TALK))
    stage = Recommender(RecommenderSettings(), llm=FakeAdvisor(BY_MODEL), lexicon=lexicon)
    figures = report("cascade", labels, await advices_on(labels, stage, at_once=1), lexicon)
    assert figures["macro_top1"] == 1.0
    assert figures["micro"] == 0.5
    assert figures["suggest"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    assert figures["routes"] == {"llm": 1, "regras_seguras": 2}
    assert (figures["calls_avoided"], figures["cost_usd"], figures["saved_usd"]) == (4, 0.002, 0.004)
    assert figures["tokens"] == {"in": 1000, "out": 50}


async def test_failures_of_the_model_are_reported_by_name(tmp_path: Path, lexicon: Lexicon) -> None:
    labels = read_labels(file_of(tmp_path, ODD))
    stage = Recommender(RecommenderSettings(), llm=FakeAdvisor(AdvisorUnavailable("down")), lexicon=lexicon)
    figures = report("cascade", labels, await advices_on(labels, stage), lexicon)
    assert (figures["errors"], figures["routes"]) == ({"AdvisorUnavailable": 1}, {"regras_sem_llm": 1})


def test_the_command_evaluates_the_stage_as_it_is_served(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(file_of(tmp_path, PAIN, TALK)), "--advisor", "rules", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["advisor"], figures["macro_top1"], figures["routes"]) == ("rules", 1.0, {"regras": 2})


def test_something_unsafe_fails_the_run(tmp_path: Path) -> None:
    assert main([str(file_of(tmp_path, {**PAIN, "forbidden": ["medicamento"]})), "--advisor", "rules"]) == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [(["--advisor", "llm"], "api_key"), (["--provider", "compatible"], "base_url")],
)
def test_what_is_missing_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str
) -> None:
    assert main([str(file_of(tmp_path, PAIN)), *arguments]) == 2
    assert told in capsys.readouterr().err


def test_the_rules_own_evaluation_points_to_this_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert rules_main([str(file_of(tmp_path, PAIN)), "--advisor", "cascade"]) == 2
    assert "deployments.recommender.evaluate" in capsys.readouterr().err
