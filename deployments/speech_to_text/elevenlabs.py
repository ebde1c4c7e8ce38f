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
from deployments.http_transport import Transport
from deployments.speech_to_text.http_answers import Impatience, error_of, put_together
from deployments.speech_to_text.kept_body import keep_body, kept_body
from deployments.speech_to_text.port import SttTimeout, SttUnavailable, Transcript, Word
from deployments.speech_to_text.settings import KEYTERMS_MAX, ElevenLabsSettings, admissible_keyterm
from deployments.speech_to_text.within import within


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
        self._standing = together(settings.keyterms, ())
        self._http = httpx.AsyncClient(
            transport=Transport(settings.max_connections, settings.keepalive_s),
            timeout=settings.timeout_s,
            headers={"accept-encoding": "identity"},  # answers are small, and keep_body reads them as they come
            event_hooks={"request": [put_together], "response": [Impatience(settings.silence_s), keep_body]},
        )
        key = settings.api_key.get_secret_value() if settings.api_key else ""
        self._client = AsyncElevenLabs(base_url=settings.base_url, api_key=key, httpx_client=self._http)

    async def transcribe(self, pcm: bytes, *, keyterms: tuple[str, ...], budget_s: float) -> Transcript:
        """Recognise 16 kHz mono s16le `pcm` within `budget_s` or `timeout_s`, whichever is less; raises SttError."""
        limit_s = min(self._settings.timeout_s, budget_s)
        terms = self._terms(keyterms)
        try:
            with kept_body() as pieces:  # the SDK takes half of a call's CPU to read its words
                answer = await within(limit_s, self._convert(pcm, terms, limit_s))
            body = b"".join(pieces)
            heard = _VendorAnswer.model_validate_json(body) if pieces else _VendorAnswer.model_validate(answer)
        except (asyncio.TimeoutError, httpx.TimeoutException):
            raise SttTimeout(f"no answer within {limit_s:.2f} s") from None
        except ApiError as error:
            raise error_of(error.status_code or 0, error.headers or {}) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise SttUnavailable(type(error).__name__) from None
        except (ParsingError, ValidationError, ValueError, TypeError) as error:
            raise SttUnavailable(f"undocumented answer: {type(error).__name__}") from None
        return Transcript(heard.text.strip(), _words(heard.words), self._settings.model, self._usd(pcm, terms))

    def price_usd(self, pcm: bytes, keyterms: Iterable[str] = ()) -> float:
        """What recognising `pcm` costs: by the second, with the surcharge when any keyterm is sent.

        Give the keyterms of the request: the standing ones are counted besides. What was sent is billed, so this is
        also what a request costs that was cancelled on its way.
        """
        return self._usd(pcm, self._terms(keyterms))

    async def warm(self) -> bool:
        """Open a connection ahead of the first utterance; False when the vendor is out of reach. Costs nothing."""
        try:
            await self._http.get(self._settings.base_url)
        except (httpx.HTTPError, httpx.InvalidURL, SttUnavailable):
            return False
        return True

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    def _terms(self, asked: Iterable[str]) -> list[str]:
        asked = tuple(asked)
        return together(self._standing, asked) if asked else self._standing

    def _usd(self, pcm: bytes, terms: list[str]) -> float:
        hours = len(pcm) / (BYTES_PER_SAMPLE * SAMPLE_RATE_HZ) / 3600
        return hours * (self._settings.cost_usd_per_hour + bool(terms) * self._settings.keyterms_cost_usd_per_hour)

    async def _convert(self, pcm: bytes, keyterms: list[str], limit_s: float) -> Any:
        optional: dict[str, Any] = {"keyterms": keyterms} if keyterms else {}
        if self._settings.zero_retention:
            optional["enable_logging"] = False
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
