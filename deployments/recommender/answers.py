"""The shapes that a language model's two answers must have; whatever does not fit them is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from cestas.intent import Intent
from deployments.recommender.port import AdvisorGarbled

Taxonomy = Mapping[str, Sequence[str]]
"""Macro category → its micro categories."""

ModelT = TypeVar("ModelT", bound=BaseModel)

# No defaults and no bounds in these models: every property is required and the schema uses only keywords that every
# server of strict structured output knows. Bounds are checked after the answer is here.


class Quoted(BaseModel):
    """Something named in the transcript, and the words of the transcript that name it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    evidence: str


class EntitiesAnswer(BaseModel):
    """The first step's answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    intent: Intent
    medicines: list[Quoted]
    articles: list[Quoted]
    symptoms: list[Quoted]
    diseases: list[Quoted]
    situations: list[Quoted]
    contexts: list[Quoted]


class CategoryAnswer(BaseModel):
    """The second step's answer, once its labels are known to be of the taxonomy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    macro: str | None
    micro: str | None
    confidence: float


def strict_schema(model: type[BaseModel]) -> dict[str, Any]:
    """JSON Schema of `model`; strict as it stands, since its objects are closed and have no defaults."""
    return model.model_json_schema()


def category_schema(taxonomy: Taxonomy) -> dict[str, Any]:
    """JSON Schema of the second answer, whose labels are exactly those of `taxonomy`."""
    schema = strict_schema(CategoryAnswer)
    for label, values in (
        ("macro", list(taxonomy)),
        ("micro", [micro for micros in taxonomy.values() for micro in micros]),
    ):
        schema["properties"][label] = {"anyOf": [{"type": "string", "enum": values}, {"type": "null"}]}
    return schema


def read(model: type[ModelT], content: str) -> ModelT:
    """Parse a model's answer; raises AdvisorGarbled, whose text repeats nothing of it."""
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise AdvisorGarbled(f"{model.__name__}: {error.errors(include_input=False)[0]['type']}") from None


def read_category(content: str, taxonomy: Taxonomy) -> CategoryAnswer:
    """Parse the second answer; raises AdvisorGarbled for a label that the taxonomy lacks or a confidence outside 0..1.

    A micro category belongs to one macro: where the two disagree, the more specific one decides.
    """
    answer = read(CategoryAnswer, content)
    macro_of = {micro: macro for macro, micros in taxonomy.items() for micro in micros}
    if answer.macro is not None and answer.macro not in taxonomy:
        raise AdvisorGarbled("CategoryAnswer: unknown macro")
    if answer.micro is not None and answer.micro not in macro_of:
        raise AdvisorGarbled("CategoryAnswer: unknown micro")
    if not 0.0 <= answer.confidence <= 1.0:
        raise AdvisorGarbled("CategoryAnswer: confidence out of range")
    if answer.macro is None or answer.micro is None:
        return answer.model_copy(update={"micro": None})
    return answer.model_copy(update={"macro": macro_of[answer.micro]})
