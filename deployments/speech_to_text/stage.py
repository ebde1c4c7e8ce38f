"""The stage that turns an utterance into words: one provider, a deadline, retries while they fit, typed outcomes."""

from __future__ import annotations

import asyncio
import logging
import time
import traceback
from dataclasses import dataclass, field
from typing import Any

from audio.utterance import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ
from deployments.metrics import Metrics, NoMetrics
from deployments.speech_to_text.port import (
    SttError,
    SttStatus,
    SttTimeout,
    Transcript,
    Transcription,
    TranscriptionRequest,
)
from deployments.speech_to_text.providers import Plan, build
from deployments.speech_to_text.settings import SpeechToTextSettings

log = logging.getLogger("balto.speech_to_text")

MIN_AUDIO_S = 0.1
"""Shorter audio holds no word, and ElevenLabs refuses it."""


class SttBroken(SttError):
    """Our own code or an SDK failed in a way that no provider foresaw."""


@dataclass
class _Attempts:
    """What became of one utterance so far."""

    deadline: float
    made: int = 0
    transcript: Transcript | None = None
    error: SttError = field(default_factory=SttTimeout)
    error_name: str = SttTimeout.__name__

    @property
    def left_s(self) -> float:
        return self.deadline - time.monotonic()

    def failed(self, error: SttError, name: str = "") -> None:
        self.error, self.error_name = error, name or type(error).__name__


class SpeechToText:
    """Recognises utterances with the provider that `settings` choose; raises ProviderNotUsable when none can be.

    `plan` replaces that choice: tests and benches give a provider of their own.
    """

    def __init__(
        self, settings: SpeechToTextSettings, metrics: Metrics | None = None, plan: Plan | None = None
    ) -> None:
        self._settings = settings
        self._metrics: Metrics = metrics or NoMetrics()
        self._plan = plan or build(settings)
        self._requests = 0
        self._failures = 0
        self._failures_in_a_row = 0
        self._last_status: SttStatus | None = None

    async def transcribe(self, request: TranscriptionRequest) -> Transcription:
        """The words of one utterance, or the kind of failure as its `status`; raises nothing but cancellation."""
        started = time.monotonic()
        attempts = _Attempts(deadline=started + request.budget_s)
        if len(request.pcm) < MIN_AUDIO_S * SAMPLE_RATE_HZ * BYTES_PER_SAMPLE:
            attempts.transcript = Transcript("", (), self._plan.model, 0.0)
        else:
            await self._try(request, attempts)
        return self._noted(request, attempts, _answer(self._plan, attempts, (time.monotonic() - started) * 1e3))

    async def health(self) -> dict[str, Any]:
        """Who recognises, and how it has been going; `degradado` when the latest utterances failed."""
        return {
            "provider": self._plan.provider.name,
            "model": self._plan.model,
            "simulated": self._plan.provider.simulated,
            "degraded": bool(self._failures_in_a_row),
            "requests": self._requests,
            "failures": self._failures,
            "failures_in_a_row": self._failures_in_a_row,
            "last_status": self._last_status,
        }

    async def close(self) -> None:
        """Release the provider's connections and processes."""
        await self._plan.provider.close()

    async def _try(self, request: TranscriptionRequest, attempts: _Attempts) -> None:
        """Ask until there is a transcript, a failure that retrying will not help, or too little time."""
        while attempts.left_s >= self._settings.min_attempt_s:
            attempts.made += 1
            await self._once(request, attempts)
            if attempts.transcript or not attempts.error.retryable or attempts.made > self._plan.max_retries:
                return
            pause_s = max(self._settings.retry_pause_s, attempts.error.retry_after_s)
            if attempts.left_s < pause_s + self._settings.min_attempt_s:
                return
            await asyncio.sleep(pause_s)

    async def _once(self, request: TranscriptionRequest, attempts: _Attempts) -> None:
        left_s = attempts.left_s
        asked = self._plan.provider.transcribe(request.pcm, keyterms=request.keyterms, budget_s=left_s)
        try:
            attempts.transcript = await asyncio.wait_for(asked, left_s)
        except SttError as error:
            attempts.failed(error)
        except asyncio.TimeoutError:
            attempts.failed(SttTimeout())
        except Exception as error:
            # Its text may hold what somebody said: say what it is and where, not what it says.
            where = traceback.extract_tb(error.__traceback__)[-1]
            kind = type(error).__name__
            log.error("stt_broken", extra={"error": kind, "at": f"{where.filename}:{where.lineno}"})
            attempts.failed(SttBroken(), kind)

    def _noted(self, request: TranscriptionRequest, attempts: _Attempts, answer: Transcription) -> Transcription:
        """`answer`, counted, and logged when it is a failure."""
        failed = answer.status not in ("ok", "vazio")
        self._requests += 1
        self._failures += failed
        self._failures_in_a_row = self._failures_in_a_row + 1 if failed else 0
        self._last_status = answer.status
        audio_s = len(request.pcm) / (SAMPLE_RATE_HZ * BYTES_PER_SAMPLE)
        self._metrics.count("stt_outcomes", provider=answer.provider, status=answer.status)
        self._metrics.count("stt_audio_sent_s", audio_s * attempts.made, provider=answer.provider)
        self._metrics.count("stt_cost_usd", answer.cost_usd, provider=answer.provider)
        self._metrics.observe_ms("stt_ms", answer.elapsed_ms, provider=answer.provider)
        if failed:
            log.warning("stt_failed", extra=_fields(request, answer))
        return answer


def _fields(request: TranscriptionRequest, answer: Transcription) -> dict[str, Any]:
    return {
        "utterance_id": request.utterance_id,
        "provider": answer.provider,
        "status": answer.status,
        "error": answer.error,
        "attempts": answer.attempts,
        "elapsed_ms": round(answer.elapsed_ms, 1),
    }


def _answer(plan: Plan, attempts: _Attempts, elapsed_ms: float) -> Transcription:
    """What the caller gets: the transcript, or the last error's status and class, with no text at all."""
    heard = attempts.transcript
    status: SttStatus = attempts.error.status if heard is None else "ok" if heard.text.strip() else "vazio"
    return Transcription(
        status=status,
        text=heard.text.strip() if heard else "",
        words=heard.words if heard and status == "ok" else (),
        provider=plan.provider.name,
        model=heard.model if heard else plan.model,
        simulated=plan.provider.simulated,
        cost_usd=heard.cost_usd if heard else 0.0,
        attempts=attempts.made,
        elapsed_ms=elapsed_ms,
        error="" if heard else attempts.error_name,
    )
