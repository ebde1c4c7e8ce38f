"""One replica's purse: it knows what was spent, asks the database for the rest, and holds the stages to the budgets."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any, Literal, Protocol

from audio.utterance import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ
from deployments.metrics import Metrics
from deployments.recommender.port import Advice, AdviceRequest
from deployments.speech_to_text.listening import Listener
from deployments.speech_to_text.port import Transcription, TranscriptionRequest
from deployments.telemetry.costs import Cost
from deployments.voice.messages import VoiceReport, VoiceRequest
from serve_app.spending import EVERYBODY, Level, Spending, SpendingSettings
from serve_app.stages import Stages

log = logging.getLogger("balto.spending")

READ_TIMEOUT_S = 5.0

What = Literal["fala", "fala_em_vao", "llm"]
"""What money goes to: speech recognition, speech that was recognised in vain, language models."""


class CostRecords(Protocol):
    """Who knows what was recorded of costs: the telemetry stage."""

    async def costs(self, since: datetime, day_begins_utc_h: int, client_id: str = "") -> Sequence[Cost]:
        """What was spent since then, by client and day; of one client, or of all."""


class Purse:
    """Counts what is spent and says what each client may still spend. One task reads the database's sum now and then.

    Where that fails, what was read last and what this replica spent since go on counting. `clock`: epoch seconds.
    """

    def __init__(
        self,
        settings: SpendingSettings,
        records: CostRecords,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._records = records
        self._metrics = metrics
        self._clock = clock
        self._spending = Spending(settings)
        self._usd_per_s = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to read the database's sum; again: nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._look_forever(), name="purse")

    async def close(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def level(self, client_id: str) -> Level:
        """What is in force for a client now."""
        return self._spending.level(client_id, self._clock())

    def spent(self, client_id: str, usd: float, what: What) -> None:
        """Something was billed for a client; the operator is told when that takes a budget to another level."""
        if usd <= 0:
            return
        self._spending.spent(client_id, usd, self._clock())
        self._metrics.count("spent_usd", usd, what=what)
        self._tell()

    def learn_price(self, usd: float, duration_s: float) -> None:
        """What recognising that much cost: the price of what is given up before its answer says so."""
        if usd > 0 and duration_s > 0:
            self._usd_per_s = usd / duration_s

    def given_up(self, client_id: str, duration_s: float) -> float:
        """Count audio that was sent and given up: what was sent is billed, heard or not. What it cost."""
        usd = self._usd_per_s * duration_s
        self.spent(client_id, usd, "fala_em_vao")
        return usd

    def heard_along(self, client_id: str, usd: float) -> None:
        """Count what listening along cost."""
        self.spent(client_id, usd, "fala")

    def may_listen(self, client_id: str) -> bool:
        """Whether a client may still be listened to along: it is the dearest way to hear."""
        return self.level(client_id) < Level.ECONOMICAL

    async def look(self) -> None:
        """Read the day's sum from the database, if it is in reach."""
        asked_at_s = self._clock()
        day = datetime.fromtimestamp(self._settings.day_began_unix_s(asked_at_s), timezone.utc)
        try:
            asking = self._records.costs(day, self._settings.day_begins_utc_h)
            costs = await asyncio.wait_for(asking, READ_TIMEOUT_S)
        except Exception as exc:  # whatever keeps the sum from being read: what is known goes on counting
            self._metrics.count("spending_unread", error=type(exc).__name__)
            log.warning("spending_unread error=%s", type(exc).__name__)
            return
        sums: Counter[str] = Counter()
        for cost in costs:
            sums[cost.client_id] += cost.usd  # type: ignore[assignment]  # a Counter adds floats as well
        self._spending.read(sums, asked_at_s)
        self._tell()

    def describe(self) -> dict[str, Any]:
        """For `/saude`: the day's sum, and how many clients have come to which limit; `degraded` beyond a hard one."""
        now_s = self._clock()
        beyond = self._spending.beyond()
        overall = beyond.pop(EVERYBODY, Level.WITHIN)
        clients = Counter(level.name.lower() for level in beyond.values())
        return {
            "degraded": max([overall, *beyond.values()]) > Level.SOFT,
            "hoje_usd": round(self._spending.today_usd(EVERYBODY, now_s), 6),
            "lido_ha_s": round(now_s - self._spending.read_at_s, 1) if self._spending.read_at_s else None,
            "nivel": overall.name.lower(),
            "clientes": dict(clients),
        }

    def _tell(self) -> None:
        for change in self._spending.changes(self._clock()):
            whose = "overall" if change.client_id == EVERYBODY else "client"
            say = log.warning if change.level > change.before else log.info
            say(
                "budget whose=%s client=%s level=%s before=%s today_usd=%.2f",
                whose,
                change.client_id or "-",
                change.level.name.lower(),
                change.before.name.lower(),
                change.usd,
            )
            self._metrics.count("budget_changes", whose=whose, level=change.level.name.lower())
        beyond = self._spending.beyond()
        self._metrics.gauge("budget_level", float(beyond.pop(EVERYBODY, Level.WITHIN)))
        self._metrics.gauge("clients_over_soft_budget", float(len(beyond)))
        over_hard = sum(level > Level.SOFT for level in beyond.values())
        self._metrics.gauge("clients_over_hard_budget", float(over_hard))

    async def _look_forever(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(self._settings.refresh_s)


class ThriftyStages:
    """Passes on to `stages` what a client's budget allows, and counts what it cost."""

    def __init__(self, stages: Stages, purse: Purse, listener: Listener | None = None) -> None:
        self._stages = stages
        self._purse = purse
        self._listener = listener

    async def examine(self, request: VoiceRequest) -> VoiceReport:
        """See Stages."""
        return await self._stages.examine(request)

    async def clean(self, request: VoiceRequest) -> float | None:
        """See Stages."""
        return await self._stages.clean(request)

    async def transcribe(self, request: TranscriptionRequest) -> Transcription:
        """See Stages; what is cancelled is counted by whoever cancels."""
        if self._purse.level(request.client_id) >= Level.ECONOMICAL:
            request = replace(request, economical=True, may_hedge=False, keyterms=())
        heard = await self._stages.transcribe(request)
        self._purse.learn_price(heard.cost_usd, len(request.pcm) / (SAMPLE_RATE_HZ * BYTES_PER_SAMPLE))
        self._purse.spent(request.client_id, heard.cost_usd, "fala")
        return heard

    async def advise(self, request: AdviceRequest) -> Advice:
        """See Stages."""
        if self._purse.level(request.client_id) >= Level.RULES_ONLY:
            request = replace(request, rules_only=True)
        advice = await self._stages.advise(request)
        self._purse.spent(request.client_id, advice.cost_usd, "llm")
        return advice

    async def health(self) -> dict[str, dict[str, Any]]:
        """See Stages, with what was spent, and how listening along goes."""
        state = {**await self._stages.health(), "gastos": self._purse.describe()}
        return state if self._listener is None else {**state, "escuta": self._listener.health()}
