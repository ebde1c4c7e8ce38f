"""The stages as sessions reach them: in fair turns, and without what the replica sheds."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from deployments.metrics import Metrics
from deployments.recommender.port import Advice, AdviceRequest
from deployments.speech_to_text.port import Transcription, TranscriptionRequest
from deployments.voice.messages import VoiceReport, VoiceRequest
from serve_app.fairness import NoTurn, Turns
from serve_app.overload import Overload, Shedding
from serve_app.stages import Stages, StageTimeout


class SheddingStages:
    """Passes on to `stages`. What is left out of a request is counted as `shed`."""

    def __init__(self, stages: Stages, overload: Overload, turns: Turns, metrics: Metrics) -> None:
        self._stages = stages
        self._overload = overload
        self._turns = turns
        self._metrics = metrics

    async def examine(self, request: VoiceRequest) -> VoiceReport:
        """See Stages; how long it took says how loaded we are, since nobody else's speed is in it."""
        begun_s = time.monotonic()
        try:
            return await self._stages.examine(request)
        finally:
            now_s = time.monotonic()
            self._overload.waited(now_s - begun_s, now_s)

    async def clean(self, request: VoiceRequest) -> float | None:
        """See Stages."""
        return await self._stages.clean(request)

    async def transcribe(self, request: TranscriptionRequest) -> Transcription:
        """See Stages."""
        if self._overload.sheds(Shedding.HEDGES):
            request = replace(request, may_hedge=False)
        return await self._stages.transcribe(request)

    async def advise(self, request: AdviceRequest) -> Advice:
        """See Stages; waits for a turn of the request's client."""
        if self._overload.sheds(Shedding.LANGUAGE_MODEL):
            self._metrics.count("shed", what="llm")
            request = replace(request, rules_only=True)
        begun_s = time.monotonic()
        try:
            async with self._turns.turn(request.client_id, request.budget_s):
                left_s = max(0.0, request.budget_s - (time.monotonic() - begun_s))
                return await self._stages.advise(replace(request, budget_s=left_s))
        except NoTurn:
            raise StageTimeout("advise: no turn in time") from None

    async def health(self) -> dict[str, dict[str, Any]]:
        """See Stages."""
        return await self._stages.health()
