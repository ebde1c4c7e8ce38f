"""Traces of utterances for OpenTelemetry, made of a row's instants once it is recorded: the way itself pays nothing."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import httpx
from pydantic import BaseModel, ConfigDict, Field, field_validator

from deployments.metrics import Metrics
from deployments.telemetry.records import Feedback, Interaction

log = logging.getLogger("balto.telemetry")

_STEPS: Final = (
    ("listen", "audio_received_at", "segment_emitted_at"),
    ("voice", "voice_sent_at", "voice_ready_at"),
    ("speech_to_text", "stt_sent_at", "stt_ready_at"),
    ("advice", "advice_asked_at", "advice_ready_at"),
    ("advice.entities", "advice_asked_at", "advice_entities_at"),
    ("advice.category", "advice_entities_at", "advice_category_at"),
    ("deliver", "advice_ready_at", "sent_to_counter_at"),
)
"""Span, and the row's instants between which it lies."""
_INSTANTS: Final = tuple(dict.fromkeys(name for _, *ends in _STEPS for name in ends))
_ATTRIBUTES: Final = {
    "utterance": ("outcome", "discard_reason", "origin", "node", "client_id", "counter_id", "session_id", "simulated"),
    "voice": ("speech_confirmer",),
    "speech_to_text": ("stt_provider", "stt_model", "stt_status", "stt_error", "stt_attempts"),
    "advice": ("advice_origin", "advice_status", "advice_error", "advisor", "advisor_model"),
}
"""What a span carries of its row; never what was said."""
_FAILED: Final = {"stt_falhou", "llm_falhou", "prazo", "perdido"}


class TracesSettings(BaseModel):
    """Where traces go. Off by default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    otlp_url: str | None = None
    """A collector's OTLP/HTTP endpoint, `http://127.0.0.1:4318/v1/traces`; None: no traces."""
    share: float = Field(1.0, gt=0, le=1)
    """Share of utterances that are traced, chosen by their id."""
    batch_max: int = Field(100, ge=1, le=1000)
    linger_s: float = Field(1.0, ge=0, le=60)
    """How long utterances gather before they are sent."""
    waiting_max: int = Field(2000, ge=1, le=100_000)
    """Utterances waiting for the collector; beyond it traces are dropped and counted."""
    timeout_s: float = Field(5.0, gt=0, le=60)

    @field_validator("otlp_url")
    @classmethod
    def _is_an_address(cls, value: str | None) -> str | None:
        if value is not None and not value.startswith(("http://", "https://")):
            raise ValueError("must begin with http:// or https://, as in http://127.0.0.1:4318/v1/traces")
        return value


def spans_of(row: Interaction) -> list[dict[str, Any]]:
    """An utterance's spans in OTLP's JSON: one for the whole and one a step; none where nothing was timed."""
    instants = [at for name in _INSTANTS if (at := getattr(row, name)) is not None]
    if not instants:
        return []
    root = _span(row, "utterance", min(instants), max(instants), parent="")
    root["status"] = {"code": 2} if row.outcome in _FAILED else {"code": 1}
    return [root, *_steps(row)]


def _steps(row: Interaction) -> Iterator[dict[str, Any]]:
    for name, begins, ends in _STEPS:
        begun, ended = getattr(row, begins), getattr(row, ends)
        if begun is not None and ended is not None and begun <= ended:
            parent = name.rpartition(".")[0] or "utterance"
            yield _span(row, name, begun, ended, parent)


def _span(row: Interaction, name: str, begun: datetime, ended: datetime, parent: str) -> dict[str, Any]:
    span = {
        "traceId": _trace_id(row.utterance_id),
        "spanId": _span_id(row.utterance_id, name),
        "name": name,
        "kind": 2 if name == "utterance" else 1,
        "startTimeUnixNano": str(_unix_ns(begun)),
        "endTimeUnixNano": str(_unix_ns(ended)),
        "attributes": [
            {"key": f"balto.{key}", "value": {"stringValue": str(value)}}
            for key in _ATTRIBUTES.get(name, ())
            if (value := getattr(row, key)) not in (None, "")
        ],
    }
    return {**span, "parentSpanId": _span_id(row.utterance_id, parent)} if parent else span


def _unix_ns(at: datetime) -> int:
    return int(at.timestamp()) * 1_000_000_000 + at.microsecond * 1000


def _trace_id(utterance_id: str) -> str:
    try:
        return UUID(utterance_id).hex
    except ValueError:
        return hashlib.sha256(utterance_id.encode()).hexdigest()[:32]


def _span_id(utterance_id: str, name: str) -> str:
    return hashlib.sha256(f"{utterance_id}/{name}".encode()).hexdigest()[:16]


class Traces:
    """Sends the traces of recorded utterances to a collector, in the background; nobody waits for it."""

    def __init__(self, settings: TracesSettings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._waiting: deque[Interaction] = deque()
        self._arrived = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._failing = False

    def take(self, rows: Sequence[Interaction | Feedback]) -> None:
        """Trace these rows, where traces are switched on. Never waits, never raises."""
        if self._settings.otlp_url is None or self._closing:
            return
        for row in rows:
            if isinstance(row, Interaction) and self._chosen(row):
                self._put(row)
        if self._task is None and self._waiting:
            self._task = asyncio.create_task(self._carry(self._settings.otlp_url), name="traces")
        self._arrived.set()

    def _chosen(self, row: Interaction) -> bool:
        return int(_trace_id(row.utterance_id)[-8:], 16) < self._settings.share * 2**32

    def _put(self, row: Interaction) -> None:
        if len(self._waiting) >= self._settings.waiting_max:
            self._metrics.count("traces_dropped", reason="full")
            return
        self._waiting.append(row)

    async def close(self) -> None:
        """Send what waits, within `timeout_s`; the rest is dropped and counted."""
        self._closing = True
        self._arrived.set()
        if self._task is not None:
            _, late = await asyncio.wait([self._task], timeout=self._settings.timeout_s)
            for task in late:
                task.cancel()
                await asyncio.wait([task])
        if self._waiting:
            self._metrics.count("traces_dropped", len(self._waiting), reason="closing")

    async def _carry(self, url: str) -> None:
        async with httpx.AsyncClient(timeout=self._settings.timeout_s) as client:
            while not (self._closing and not self._waiting):
                await self._arrived.wait()
                self._arrived.clear()
                if not self._closing:
                    await asyncio.sleep(self._settings.linger_s)
                while self._waiting:
                    await self._send(client, url)

    async def _send(self, client: httpx.AsyncClient, url: str) -> None:
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._settings.batch_max))]
        try:
            answer = await client.post(url, json=self._message(batch))
            answer.raise_for_status()
        except httpx.HTTPError as exc:
            self._metrics.count("traces_dropped", len(batch), reason=type(exc).__name__)
            if not self._failing:
                log.warning("traces_undeliverable error=%s dropped=%d", type(exc).__name__, len(batch))
            self._failing = True
        else:
            self._failing = False
            self._metrics.count("traces_sent", len(batch))

    def _message(self, batch: Sequence[Interaction]) -> dict[str, Any]:
        resource = {"service.name": "balto", "service.version": batch[0].software_version}
        attributes = [{"key": key, "value": {"stringValue": value}} for key, value in resource.items()]
        spans = [span for row in batch for span in spans_of(row)]
        scoped = {"scope": {"name": "balto"}, "spans": spans}
        return {"resourceSpans": [{"resource": {"attributes": attributes}, "scopeSpans": [scoped]}]}
