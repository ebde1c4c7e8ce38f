"""The voice stage: confirms that an utterance is speech, measures it, and cleans it where the policy says so."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio.clean import clean, warm_up
from audio.frames import to_float, to_pcm
from audio.measure import Measures, measure, noise_change_db
from deployments.metrics import Metrics, NoMetrics
from deployments.voice.confirm import Confirmer, make_confirmer
from deployments.voice.messages import DiscardReason, VoiceMetrics, VoiceReport, VoiceRequest
from deployments.voice.settings import VoiceSettings

log = logging.getLogger("balto.voice")


class Voice:
    """Examines utterances in a thread pool of its own, never on the event loop.

    Constructing it loads the models and runs them once (seconds). What waits for a thread is bounded by the
    deployment's `max_ongoing_requests` and by each request's budget.
    """

    def __init__(
        self, settings: VoiceSettings, metrics: Metrics | None = None, confirmer: Confirmer | None = None
    ) -> None:
        self._settings = settings
        self._metrics = metrics or NoMetrics()
        self._confirmer = confirmer or make_confirmer(settings.confirm)
        self._degraded = settings.confirm != "off" and self._confirmer.name == "bypass"
        self._counts: Counter[str] = Counter()
        if self._degraded:
            self._metrics.count("voice_confirmer_unavailable_total")
        if settings.denoise != "off":
            warm_up(settings.clean)
        self._pool = ThreadPoolExecutor(max_workers=settings.threads, thread_name_prefix="voice")

    async def examine(self, request: VoiceRequest) -> VoiceReport:
        """Confirm, measure and clean one utterance. A request whose budget is spent is discarded as `prazo`."""
        deadline = time.monotonic() + request.budget_s
        loop = asyncio.get_running_loop()
        report = await loop.run_in_executor(self._pool, self._examine, request, deadline)
        self._record(report)
        return report

    async def clean(self, request: VoiceRequest) -> float | None:
        """Clean an utterance for the record alone: the change of its background's level in dB, None where it is too
        short to clean or its budget is spent."""
        deadline = time.monotonic() + request.budget_s
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._gain_db, request, deadline)

    async def health(self) -> dict[str, Any]:
        """What `/saude` shows of this stage: `degraded` when it lets everything pass without meaning to."""
        return {
            "degraded": self._degraded,
            "confirmer": self._confirmer.name,
            "denoise": self._settings.denoise,
            "threads": self._settings.threads,
            "counts": dict(self._counts),
        }

    async def close(self) -> None:
        """Finish what runs, take nothing more."""
        await asyncio.to_thread(self._pool.shutdown, wait=True, cancel_futures=True)

    def _examine(self, request: VoiceRequest, deadline: float) -> VoiceReport:
        started = time.perf_counter()
        samples = to_float(request.pcm)
        measures = measure(samples, request.noise_floor_dbfs)
        discard, confidence = self._judge(samples, measures, deadline)
        due = discard is None and self._wants_cleaning(measures.snr_db)
        cleaned = self._cleaned(samples, request.background_pcm) if due and request.wants_cleaned else None
        return VoiceReport(
            discard=discard,
            confidence=confidence,
            confirmer=self._confirmer.name,
            metrics=_as_metrics(measures),
            cleaned_pcm=None if cleaned is None else to_pcm(cleaned),
            denoise_gain_db=None if cleaned is None else noise_change_db(samples, cleaned),
            elapsed_ms=1000.0 * (time.perf_counter() - started),
            cleaning_due=due and not request.wants_cleaned,
        )

    def _gain_db(self, request: VoiceRequest, deadline: float) -> float | None:
        if time.monotonic() >= deadline:
            return None
        samples = to_float(request.pcm)
        cleaned = self._cleaned(samples, request.background_pcm)
        self._count_cleaned()
        return None if cleaned is None else noise_change_db(samples, cleaned)

    def _judge(
        self, samples: NDArray[np.float32], measures: Measures, deadline: float
    ) -> tuple[DiscardReason | None, float]:
        """Why the utterance goes no further (None: it goes on), and the confirmer's confidence (0 if not asked)."""
        if time.monotonic() >= deadline:
            return "prazo", 0.0
        if measures.audible_ms < self._settings.min_speech_ms:
            return "curto_demais", 0.0
        wanted = self._settings.confirm_threshold
        confidence = self._confirmer.confidence(samples, wanted)
        return (None if confidence >= wanted else "sem_fala"), confidence

    def _wants_cleaning(self, snr_db: float) -> bool:
        policy = self._settings.denoise
        return policy == "on" or (policy == "auto" and snr_db < self._settings.denoise_below_snr_db)

    def _cleaned(self, samples: NDArray[np.float32], background_pcm: bytes) -> NDArray[np.float32] | None:
        cleaned = clean(samples, to_float(background_pcm), self._settings.clean)
        return None if cleaned is samples else cleaned

    def _record(self, report: VoiceReport) -> None:
        outcome = report.discard or "fala"
        self._counts[outcome] += 1
        self._metrics.count("voice_utterances_total", outcome=outcome)
        self._metrics.observe_ms("voice_examine_ms", report.elapsed_ms)
        if report.cleaned_pcm is not None:
            self._count_cleaned()
        if self._degraded:
            self._counts["sem_confirmacao"] += 1
            self._metrics.count("voice_confirm_bypassed_total")

    def _count_cleaned(self) -> None:
        self._counts["limpo"] += 1
        self._metrics.count("voice_cleaned_total")


def _as_metrics(measures: Measures) -> VoiceMetrics:
    return VoiceMetrics(
        duration_s=measures.duration_s,
        pitch_mean_hz=measures.pitch_mean_hz,
        pitch_std_hz=measures.pitch_std_hz,
        voiced_ratio=measures.voiced_ratio,
        snr_db=measures.snr_db,
        spectral_centroid_hz=measures.spectral_centroid_hz,
        zero_crossing_rate=measures.zero_crossing_rate,
        rms_mean=measures.rms_mean,
        rms_max=measures.rms_max,
        peak_dbfs=measures.peak_dbfs,
        clipping_ratio=measures.clipping_ratio,
        dc_offset=measures.dc_offset,
        band_energies_db=measures.band_energies_db,
    )
