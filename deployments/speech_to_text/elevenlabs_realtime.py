"""Speech recognition by ElevenLabs' realtime transcription, through the vendor's SDK: fed while somebody speaks."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import time
from collections.abc import Iterable
from typing import Any

import httpx
from elevenlabs.client import AsyncElevenLabs
from elevenlabs.realtime.connection import RealtimeConnection, RealtimeEvents
from elevenlabs.realtime.scribe import AudioFormat, CommitStrategy, RealtimeAudioOptions
from websockets.exceptions import InvalidStatus, WebSocketException

from audio.utterance import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ
from deployments.metrics import Metrics, NoMetrics
from deployments.speech_to_text.adapter_settings import RealtimeSettings
from deployments.speech_to_text.http_answers import error_of, refused
from deployments.speech_to_text.port import SttError, SttThrottled, SttTimeout, SttUnavailable, Transcript
from deployments.speech_to_text.realtime import Finals, OnPartial, Partials
from deployments.speech_to_text.within import within

_BYTES_PER_S = BYTES_PER_SAMPLE * SAMPLE_RATE_HZ

_OF_KEY = frozenset({"auth_error", "quota_exceeded", "unaccepted_terms"})
_OF_REQUEST = frozenset({"input_error", "invalid_request", "chunk_size_exceeded"})
_THROTTLED = frozenset({"rate_limited", "queue_overflow", "resource_exhausted", "commit_throttled"})
"""Types of the vendor's error messages; every other one is the vendor's own trouble."""


class ElevenLabsRealtime:
    """Opens sessions over one SDK client; as a provider of the batch port it opens one for each utterance.

    `metrics` counts `stt_realtime_dropped` by `kind` (partial, final) and `stt_realtime_ended` by `why`.
    """

    name = "elevenlabs_realtime"
    simulated = False

    def __init__(self, settings: RealtimeSettings, metrics: Metrics | None = None) -> None:
        self._settings = settings
        self._metrics: Metrics = metrics or NoMetrics()
        self._http = httpx.AsyncClient(timeout=settings.connect_timeout_s)  # the SDK wants one; realtime never uses it
        key = settings.api_key.get_secret_value() if settings.api_key else ""
        client = AsyncElevenLabs(base_url=settings.base_url, api_key=key, httpx_client=self._http)
        self._realtime = client.speech_to_text.realtime
        self._sessions: set[ElevenLabsSession] = set()
        self._closing: set[asyncio.Task[None]] = set()

    async def open(
        self, keyterms: tuple[str, ...], budget_s: float, on_partial: OnPartial | None = None
    ) -> ElevenLabsSession:
        """A session that the vendor has confirmed, within `budget_s` or `connect_timeout_s`; raises SttError."""
        limit_s = min(self._settings.connect_timeout_s, budget_s)
        terms = self._keyterms(keyterms)
        try:
            session = await within(limit_s, self._connected(terms, on_partial))
        except InvalidStatus as error:
            raise error_of(error.response.status_code, dict(error.response.headers.raw_items())) from None
        except asyncio.TimeoutError:
            raise SttTimeout(f"no session within {limit_s:.2f} s") from None
        except (WebSocketException, OSError, EOFError) as error:
            raise SttUnavailable(type(error).__name__) from None
        except ValueError:
            raise refused("the SDK refuses the options: is ELEVENLABS_API_KEY set?", of_key=True) from None
        return session

    async def transcribe(self, pcm: bytes, *, keyterms: tuple[str, ...], budget_s: float) -> Transcript:
        """Recognise 16 kHz mono s16le `pcm` over a session of its own within `budget_s` or `timeout_s`."""
        limit_s = min(self._settings.timeout_s, budget_s)
        deadline = time.monotonic() + limit_s
        session = await self.open(keyterms, limit_s)
        try:
            await within(max(0.0, deadline - time.monotonic()), self._fed(session, pcm))
            return await session.commit(max(0.0, deadline - time.monotonic()))
        except asyncio.TimeoutError:
            raise SttTimeout(f"no answer within {limit_s:.2f} s") from None
        finally:
            self._close_later(session)

    def price_usd(self, pcm: bytes, keyterms: Iterable[str] = ()) -> float:
        """What feeding `pcm` costs, by the second; the standing keyterms are counted besides `keyterms`."""
        surcharge = bool(self._keyterms(keyterms)) * self._settings.keyterms_cost_usd_per_hour
        return len(pcm) / _BYTES_PER_S / 3600 * (self._settings.cost_usd_per_hour + surcharge)

    async def warm(self) -> bool:
        """Open a session and close it again: whether the vendor is in reach and takes the key. Costs nothing."""
        try:
            session = await self.open((), self._settings.connect_timeout_s)
        except SttError:
            return False
        await session.close()
        return True

    async def close(self) -> None:
        """Hang up every session that is still open."""
        for session in list(self._sessions):
            self._close_later(session)
        if self._closing:
            await asyncio.wait(self._closing)
        await self._http.aclose()

    async def _connected(self, terms: list[str], on_partial: OnPartial | None) -> ElevenLabsSession:
        options: RealtimeAudioOptions = {
            "model_id": self._settings.model,
            "audio_format": AudioFormat.PCM_16000,
            "sample_rate": SAMPLE_RATE_HZ,
            "commit_strategy": CommitStrategy.MANUAL,
            "language_code": self._settings.language_code,
        }
        if terms:
            options["keyterms"] = terms
        if self._settings.zero_retention:
            options["enable_logging"] = False
        connection = await self._realtime.connect(options)
        session = ElevenLabsSession(self._settings, connection, bool(terms), on_partial, self._ended)
        self._sessions.add(session)
        try:
            await session.started()
        except BaseException:
            await session.close()
            raise
        return session

    async def _fed(self, session: ElevenLabsSession, pcm: bytes) -> None:
        size = self._settings.piece_ms * _BYTES_PER_S // 1000
        for start in range(0, len(pcm), size):
            await session.feed(pcm[start : start + size])

    def _close_later(self, session: ElevenLabsSession) -> None:
        """Nobody waits for the vendor's goodbye."""
        task = asyncio.create_task(session.close())
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _ended(self, session: ElevenLabsSession, why: str) -> None:
        self._sessions.discard(session)
        self._metrics.count("stt_realtime_ended", why=why)
        for kind, dropped in session.dropped.items():
            if dropped:
                self._metrics.count("stt_realtime_dropped", dropped, kind=kind)

    def _keyterms(self, asked: Iterable[str]) -> list[str]:
        """The request's keyterms, then the standing ones, each once, without those that are too long."""
        terms = {term.strip().casefold(): term.strip() for term in [*asked, *self._settings.keyterms]}
        short = [term for term in terms.values() if 0 < len(term) <= self._settings.keyterm_max_characters]
        return short[: self._settings.keyterms_max]


