"""The stage that turns an utterance into words: providers in a chain, a deadline, texts nobody said left out."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

from audio.utterance import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ
from deployments.metrics import Metrics, NoMetrics
from deployments.speech_to_text.believing import disbelief
from deployments.speech_to_text.chain import Chain
from deployments.speech_to_text.member import Clock
from deployments.speech_to_text.port import SttStatus, Transcript, Transcription, TranscriptionRequest
from deployments.speech_to_text.providers import Plan, build
from deployments.speech_to_text.race import Finish, SttBroken
from deployments.speech_to_text.settings import SpeechToTextSettings

log = logging.getLogger("balto.speech_to_text")

MIN_AUDIO_S = 0.1
"""Shorter audio holds no word, and ElevenLabs refuses it."""

RESERVE_SHARE_MAX = 0.1
"""Of a short budget, no more than this part is kept for the way back."""


class SpeechToText:
    """Recognises utterances with the providers that `settings` choose; raises ProviderNotUsable when none can be.

    `plans` replace that choice, first to last, and `clock` the machine's: tests and benches give their own.
    """

    def __init__(
        self,
        settings: SpeechToTextSettings,
        metrics: Metrics | None = None,
        plans: Plan | Sequence[Plan] | None = None,
        clock: Clock = time.time,
    ) -> None:
        self._settings = settings
        self._metrics: Metrics = metrics or NoMetrics()
        chosen = (plans,) if isinstance(plans, Plan) else plans
        self._chain = Chain(chosen or build(settings), settings, self._metrics, clock)
        self._requests = 0
        self._failures = 0
        self._failures_in_a_row = 0
        self._last_status: SttStatus | None = None

    async def transcribe(self, request: TranscriptionRequest) -> Transcription:
        """The words of one utterance, or the kind of failure as its `status`; raises nothing but cancellation."""
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        self._chain.learn(request.known)
        if len(request.pcm) < MIN_AUDIO_S * SAMPLE_RATE_HZ * BYTES_PER_SAMPLE:
            first = self._chain.first
            finish = Finish(first, Transcript("", (), first.plan.model, 0.0))
        else:
            reserve_s = min(self._settings.answer_reserve_s, RESERVE_SHARE_MAX * max(0.0, request.budget_s))
            finish = await self._chain.hear(request, started_s + request.budget_s - reserve_s)
        return self._noted(request, self._answer(request, finish, (loop.time() - started_s) * 1e3))

    async def health(self) -> dict[str, Any]:
        """Who recognises, and how it has been going; `degraded` when the latest utterances failed or a provider is
        left alone."""
        providers = self._chain.health()
        first = self._chain.first
        return {
            "provider": first.name,
            "model": first.plan.model,
            "simulated": first.plan.provider.simulated,
            "degraded": bool(self._failures_in_a_row) or any(p["state"] != "closed" for p in providers.values()),
            "requests": self._requests,
            "failures": self._failures,
            "failures_in_a_row": self._failures_in_a_row,
            "last_status": self._last_status,
            "providers": providers,
        }

    def warm(self) -> None:
        """Open connections ahead of the first utterance, in the background; nothing once they were used."""
        if self._settings.warm_every_s:
            self._chain.warm_unused()

    @property
    def running_on(self) -> int:
        """Tasks that nobody waits for: cancelled attempts on their way out, probes, comparisons."""
        return self._chain.running_on

    async def close(self) -> None:
        """Release the providers' connections and processes."""
        await self._chain.close()

    def _answer(self, request: TranscriptionRequest, finish: Finish, elapsed_ms: float) -> Transcription:
        """What the caller gets: the transcript, or the last error's status and class, with no text at all."""
        heard, provider = finish.transcript, finish.member.plan.provider
        doubt = disbelief(self._settings.believing, heard, request.voiced_s) if heard else None
        text = heard.text.strip() if heard and not doubt else ""
        status: SttStatus = finish.error.status if heard is None else "ok" if text else "vazio"
        return Transcription(
            status=status,
            text=text,
            words=heard.words if heard and text else (),
            provider=provider.name,
            model=heard.model if heard else finish.member.plan.model,
            simulated=provider.simulated,
            cost_usd=finish.cost_usd,
            attempts=finish.attempts,
            elapsed_ms=elapsed_ms,
            error="" if heard else _name_of(finish),
            discarded=doubt or "",
            hedged=finish.hedged,
            states=self._chain.states(),
        )

    def _noted(self, request: TranscriptionRequest, answer: Transcription) -> Transcription:
        """`answer`, counted, and logged when it is a failure."""
        failed = answer.status not in ("ok", "vazio")
        self._requests += 1
        self._failures += failed
        self._failures_in_a_row = self._failures_in_a_row + 1 if failed else 0
        self._last_status = answer.status
        self._metrics.count("stt_outcomes", provider=answer.provider, status=answer.status)
        self._metrics.observe_ms("stt_ms", answer.elapsed_ms, provider=answer.provider)
        if answer.discarded:
            self._metrics.count("stt_discarded", provider=answer.provider, reason=answer.discarded)
        if failed:
            log.warning("stt_failed", extra=_fields(request, answer))
        return answer


def _name_of(finish: Finish) -> str:
    return str(finish.error) if isinstance(finish.error, SttBroken) else type(finish.error).__name__


def _fields(request: TranscriptionRequest, answer: Transcription) -> dict[str, Any]:
    return {
        "utterance_id": request.utterance_id,
        "provider": answer.provider,
        "status": answer.status,
        "error": answer.error,
        "attempts": answer.attempts,
        "elapsed_ms": round(answer.elapsed_ms, 1),
    }
