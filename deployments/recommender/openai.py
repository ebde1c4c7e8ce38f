"""A language model behind the OpenAI protocol, through the vendor's SDK: OpenAI, xAI, or any compatible server."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import openai
from pydantic import BaseModel, Field, ValidationError

from deployments.http_transport import is_broken_connection
from deployments.recommender.chat import ChatAnswer, Question
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
from deployments.recommender.settings import ChatSettings

OPENAI_BASE_URL = "https://api.openai.com/v1"
"""Said here so that the SDK does not look for it in the environment."""

MAX_RETRY_AFTER_S = 3600.0
"""No pause that a provider asks for is longer; the breaker's settings shorten it further."""


class OpenAiChat:
    """One client for all calls: own connection limits, no retries of the SDK's own, a deadline for each call.

    The schema is sent as `response_format` and the answer handed on as text: the SDK's `parse()` sends the same body,
    but rebuilds the schema on every call and loses the bill of an answer that does not fit.
    """

    def __init__(self, name: str, settings: ChatSettings) -> None:
        if not settings.usable:
            raise ValueError(f"recommender.{name}.api_key is not set")
        self.name = name
        self._settings = settings
        self._client = openai.AsyncOpenAI(
            api_key=settings.secret,
            base_url=settings.base_url or OPENAI_BASE_URL,
            max_retries=0,
            timeout=httpx2.Timeout(settings.timeout_s, connect=settings.connect_timeout_s),
            http_client=openai.DefaultAioHttpClient(
                limits=httpx2.Limits(
                    max_connections=settings.max_connections,
                    max_keepalive_connections=settings.max_connections,
                    keepalive_expiry=settings.keepalive_s,
                )
            ),
        )

    async def ask(self, question: Question, timeout_s: float) -> ChatAnswer:
        """Answer within `timeout_s` seconds; raises AdvisorError, with the tokens already spent on it."""
        request = self._client.chat.completions.create(**self._parameters(question, timeout_s))
        try:
            # The client's own timeout starts anew with every byte received; a trickle must not outlive the budget.
            completion = await asyncio.wait_for(request, timeout_s)
        except asyncio.TimeoutError:
            raise AdvisorTimeout("no answer within the budget") from None
        except openai.OpenAIError as error:
            raise _translated(error) from None
        except ValueError:  # a body that is cut short or is no JSON at all
            raise AdvisorGarbled("the response is not JSON") from None
        return _answer(completion)

    async def close(self) -> None:
        """Release connections."""
        await self._client.close()

    def _parameters(self, question: Question, timeout_s: float) -> dict[str, Any]:
        settings = self._settings
        optional = {
            "max_completion_tokens": settings.max_output_tokens,
            "temperature": settings.temperature,
            "store": settings.store,
            "reasoning_effort": settings.reasoning_effort(question.model),
        }
        return {
            "model": question.model,
            "messages": [
                {"role": "system", "content": question.instructions},
                {"role": "user", "content": question.data},
            ],
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": question.schema_name, "strict": True, "schema": question.schema},
            },
            "timeout": httpx2.Timeout(timeout_s, connect=min(timeout_s, settings.connect_timeout_s)),
            **{name: value for name, value in optional.items() if value is not None},
        }


def _translated(error: openai.OpenAIError) -> AdvisorError:
    """The port's error for a vendor's one; only the status crosses, since vendors quote what they were sent."""
    if isinstance(error, openai.APITimeoutError) and not is_broken_connection(error.__cause__ or error):
        return AdvisorTimeout("no answer within the budget")
    if isinstance(error, openai.APIStatusError):
        return _of_status(error)
    if isinstance(error, openai.APIResponseValidationError):
        return AdvisorGarbled("the response is not what the protocol documents")
    return AdvisorUnavailable(type(error).__name__)


def _of_status(error: openai.APIStatusError) -> AdvisorError:
    status = error.status_code
    translated: AdvisorError
    if status == 429:
        translated = AdvisorThrottled("status 429")
    elif status in (401, 402, 403):
        translated = AdvisorRefused(f"status {status}")
    elif status >= 500 or status == 408:
        translated = AdvisorUnavailable(f"status {status}")
    else:
        translated = AdvisorRejected(f"status {status}")
    translated.retry_after_s = _seconds(error.response.headers.get("retry-after", ""))
    return translated


def _seconds(retry_after: str) -> float:
    """A `Retry-After` in seconds; 0 where it is a date or nothing."""
    try:
        return min(MAX_RETRY_AFTER_S, max(0.0, float(retry_after)))
    except ValueError:
        return 0.0


class _Message(BaseModel):
    content: str | None = None
    refusal: str | None = None


class _Choice(BaseModel):
    message: _Message
    finish_reason: str | None = None


class _Usage(BaseModel):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Completion(BaseModel):
    """What is needed of a completion. The SDK does not check what it builds: a proxy's page arrives as a string."""

    choices: list[_Choice] = Field(min_length=1)
    usage: _Usage | None = None


def _answer(received: object) -> ChatAnswer:
    try:
        completion = _Completion.model_validate(received, from_attributes=True)
    except ValidationError:
        raise AdvisorGarbled("the response is not a chat completion") from None
    usage, choice = completion.usage or _Usage(), completion.choices[0]
    spent = (usage.prompt_tokens, usage.completion_tokens)
    if choice.finish_reason == "content_filter" or choice.message.refusal:
        raise AdvisorDeclined("the model refused").spent(*spent)
    if choice.finish_reason == "length":
        raise AdvisorGarbled("the answer is cut at the token limit").spent(*spent)
    if not choice.message.content:
        raise AdvisorGarbled("the answer is empty").spent(*spent)
    return ChatAnswer(choice.message.content, *spent)