class ElevenLabsSession:
    """One WebSocket; implements `RealtimeSession`. The SDK's task reads it and calls the `_on_…` methods."""

    def __init__(
        self,
        settings: RealtimeSettings,
        connection: RealtimeConnection,
        with_keyterms: bool,
        on_partial: OnPartial | None,
        on_end: Any,
    ) -> None:
        self._settings = settings
        self._connection = connection
        self._usd_per_byte = (
            (settings.cost_usd_per_hour + with_keyterms * settings.keyterms_cost_usd_per_hour) / 3600 / _BYTES_PER_S
        )
        self._on_partial_heard = on_partial
        self._on_end = on_end
        self._partials = Partials()
        self._finals = Finals(settings.doubled_final_wait_s)
        self._news = asyncio.Event()
        self._ready = False
        self._error: SttError | None = None
        self._closed = False
        self._committing = False
        self._fed_bytes = 0
        self._uncommitted_bytes = 0
        for event, callback in (
            (RealtimeEvents.SESSION_STARTED, self._on_started),
            (RealtimeEvents.PARTIAL_TRANSCRIPT, self._on_partial),
            (RealtimeEvents.COMMITTED_TRANSCRIPT, self._on_final),
            (RealtimeEvents.ERROR, self._on_error),
            (RealtimeEvents.CLOSE, self._on_close),
        ):
            connection.on(event, callback)

    @property
    def alive(self) -> bool:
        """False once it failed or was closed."""
        return self._error is None and not self._closed

    @property
    def partial(self) -> str:
        """The latest partial text of the utterance under way."""
        return self._partials.latest

    @property
    def spent_usd(self) -> float:
        """What everything that was fed so far costs."""
        return self._fed_bytes * self._usd_per_byte

    @property
    def dropped(self) -> dict[str, int]:
        """How many partials and finals were repetitions."""
        return {"partial": self._partials.dropped, "final": self._finals.dropped}

    async def started(self) -> None:
        """Return when the vendor has confirmed the session; raises SttError."""
        while not self._ready:
            await self._next_news(None)

    async def feed(self, pcm: bytes) -> None:
        """Send `pcm`; raises SttError when the socket is dead or takes nothing for `feed_timeout_s`."""
        await self._send(self._connection.send({"audio_base_64": base64.b64encode(pcm).decode()}))
        self._fed_bytes += len(pcm)
        self._uncommitted_bytes += len(pcm)

    async def commit(self, budget_s: float) -> Transcript:
        """What was said since the last commit, within `budget_s` or `timeout_s`; raises SttError.

        A commit that fails, or is cancelled, ends the session: its text may still come and would be taken for the next.
        """
        if self._committing:
            raise RuntimeError("a session takes one commit at a time")
        self._raise_if_dead()
        committed = self._uncommitted_bytes
        if committed < self._settings.min_commit_ms * _BYTES_PER_S / 1000:
            raise refused(f"less than {self._settings.min_commit_ms} ms of audio to commit", of_key=False)
        self._committing = True
        try:
            text = await self._final(min(self._settings.timeout_s, budget_s))
        except BaseException as error:
            self._die(error if isinstance(error, SttError) else SttUnavailable("a commit was given up"))
            raise
        finally:
            self._committing = False
        self._partials.ended(text)
        self._uncommitted_bytes = 0
        return Transcript(text, (), self._settings.model, committed * self._usd_per_byte)

    async def close(self) -> None:
        """Hang up: a goodbye if the vendor answers it within `close_timeout_s`, else the connection is dropped."""
        if self._closed:
            return
        self._closed = True
        try:
            await within(self._settings.close_timeout_s, self._connection.close())
        except (asyncio.TimeoutError, WebSocketException, OSError):
            self._connection.websocket.transport.abort()
        finally:
            self._on_end(self, type(self._error).__name__ if self._error else "closed")

    async def _final(self, limit_s: float) -> str:
        deadline = time.monotonic() + limit_s
        self._finals.committed()
        await self._send(self._connection.commit())
        while True:
            now = time.monotonic()
            left_s = self._finals.left_s(now)
            if left_s == 0.0:
                return self._finals.take()
            until = deadline if left_s is None else min(deadline, now + left_s)
            if until <= now:
                raise SttTimeout(f"no final text within {limit_s:.2f} s")
            await self._next_news(until - now)

    async def _next_news(self, limit_s: float | None) -> None:
        """Wait until something came in or `limit_s` passed; raises the session's error."""
        self._raise_if_dead()
        self._news.clear()
        with contextlib.suppress(asyncio.TimeoutError):
            await within(limit_s, self._news.wait())
        self._raise_if_dead()

    async def _send(self, sending: Any) -> None:
        if not self.alive:
            sending.close()
            self._raise_if_dead()
        try:
            await within(self._settings.feed_timeout_s, sending)
        except asyncio.TimeoutError:
            self._die(SttUnavailable("the socket takes no audio"))
        except (WebSocketException, OSError) as error:
            self._die(SttUnavailable(type(error).__name__))
        self._raise_if_dead()

    def _raise_if_dead(self) -> None:
        if self._error is not None:
            raise self._error from None
        if self._closed:
            raise SttUnavailable("the session is closed")

    def _die(self, error: SttError) -> None:
        """The first error is the session's."""
        self._error = self._error or error
        self._news.set()

    def _on_started(self, message: dict[str, Any]) -> None:
        self._ready = True
        self._news.set()

    def _on_partial(self, message: dict[str, Any]) -> None:
        text = message.get("text")
        if not isinstance(text, str):
            self._die(SttUnavailable("undocumented answer: a partial without text"))
        elif not self._committing and self._partials.fresh(text) and self._on_partial_heard is not None:
            self._on_partial_heard(text.strip())

    def _on_final(self, message: dict[str, Any]) -> None:
        text = message.get("text")
        if not isinstance(text, str):
            self._die(SttUnavailable("undocumented answer: a final without text"))
            return
        self._finals.arrived(text, time.monotonic())
        self._news.set()

    def _on_error(self, message: dict[str, Any]) -> None:
        """The message's own text stays unread: it may hold what somebody said."""
        kind = message.get("message_type")
        if kind in _OF_KEY or kind in _OF_REQUEST:
            self._die(refused(str(kind), of_key=kind in _OF_KEY))
        elif kind in _THROTTLED:
            self._die(SttThrottled(str(kind)))
        else:
            self._die(SttUnavailable("the vendor reports an error"))

    def _on_close(self, info: dict[str, Any]) -> None:
        if not self._closed:
            self._die(SttUnavailable(f"the vendor hung up ({info.get('code')})"))
