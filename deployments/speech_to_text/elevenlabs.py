"""Speech recognition by ElevenLabs' batch transcription, through the vendor's SDK."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from typing import Any

import httpx
from elevenlabs.client import AsyncElevenLabs
from elevenlabs.core.api_error import ApiError
from elevenlabs.core.parse_error import ParsingError
from pydantic import BaseModel, ConfigDict, ValidationError

from audio.utterance import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ
from deployments.speech_to_text.port import (
    SttError,
    SttRefused,
    SttThrottled,
    SttTimeout,
    SttUnavailable,
    Transcript,
    Word,
)
from deployments.speech_to_text.settings import KEYTERMS_MAX, ElevenLabsSettings, admissible_keyterm

_NOT_OUR_FAULT = frozenset({408, 409, 425})
"""4xx that say "not now" rather than "never"."""


class _VendorWord(BaseModel):
    model_config = ConfigDict(from_attributes=True, hide_input_in_errors=True, allow_inf_nan=False)

    text: str
    type: str
    start: float | None = None
    end: float | None = None
    logprob: float | None = None


class _VendorAnswer(BaseModel):
    """The fields of the documented answer that are used; the SDK itself checks none of them."""

    model_config = ConfigDict(from_attributes=True, hide_input_in_errors=True, allow_inf_nan=False)

    text: str
    words: tuple[_VendorWord, ...]


class ElevenLabs:
    """One client with kept-alive connections; the SDK's own retries are off (they would drop the form's fields)."""

    name = "elevenlabs"
    simulated = False

    def __init__(self, settings: ElevenLabsSettings) -> None:
        self._settings = settings
        limits = httpx.Limits(
            max_connections=settings.max_connections,
            max_keepalive_connections=settings.max_connections,
            keepalive_expiry=settings.keepalive_s,
        )
        self._http = httpx.AsyncClient(
            limits=limits, timeout=settings.timeout_s, event_hooks={"request": [_put_together]}
        )
        key = settings.api_key.get_secret_value() if settings.api_key else ""
        self._client = AsyncElevenLabs(base_url=settings.base_url, api_key=key, httpx_client=self._http)

    async def transcribe(self, pcm: bytes, *, keyterms: tuple[str, ...], budget_s: float) -> Transcript:
        """Recognise 16 kHz mono s16le `pcm` within `budget_s` or `timeout_s`, whichever is less; raises SttError."""
        limit_s = min(self._settings.timeout_s, budget_s)
        terms = together(self._settings.keyterms, keyterms)
        try:
            answer = await asyncio.wait_for(self._convert(pcm, terms, limit_s), limit_s)
            heard = _VendorAnswer.model_validate(answer)
        except (asyncio.TimeoutError, httpx.TimeoutException):
            raise SttTimeout(f"no answer within {limit_s:.2f} s") from None
        except ApiError as error:
            raise _translated(error) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SttUnavailable(type(error).__name__) from None
        except (ParsingError, ValidationError, ValueError, TypeError) as error:
            raise SttUnavailable(f"undocumented answer: {type(error).__name__}") from None
        return Transcript(heard.text.strip(), _words(heard.words), self._settings.model, self._cost_usd(pcm, terms))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _convert(self, pcm: bytes, keyterms: list[str], limit_s: float) -> Any:
        optional: dict[str, Any] = {"keyterms": keyterms} if keyterms else {}
        return await self._client.speech_to_text.convert(
            model_id=self._settings.model,
            file=("utterance.pcm", pcm, "application/octet-stream"),
            file_format="pcm_s16le_16",
            language_code=self._settings.language_code,
            timestamps_granularity="word",
            tag_audio_events=False,
            diarize=False,
            request_options={"max_retries": 0, "timeout_in_seconds": math.ceil(limit_s)},
            **optional,
        )

    def _cost_usd(self, pcm: bytes, keyterms: list[str]) -> float:
        hours = len(pcm) / (BYTES_PER_SAMPLE * SAMPLE_RATE_HZ) / 3600
        price = self._settings.cost_usd_per_hour + bool(keyterms) * self._settings.keyterms_cost_usd_per_hour
        return hours * price


def together(standing: Iterable[str], asked: Iterable[str]) -> list[str]:
    """The keyterms of the request, then the standing ones, each once, at most 100, without those the vendor refuses."""
    terms = {term.strip().casefold(): term.strip() for term in [*asked, *standing] if admissible_keyterm(term)}
    return list(terms.values())[:KEYTERMS_MAX]


def _words(words: Iterable[_VendorWord]) -> tuple[Word, ...]:
    """Spoken words with their instants: no spaces, no sounds, and none that the vendor left without a time."""
    return tuple(
        Word(word.text, word.start, word.end, None if word.logprob is None else math.exp(min(0.0, word.logprob)))
        for word in words
        if word.type == "word" and word.start is not None and word.end is not None
    )


def _translated(error: ApiError) -> SttError:
    """The port's error for the vendor's. A 2xx arrives here when its body is not JSON."""
    status = error.status_code or 0
    text = f"HTTP {status}"
    if status == 429:
        throttled = SttThrottled(text)
        throttled.retry_after_s = _retry_after_s(error.headers or {})
        return throttled
    if 400 <= status < 500 and status not in _NOT_OUR_FAULT:
        return SttRefused(text)
    return SttUnavailable(text)


def _retry_after_s(headers: dict[str, str]) -> float:
    """The `Retry-After` header in seconds; 0 when it is missing or a date."""
    value = {name.lower(): text for name, text in headers.items()}.get("retry-after", "")
    return float(value) if value.isdecimal() else 0.0


async def _put_together(request: httpx.Request) -> None:
    """Make a multipart body one piece before it is sent: in parts, httpx writes twice for every keyterm's field."""
    await request.aread()
