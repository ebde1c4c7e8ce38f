"""One counter's connection to Balto: introduces itself, sends, hears, and comes back after a loss."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import random as random_module
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from audio.utterance import SAMPLE_RATE_HZ
from serve_app.client.decisions import Backoff, Endpoints, Ledger, catch_up_pause_s
from serve_app.client.errors import ClientError, ConnectionLost, FinishTimedOut, Refused
from serve_app.client.events import Event
from serve_app.client.held import HeldAudio, cancelled
from serve_app.client.messages import handshake, is_number, parse, refusal
from serve_app.client.settings import ClientSettings
from serve_app.client.sources import Source

HEADERS: Final = {"x-request-disconnect-disabled": "?1"}
"""Keeps Ray Serve from cancelling a session's handler when its socket closes, and restores TCP backpressure."""

_RETRIED_REFUSALS: Final = frozenset({4002, 4005})  # a full server empties; an old connection is soon noticed as gone
_MAX_COMMANDS: Final = 100
_CLOSE_TIMEOUT_S: Final = 2.0
"""How long a server may take to say goodbye too: one that was cut off never does."""


class _Lost(Exception):
    """One connection ended before the stream did; it may be resumed."""


class CounterClient:
    """One counter. `run` streams a source to its end; generation 4 resumes, the older ones end with the connection."""

    def __init__(
        self,
        settings: ClientSettings,
        api_key: str,
        *,
        clock: Callable[[], float] = time.monotonic,
        random: Callable[[], float] = random_module.random,
    ) -> None:
        self._settings = settings
        self._key = api_key
        self._clock = clock
        self._ledger = Ledger()
        self._backoff = Backoff(settings, random)
        self._endpoints = Endpoints(settings.urls)
        self._pace_bytes_per_s: float | None = None
        self._sent_away = False
        self._held = HeldAudio(settings)
        self._commands: deque[str] = deque()
        self._on_event: Callable[[Event], None] = lambda _: None
        self._ended = False
        self._last_error: Mapping[str, Any] = {}
        self._asked_until_s = 0.0
        self._started_s = 0.0
        self.stream_started_s: float | None = None
        """When the source was started, in seconds after the start of `run`."""

    @property
    def session_id(self) -> str | None:
        """The session that the server gave (generation 4), None before it did."""
        return self._ledger.session_id

    @property
    def now_s(self) -> float:
        """Seconds since the start of `run`, as in `Event.t_s`."""
        return self._clock() - self._started_s

    def submit(self, command: Mapping[str, Any]) -> None:
        """Queue a command (`texto`, `retorno`, `ping`) to be sent once, in order; ClientError beyond 100 waiting."""
        if len(self._commands) >= _MAX_COMMANDS or self._ended:
            raise ClientError("command_not_queued")
        self._commands.append(json.dumps(command, ensure_ascii=False))
        self._held.wake()

    async def run(self, source: Source, on_event: Callable[[Event], None]) -> None:
        """Stream `source`, say `fim`, wait for the close; `on_event` is called on the event loop for all that happens.

        To be called once. Raises Refused, ConnectionLost, FinishTimedOut, and what the source raises.
        """
        self._on_event = on_event
        self._started_s = self._clock()
        try:
            await self._stay_connected(source)
        finally:
            await self._held.close()

    async def _stay_connected(self, source: Source) -> None:
        while True:
            asked_s = 0.0
            try:
                await self._one_connection(source)
            except Refused as refused:
                if not self._held.started or refused.close_code not in _RETRIED_REFUSALS:
                    raise
                reason, asked_s = refused.codigo, refused.retry_in_s
            except InvalidStatus as exc:
                reason = f"HTTP {exc.response.status_code}"
                if exc.response.status_code < 500:
                    raise ConnectionLost(f"{self._endpoints.url}: {reason}") from exc
            except (_Lost, OSError, asyncio.TimeoutError, WebSocketException) as exc:
                reason, asked_s = str(exc) or type(exc).__name__, self._asked_until_s - self._clock()
            else:
                return
            await self._wait_to_reconnect(reason, asked_s)

    async def _wait_to_reconnect(self, reason: str, asked_s: float) -> None:
        sent_away = self._sent_away
        delay_s = self._backoff.next_delay_s(asked_s, sent_away=sent_away) if self._settings.generation == 4 else None
        if delay_s is None:
            raise ConnectionLost(f"{self._endpoints.url}: {reason}")
        self._endpoints.failed()
        self._emit("reconnecting", reason=reason, in_s=round(delay_s, 3))
        await asyncio.sleep(delay_s)

    async def _one_connection(self, source: Source) -> None:
        """Connect, introduce ourselves, converse; returns when the stream is finished, raises otherwise."""
        s, url = self._settings, self._endpoints.url
        self._last_error, self._asked_until_s, self._sent_away = {}, 0.0, False
        async with connect(
            url,
            compression=None,
            additional_headers=HEADERS,
            proxy=None if is_loopback(url) else True,
            open_timeout=s.connect_timeout_s,
            close_timeout=_CLOSE_TIMEOUT_S,
            ping_interval=s.ping_interval_s,
            ping_timeout=s.ping_timeout_s,
            max_size=s.max_message_bytes,
        ) as ws:
            try:
                await self._introduce(ws, source)
            except ConnectionClosed:
                self._judge(ws)
            await self._accepted(ws, source)

    async def _accepted(self, ws: ClientConnection, source: Source) -> None:
        accepted_s = self._clock()
        self._backoff.connected()
        self._endpoints.accepted()
        self._ended = False
        self._held.connected(True)
        try:
            if not self._held.started:
                self.stream_started_s = self.now_s
                self._held.start(source)
            await self._converse(ws)
        finally:
            self._held.connected(False)
            self._backoff.lasted(self._clock() - accepted_s)

    async def _introduce(self, ws: ClientConnection, source: Source) -> None:
        desde = self._ledger.needed_from(self._sendable(source)[0])
        opening = handshake(self._settings, self._key, source.formato, self.session_id, desde)
        with suppress(ConnectionClosed):  # turned away already: why, and until when, is what there is to hear
            await ws.send(json.dumps(opening, ensure_ascii=False))
        if self._settings.generation < 4:
            self._emit("connected", generation=self._settings.generation)
            return
        session_id, received_until = await asyncio.wait_for(self._welcome(ws), self._settings.handshake_timeout_s)
        await self._resume(source, session_id, received_until)
        base = self._ledger.base_sample
        self._emit("connected", generation=4, sessao=session_id, recebido_ate=received_until, base_sample=base)

    async def _welcome(self, ws: ClientConnection) -> tuple[str, int]:
        while True:
            message = parse(await ws.recv())
            if message is None:
                continue
            kind, fields = message
            until = fields.get("recebido_ate")
            if kind == "sessao" and isinstance(fields.get("sessao"), str) and isinstance(until, int) and until >= 0:
                pace = fields.get("bytes_por_s")
                self._pace_bytes_per_s = pace if is_number(pace) and pace > 0 else None
                return fields["sessao"], until
            if kind == "erro":
                self._last_error = fields

    async def _resume(self, source: Source, session_id: str, received_until: int) -> None:
        plan = self._ledger.welcomed(session_id, received_until, *self._sendable(source))
        if plan.lost_samples:
            self._emit("audio_lost", seconds=round(plan.lost_samples / SAMPLE_RATE_HZ, 3))
        if plan.from_sample is None:
            raise _Lost("audio_not_held")
        if source.formato == "pcm_s16le_16k":
            self._held.rewind(plan.from_sample)
        elif self._held.started:
            await self._restart(source, plan.from_sample, received_until)

    def _sendable(self, source: Source) -> tuple[int, int]:
        """The stream's samples that can be sent (again), from and until: PCM from memory, a container from its file."""
        if source.formato == "pcm_s16le_16k":
            return self._held.first_sample, self._held.end_sample
        return 0, sys.maxsize

    async def _restart(self, source: Source, sample: int, received_until: int) -> None:
        """A container cannot be taken up in the middle: a new one takes its place, and what waited is dropped."""
        begin = source.restart(sample)
        if begin is not None:
            self._ledger.aligned(begin, received_until)
        await self._held.restart(source)

    async def _converse(self, ws: ClientConnection) -> None:
        """Send and hear at once; the sender ends after `fim`, the hearer with the connection."""
        sending = asyncio.create_task(self._send_all(ws))
        hearing = asyncio.create_task(self._hear(ws))
        try:
            await asyncio.wait({sending, hearing}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
                await asyncio.wait({hearing}, timeout=self._settings.finish_timeout_s)
                if not hearing.done():
                    raise FinishTimedOut(f"no close within {self._settings.finish_timeout_s:g} s after fim")
            hearing.result()
        finally:
            await cancelled(sending, hearing)

    async def _send_all(self, ws: ClientConnection) -> None:
        """Everything until `fim`; a closed connection ends it quietly, since the hearer says what it means."""
        try:
            while await self._send_next(ws):
                pass
        except ConnectionClosed:
            return

    async def _send_next(self, ws: ClientConnection) -> bool:
        """Send one thing or wait for one; False after `fim`. Raises _Lost when audio gave way before it was sent."""
        if self._commands:
            await ws.send(self._commands[0])
            self._commands.popleft()
        elif self._held.overrun:
            raise _Lost("audio_not_held")
        elif piece := self._held.take():
            await self._send_audio(ws, piece)
        elif self._held.ended():
            await ws.send('{"comando":"fim"}')
            self._ended = True
            self._emit("end_sent")
            return False
        else:
            await self._held.change()
        return True

    async def _send_audio(self, ws: ClientConnection, piece: bytes) -> None:
        await ws.send(piece)
        self._held.sent()
        if self._held.backlog:
            await asyncio.sleep(catch_up_pause_s(self._settings, len(piece), self._pace_bytes_per_s))

    async def _hear(self, ws: ClientConnection) -> None:
        try:
            while True:
                message = parse(await ws.recv())
                if message is not None:
                    self._received(*message)
        except ConnectionClosed:
            self._judge(ws)
        self._emit("closed")

    def _received(self, kind: str, fields: dict[str, Any]) -> None:
        if kind == "recomendar":
            suggestion_id = fields.get("id")
            if isinstance(suggestion_id, str) and not self._ledger.first_time(suggestion_id):
                return
        elif kind == "recebido":
            until = fields.get("ate")
            if not isinstance(until, int):
                return
            self._held.forget(self._ledger.received(until))
        elif kind == "ouvido":
            fields = self._ledger.in_stream_time(fields)
        elif kind == "reconectar" and is_number(fields.get("em_s")):
            self._asked_until_s, self._sent_away = self._clock() + fields["em_s"], True
        elif kind == "erro":
            self._last_error = fields
        elif kind not in {"aviso", "pong", "reconectar"}:
            return
        self._emit(kind, **fields)

    def _judge(self, ws: ClientConnection) -> None:
        """Return when the close ends a finished stream; otherwise raise Refused or _Lost."""
        refused = refusal(ws.close_code, self._last_error)
        if refused is not None:
            raise refused
        if not (self._ended and ws.close_code == 1000):
            raise _Lost(f"closed {ws.close_code}")

    def _emit(self, kind: str, /, **fields: Any) -> None:
        self._on_event(Event(self.now_s, kind, fields))


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine, past any proxy of the environment."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
