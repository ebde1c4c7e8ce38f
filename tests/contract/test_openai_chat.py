"""The vendor's SDK against a simulated server: what is sent is as documented, what goes wrong has a name."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from pydantic import SecretStr

from bench.simulated.openai import ModelFault, SimulatedOpenAi, Step
from bench.simulated.server import Fault
from deployments.recommender.chat import Question
from deployments.recommender.openai import OpenAiChat
from deployments.recommender.port import (
    AdvisorDeclined,
    AdvisorError,
    AdvisorGarbled,
    AdvisorRefused,
    AdvisorRejected,
    AdvisorThrottled,
    AdvisorTimeout,
    AdvisorUnavailable,
)
from deployments.recommender.settings import ChatSettings, OpenAiSettings, XaiSettings

SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"intent": {"type": "string"}},
    "required": ["intent"],
    "additionalProperties": False,
}
KEY = SecretStr("sk-simulated")


def question(model: str = "gpt-6-luna") -> Question:
    return Question(model, "Extract.", '{"contexto": [], "texto": "bom dia"}', "entities", SCHEMA)


async def ask(*script: Step, settings: ChatSettings | None = None, timeout_s: float = 2.0, **kind: Any) -> Any:
    """One call to a server that follows `script`; returns the answer and what the server received."""
    async with SimulatedOpenAi(*script, **kind) as server:
        base = settings or OpenAiSettings()
        chat = OpenAiChat("openai", base.model_copy(update={"base_url": server.base_url, "api_key": KEY}))
        try:
            return await chat.ask(question(base.model_entities), timeout_s), server.requests
        finally:
            await chat.close()


async def test_the_request_is_as_the_protocol_documents_it() -> None:
    _, received = await ask({"intent": "conversa"})
    body = received[0].body
    assert body["model"] == "gpt-6-luna"
    assert [message["role"] for message in body["messages"]] == ["system", "user"]
    assert body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "entities", "strict": True, "schema": SCHEMA},
    }
    assert body["store"] is False
    assert body["reasoning_effort"] == "none"
    assert body["max_completion_tokens"] == 700
    assert "temperature" not in body
    assert received[0].headers["authorization"] == "Bearer sk-simulated"


async def test_the_answer_comes_with_the_tokens_that_were_billed() -> None:
    answer, _ = await ask({"intent": "conversa"})
    assert answer.content == '{"intent": "conversa"}'
    assert answer.tokens_in > 0
    assert answer.tokens_out > 0


@pytest.mark.parametrize(
    "settings",
    [
        OpenAiSettings(model_entities="gpt-4o", temperature=0),
        OpenAiSettings(model_entities="gpt-4o-mini"),
        XaiSettings(model_entities="grok-3-mini"),
        XaiSettings(),
        OpenAiSettings(model_entities="qwen3-8b", max_output_tokens=None, store=None),
    ],
    ids=lambda settings: settings.model_entities,
)
async def test_older_and_foreign_models_get_no_parameter_that_they_reject(settings: ChatSettings) -> None:
    _, received = await ask({"intent": "conversa"}, settings=settings)
    assert received[0].body["model"] == settings.model_entities


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.UNAUTHORIZED, AdvisorRefused),
        (Fault.FORBIDDEN, AdvisorRefused),
        (Fault.BAD_REQUEST, AdvisorRejected),
        (Fault.THROTTLED, AdvisorThrottled),
        (Fault.SERVER_ERROR, AdvisorUnavailable),
        (Fault.OVERLOADED, AdvisorUnavailable),
        (Fault.RESET, AdvisorUnavailable),
        (Fault.TRUNCATED_JSON, AdvisorGarbled),
        (Fault.GARBAGE, AdvisorGarbled),
        (Fault.WRONG_CONTENT_TYPE, AdvisorGarbled),
        (ModelFault.REFUSAL, AdvisorDeclined),
        (ModelFault.CONTENT_FILTER, AdvisorDeclined),
        (ModelFault.LENGTH, AdvisorGarbled),
        (ModelFault.NO_CHOICES, AdvisorGarbled),
        (ModelFault.WRONG_SHAPE, AdvisorGarbled),
    ],
)
async def test_every_fault_has_one_name_and_is_asked_only_once(fault: Fault, error: type[AdvisorError]) -> None:
    async with SimulatedOpenAi(fault) as server:
        chat = OpenAiChat("openai", OpenAiSettings(base_url=server.base_url, api_key=KEY))
        with pytest.raises(error) as caught:
            await chat.ask(question(), 2.0)
        await chat.close()
    assert type(caught.value) is error
    assert len(server.requests) == 1
    assert "bom dia" not in str(caught.value)


@pytest.mark.parametrize("fault", [ModelFault.REFUSAL, ModelFault.LENGTH])
async def test_what_a_useless_answer_cost_is_not_forgotten(fault: ModelFault) -> None:
    with pytest.raises(AdvisorError) as caught:
        await ask(fault)
    assert caught.value.tokens_in > 0
    assert caught.value.tokens_out > 0


@pytest.mark.parametrize("fault", [Fault.STALL, Fault.STALL_MID_BODY, Fault.TRICKLE])
async def test_a_provider_that_stalls_anywhere_is_left_at_the_deadline(fault: Fault) -> None:
    started_s = time.monotonic()
    with pytest.raises(AdvisorTimeout):
        await ask(fault, timeout_s=0.15)
    assert time.monotonic() - started_s < 1.0


@pytest.mark.parametrize("fault", [Fault.THROTTLED, Fault.OVERLOADED])
async def test_how_long_the_provider_asks_to_be_left_alone_is_told(fault: Fault) -> None:
    with pytest.raises(AdvisorError) as caught:
        await ask(fault)
    assert caught.value.retry_after_s == 1.0


async def test_a_provider_that_is_not_there_is_unavailable() -> None:
    async with SimulatedOpenAi() as server:
        gone = server.base_url
    chat = OpenAiChat("openai", OpenAiSettings(base_url=gone, api_key=KEY))
    with pytest.raises(AdvisorUnavailable):
        await chat.ask(question(), 2.0)
    await chat.close()


async def test_a_cancelled_question_stays_cancelled() -> None:
    async with SimulatedOpenAi(Fault.STALL) as server:
        chat = OpenAiChat("openai", OpenAiSettings(base_url=server.base_url, api_key=KEY))
        asking = asyncio.create_task(chat.ask(question(), 5.0))
        await asyncio.wait_for(server.asked.wait(), 5.0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await chat.close()


async def test_a_client_without_a_key_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="api_key"):
        OpenAiChat("openai", OpenAiSettings())
