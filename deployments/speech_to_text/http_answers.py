"""What an HTTP answer of a provider means to the port, and how a body that stops in the middle is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping

import httpx

from deployments.speech_to_text.port import SttError, SttRefused, SttStalled, SttThrottled, SttUnavailable
from deployments.speech_to_text.within import within

_NOT_NOW = frozenset({408, 409, 425})
"""4xx that say "not now" rather than "never"."""

_KEY = frozenset({401, 402, 403})
"""4xx that are about the key or what has been paid for, not about this request."""


_ABOUT_THE_KEY = frozenset({401, 402, 403})
"""4xx that no other utterance will fare better with: the key is unknown, unpaid or not allowed to."""


def error_of(status: int, headers: Mapping[str, str]) -> SttError:
    """The port's error for an HTTP status, with how long the provider asks to be left alone."""
    text = f"HTTP {status}"
    error: SttError
    if status == 429:
        error = SttThrottled(text)
    elif 400 <= status < 500 and status not in _NOT_NOW:
        error = SttRefused(text)
        error.of_key = status in _ABOUT_THE_KEY
    else:
        error = SttUnavailable(text)
    error.retry_after_s = retry_after_s(headers)
    return error


def refused(text: str, *, of_key: bool) -> SttRefused:
    """A refusal, of the key or of this one request."""
    error = SttRefused(text)
    error.of_key = of_key
    return error


def retry_after_s(headers: Mapping[str, str]) -> float:
    """The `Retry-After` header in seconds; 0 when it is missing or a date."""
    value = {name.lower(): text for name, text in headers.items()}.get("retry-after", "")
    return float(value) if value.isdecimal() else 0.0


async def put_together(request: httpx.Request) -> None:
    """Make a body one piece before it is sent: in parts, httpx writes for each of them."""
    await request.aread()


class Impatience:
    """A response hook of httpx: a body that pauses for longer than `silence_s` seconds raises SttStalled."""

    def __init__(self, silence_s: float) -> None:
        self._silence_s = silence_s

    async def __call__(self, response: httpx.Response) -> None:
        """Watch the body of `response`."""
        if isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _Watched(response.stream, self._silence_s)


class _Watched(httpx.AsyncByteStream):
    def __init__(self, stream: httpx.AsyncByteStream, silence_s: float) -> None:
        self._stream = stream
        self._silence_s = silence_s

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = self._stream.__aiter__()
        while True:
            try:
                piece = await within(self._silence_s, anext(pieces))
            except StopAsyncIteration:
                return
            except asyncio.TimeoutError:
                raise SttStalled(f"silent for {self._silence_s:.2f} s in the middle of its answer") from None
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
