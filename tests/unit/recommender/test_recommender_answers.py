"""What a language model answers is read strictly, and what is refused is not repeated."""

from __future__ import annotations

import json

import pytest

from deployments.recommender.answers import EntitiesAnswer, category_schema, read, read_category, strict_schema
from deployments.recommender.port import AdvisorGarbled

TAXONOMY = {"GASTROINTESTINAL": ["GASES_SIMETICONA"], "ALERGIAS": ["ALERGIA_OCULAR"], "OUTRO": []}


def category(**fields: object) -> str:
    return json.dumps({"macro": "GASTROINTESTINAL", "micro": "GASES_SIMETICONA", "confidence": 0.9, **fields})


def test_a_label_of_the_taxonomy_is_accepted() -> None:
    answer = read_category(category(), TAXONOMY)
    assert (answer.macro, answer.micro, answer.confidence) == ("GASTROINTESTINAL", "GASES_SIMETICONA", 0.9)


def test_the_micro_decides_when_macro_and_micro_disagree() -> None:
    assert read_category(category(macro="ALERGIAS"), TAXONOMY).macro == "GASTROINTESTINAL"


def test_a_micro_without_a_macro_is_no_category() -> None:
    answer = read_category(category(macro=None), TAXONOMY)
    assert (answer.macro, answer.micro) == (None, None)


def test_a_macro_without_a_micro_is_a_category() -> None:
    assert read_category(category(micro=None), TAXONOMY).macro == "GASTROINTESTINAL"


@pytest.mark.parametrize(
    "content",
    [
        category(macro="HOMEOPATIA"),
        category(micro="HOMEOPATIA"),
        category(confidence=1.5),
        category(confidence="muito"),
        category(conselho="tome clonazepam"),
        json.dumps({"macro": "OUTRO", "micro": None}),
        category()[:20],
        "",
        "Claro! Aqui está.",
        "null",
    ],
)
def test_anything_else_is_garbled(content: str) -> None:
    with pytest.raises(AdvisorGarbled):
        read_category(content, TAXONOMY)


def test_an_error_repeats_nothing_of_the_answer() -> None:
    with pytest.raises(AdvisorGarbled) as caught:
        read(EntitiesAnswer, '{"intent": "minha mãe tem aids"}')
    assert "aids" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_the_schema_lists_exactly_the_taxonomy() -> None:
    properties = category_schema(TAXONOMY)["properties"]
    assert properties["macro"]["anyOf"][0]["enum"] == ["GASTROINTESTINAL", "ALERGIAS", "OUTRO"]
    assert properties["micro"]["anyOf"][0]["enum"] == ["GASES_SIMETICONA", "ALERGIA_OCULAR"]


def test_every_object_of_the_schemas_is_closed_and_complete() -> None:
    entities = strict_schema(EntitiesAnswer)
    for schema in (entities, *entities["$defs"].values(), category_schema(TAXONOMY)):
        assert schema["additionalProperties"] is False
        assert set(schema["required"]) == set(schema["properties"])
