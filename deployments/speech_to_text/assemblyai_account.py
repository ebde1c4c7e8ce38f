"""One client of AssemblyAI's SDK with kept-alive connections, and what its failures mean to the port."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Any, TypeVar

import assemblyai as vendor
import httpx
from pydantic import BaseModel, ConfigDict, ValidationError

from deployments.speech_to_text.adapter_settings import AssemblyAISettings
from deployments.speech_to_text.http_answers import Impatience, error_of, put_together
from deployments.speech_to_text.port import SttTimeout, SttUnavailable, Word
from deployments.speech_to_text.within import within

_T = TypeVar("_T")


class _VendorWord(BaseModel):
    model_config = ConfigDict(from_attributes=True, hide_input_in_errors=True, allow_inf_nan=False)

    text: str
    start: int | None = None
    end: int | None = None
    confidence: float | None = None


class Heard(BaseModel):
    """The fields of either endpoint's documented answer that are used."""

    model_config = ConfigDict(from_attributes=True, hide_input_in_errors=True, allow_inf_nan=False)

    text: str
    words: tuple[_VendorWord, ...] = ()

    def timed_words(self) -> tuple[Word, ...]:
        """Words with their instants in seconds; none that the vendor left without a time."""
        return tuple(
            Word(word.text, word.start / 1e3, word.end / 1e3, word.confidence)
            for word in self.words
            if word.start is not None and word.end is not None
        )


class Account:
    """The SDK's client as `settings` say. Every setting is given, so that the SDK's own environment variables are not
    looked at, and its memory of the latest answer (somebody's words) is off."""

    def __init__(self, settings: AssemblyAISettings) -> None:
        self._settings = settings
        self.client = vendor.AsyncClient(
            settings=vendor.types.Settings(
                api_key=settings.api_key.get_secret_value() if settings.api_key else "",
                base_url=settings.rest_base_url,
                sync_base_url=settings.sync_base_url,
                http_timeout=settings.rest_timeout_s,
                sync_http_timeout=settings.timeout_s,
                sync_live_http_timeout=settings.timeout_s,
                keepalive_expiry=settings.keepalive_s,
                polling_interval=settings.poll_interval_s,
            ),
            api_key_required=False,
        )
        self.client.http_client.event_hooks = {
            "request": [put_together],
            "response": [_refuse, Impatience(settings.silence_s)],
        }

    async def within(self, limit_s: float, asking: Awaitable[_T]) -> _T:
        """What `asking` the SDK gives within `limit_s` seconds; raises SttError and nothing of the vendor's."""
        try:
            return await within(limit_s, asking)
        except (asyncio.TimeoutError, httpx.TimeoutException):
            raise SttTimeout(f"no answer within {limit_s:.2f} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SttUnavailable(type(error).__name__) from None
        except vendor.types.AssemblyAIError as error:
            raise error_of(error.status_code or 0, {}) from None
        except (ValidationError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise SttUnavailable(f"undocumented answer: {type(error).__name__}") from None

    def keyterms(self, asked: Iterable[str]) -> list[str]:
        """The request's keyterms, then the standing ones, each once, until the vendor's limits are reached."""
        settings = self._settings
        terms = {term.strip().casefold(): term.strip() for term in [*asked, *settings.keyterms] if term.strip()}
        chosen: list[str] = []
        characters = 0
        for term in terms.values():
            characters += len(term)
            if len(chosen) == settings.keyterms_max or characters > settings.keyterms_max_characters:
                break
            chosen.append(term)
        return chosen

    async def close(self) -> None:
        """Close the connections."""
        await self.client.aclose()


async def _refuse(response: httpx.Response) -> None:
    """Raise the port's error before the SDK reads the vendor's text; it would also lose `Retry-After`."""
    if response.status_code != 200 and not response.request.url.path.endswith("/warm"):
        raise error_of(response.status_code, response.headers)


def validated(answer: Any) -> Heard:
    """The used fields of the SDK's answer; raises pydantic.ValidationError without its contents."""
    return Heard.model_validate(answer)
