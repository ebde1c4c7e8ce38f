"""Carries rows from sessions to the telemetry stage in batches, in the background, and says when they are durable."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field

from deployments.metrics import Metrics
from deployments.telemetry.audio_folder import KeptAudio
from deployments.telemetry.records import Feedback, Interaction

log = logging.getLogger("balto.recorder")

Row = Interaction | Feedback


class RecorderSettings(BaseModel):
    """How rows travel from an ingress replica to the telemetry stage."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    linger_ms: int = Field(20, ge=0, le=1000)
    """How long a batch waits for company: nobody waits for it, and a call costs 2 ms of CPU."""
    batch_max_rows: int = Field(200, ge=1, le=5000)
    pending_max_rows: int = Field(20_000, ge=1)
    """Rows held in memory while telemetry is out of reach; beyond it a row is dropped, counted and logged."""
    retry_max_s: float = Field(2.0, gt=0, le=60)
    audio_in_flight_max: int = Field(16, ge=1, le=1000)
    """Utterances whose audio is on its way to be kept, where `telemetry.audio.keep` is on; beyond it audio is dropped
    and counted. An utterance of 8 s is 256 kB."""


class RecordSink(Protocol):
    """Where rows go: the telemetry stage."""

    async def record(self, rows: Sequence[Row]) -> int:
        """Make `rows` durable."""

    async def keep_audio(self, audio: KeptAudio) -> bool:
        """Keep an utterance's audio where that is switched on; whether it was kept."""


class Recorder:
    """One queue of rows with one owner. `put` never waits; its future ends with True once the row is durable."""

    def __init__(self, settings: RecorderSettings, sink: RecordSink, metrics: Metrics) -> None:
        self._settings = settings
        self._sink = sink
        self._metrics = metrics
        self._rows: deque[tuple[Row, asyncio.Future[bool]]] = deque()
        self._in_flight = 0
        self._wake = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._keeping: set[asyncio.Task[None]] = set()

    @property
    def pending(self) -> int:
        """Rows that are not durable yet."""
        return len(self._rows) + self._in_flight

    def put(self, row: Row) -> asyncio.Future[bool]:
        """Take a row. The future's result is True once it is durable, False if it had to be dropped."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self._closing or len(self._rows) >= self._settings.pending_max_rows:
            self._metrics.count("rows_dropped")
            log.error("row_dropped reason=%s pending=%d", "closing" if self._closing else "full", len(self._rows))
            future.set_result(False)
            return future
        if self._task is None:
            self._task = asyncio.create_task(self._carry(), name="recorder")
        self._rows.append((row, future))
        self._wake.set()
        return future

    def keep_audio(self, audio: KeptAudio) -> None:
        """Have an utterance's audio kept; where that fails or too much is on its way, it is dropped and counted."""
        if self._closing or len(self._keeping) >= self._settings.audio_in_flight_max:
            self._audio_dropped("closing" if self._closing else "full")
            return
        task = asyncio.create_task(self._keep(audio))
        self._keeping.add(task)
        task.add_done_callback(self._keeping.discard)

    async def _keep(self, audio: KeptAudio) -> None:
        try:
            await self._sink.keep_audio(audio)
        except Exception as exc:  # whatever telemetry raises: kept audio is never worth an utterance
            self._audio_dropped(type(exc).__name__)

    def _audio_dropped(self, reason: str) -> None:
        self._metrics.count("audio_dropped", reason=reason)
        log.warning("audio_dropped reason=%s", reason)

    async def close(self, within_s: float = 5.0) -> None:
        """Carry what is pending, for at most `within_s` seconds; what is left then is dropped, counted and logged."""
        self._closing = True
        self._wake.set()
        if self._keeping:
            await asyncio.wait(self._keeping, timeout=within_s)
        for keeping in list(self._keeping):
            keeping.cancel()
        if self._task is None:
            return
        _, late = await asyncio.wait([self._task], timeout=within_s)
        for task in late:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        if self._rows:
            self._metrics.count("rows_dropped", len(self._rows))
            log.error("rows_dropped reason=closing rows=%d", len(self._rows))
        while self._rows:
            _settle(self._rows.popleft()[1], durable=False)

    async def _carry(self) -> None:
        while not (self._closing and not self._rows):
            await self._wake.wait()
            self._wake.clear()
            if not self._closing:
                await asyncio.sleep(self._settings.linger_ms / 1000)
            while self._rows:
                await self._ship()

    async def _ship(self) -> None:
        batch = [self._rows.popleft() for _ in range(min(len(self._rows), self._settings.batch_max_rows))]
        self._in_flight = len(batch)
        try:
            await self._until_durable([row for row, _ in batch])
        except asyncio.CancelledError:
            self._rows.extendleft(reversed(batch))
            raise
        finally:
            self._in_flight = 0
        for _, future in batch:
            _settle(future, durable=True)

    async def _until_durable(self, rows: list[Row]) -> None:
        delay_s = 0.05
        while True:
            try:
                await self._sink.record(rows)
                return
            except Exception as exc:  # whatever telemetry raises, the rows stay ours until it has taken them
                self._metrics.count("record_retries", error=type(exc).__name__)
                log.warning("record_retry error=%s rows=%d in_s=%.2f", type(exc).__name__, len(rows), delay_s)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, self._settings.retry_max_s)


def _settle(future: asyncio.Future[bool], *, durable: bool) -> None:
    if not future.done():
        future.set_result(durable)
