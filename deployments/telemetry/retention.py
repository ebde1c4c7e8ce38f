"""What grows old goes: texts first, figures later, once a day, by one replica at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from pydantic import BaseModel, ConfigDict, Field

from deployments.metrics import Metrics
from deployments.telemetry.erasure import RETENTION_LOCK_KEY, Execute, PrivacyStore
from deployments.telemetry.errors import TelemetryError

log = logging.getLogger("balto.telemetry")


class RetentionSettings(BaseModel):
    """How long what is kept. None: for ever."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    text_days: float | None = Field(90, gt=0, le=36_500)
    """Of interactions: what was said and what was understood of it; the row's figures stay."""
    figures_days: float | None = Field(730, gt=0, le=36_500)
    """Interactions, whole."""
    feedback_days: float | None = Field(730, gt=0, le=36_500)
    """What became of suggestions."""
    acts_days: float | None = Field(1825, gt=0, le=36_500)
    """The log of administrative acts."""
    erased_sessions_days: float | None = Field(365, ge=30, le=36_500)
    """How long an erased session's id is remembered, so that no late row of it is written."""
    every_hours: float = Field(24, gt=0, le=168)
    """The job runs at start, and again after this time."""
    retry_minutes: float = Field(10, gt=0, le=1440)
    """After a run that failed."""
    batch_max_rows: int = Field(2000, ge=1, le=100_000)
    pause_ms: int = Field(50, ge=0, le=60_000)
    """Between two batches, so that the database serves others."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that grows old: `$1` of `sql` is the instant before which it goes, `$2` the most rows at once."""

    what: str
    days: float
    sql: str


def rules_of(settings: RetentionSettings) -> Iterator[Rule]:
    """What the settings say goes, in the order in which it goes."""
    for what, days, sql in (
        ("figures", settings.figures_days, _deletion("interacoes", "interaction_id", "happened_at")),
        ("text", settings.text_days, _TEXT),
        ("feedback", settings.feedback_days, _deletion("retornos", "feedback_id", "reported_at")),
        ("acts", settings.acts_days, _deletion("auditoria", "act_id", "happened_at")),
        ("erased_sessions", settings.erased_sessions_days, _deletion("sessoes_apagadas", "session_id", "erased_at")),
    ):
        if days is not None:
            yield Rule(what, days, sql)


def _deletion(table: str, key: str, instant: str) -> str:
    return f"DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE {instant} < $1 LIMIT $2)"  # noqa: S608


_TEXT = (
    "UPDATE interacoes SET text = '', entities = NULL WHERE interaction_id IN (SELECT interaction_id FROM interacoes "
    "WHERE happened_at < $1 AND (text <> '' OR entities IS NOT NULL) LIMIT $2)"
)


class Retention:
    """The job: one task, owned here, ended by `close`. A failed run changes nothing but the time of the next."""

    def __init__(
        self,
        settings: RetentionSettings,
        store: PrivacyStore,
        metrics: Metrics,
        now: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
        forget_audio: Callable[[datetime], int] | None = None,
    ) -> None:
        self._settings = settings
        self._store = store
        self._metrics = metrics
        self._now = now
        self._forget_audio = forget_audio
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Run now and then again and again, until `close`."""
        self._task = asyncio.create_task(self._run(), name="retention")

    async def close(self) -> None:
        """End the job, between two batches."""
        self._closing.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def run_once(self) -> dict[str, int] | None:
        """Let everything go that is old enough; rows by what they were, None where another replica is at it.

        Raises TelemetryError; what was done until then is done.
        """
        gone: dict[str, int] = {}
        if self._forget_audio is not None:  # of this node's disk, so every replica does it
            gone["audio"] = await asyncio.to_thread(self._forget_audio, self._now())
            self._metrics.count("telemetry_retention_rows", gone["audio"], what="audio")

        async def work(execute: Execute) -> None:
            for rule in rules_of(self._settings):
                gone[rule.what] = await self._apply(rule, execute)

        if not await self._store.exclusively(RETENTION_LOCK_KEY, work):
            return None
        self._metrics.count("telemetry_retention_runs")
        log.info("retention_done %s", " ".join(f"{what}={rows}" for what, rows in gone.items()))
        return gone

    async def _apply(self, rule: Rule, execute: Execute) -> int:
        before = self._store.instant(self._now() - timedelta(days=rule.days))
        total = 0
        while not self._closing.is_set():
            rows = await execute(rule.sql, before, self._settings.batch_max_rows)
            total += rows
            self._metrics.count("telemetry_retention_rows", rows, what=rule.what)
            if rows < self._settings.batch_max_rows:
                break
            await asyncio.sleep(self._settings.pause_ms / 1000)
        return total

    async def _run(self) -> None:
        while not self._closing.is_set():
            wait_s = self._settings.every_hours * 3600
            try:
                await self.run_once()
            except TelemetryError as exc:
                self._failed(type(exc).__name__)
                wait_s = self._settings.retry_minutes * 60
            except Exception as exc:  # a fault of ours must not end retention for good; its text may quote a row
                self._failed(type(exc).__name__)
            await asyncio.sleep(wait_s)

    def _failed(self, error: str) -> None:
        self._metrics.count("telemetry_retention_failures")
        log.warning("retention_failed error=%s", error)
