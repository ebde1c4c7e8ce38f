"""The port of a language model: one question with a schema, one JSON answer, and what it cost in tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Question:
    """One call: fixed instructions, data as JSON text, and the schema that the answer must follow.

    `schema` is a JSON Schema in the strict dialect: every object closed, every property required.
    """

    model: str
    instructions: str
    data: str
    schema_name: str
    schema: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """The model's text, meant to be JSON, and the tokens that were billed."""

    content: str
    tokens_in: int
    tokens_out: int


class Chat(Protocol):
    """One provider of language models."""

    name: str

    async def ask(self, question: Question, timeout_s: float) -> ChatAnswer:
        """Answer within `timeout_s` seconds; raises AdvisorError, with the tokens already spent on it."""

    async def close(self) -> None:
        """Release connections."""
