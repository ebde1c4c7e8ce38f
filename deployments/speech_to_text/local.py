"""Speech recognition on the premises: utterances that wait together are recognised together, in one thread."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

from deployments.metrics import Metrics, NoMetrics
from deployments.speech_to_text.adapter_settings import LocalSettings
from deployments.speech_to_text.local_whisper import Recognised, Whisper
from deployments.speech_to_text.port import SttThrottled, SttTimeout, SttUnavailable, Transcript
from deployments.speech_to_text.within import within


class Engine(Protocol):
    """What recognises; blocks, and is called from one thread at a time."""

    def recognise(self, utterances: Sequence[bytes], keyterms: Sequence[str]) -> list[Recognised]:
        """What was said in each of `utterances` (16 kHz mono s16le)."""


def build_local(settings: LocalSettings, metrics: Metrics | None = None) -> Local:
    """The adapter with its model loaded; blocks for as long as that takes, and raises LocalNotUsable."""
    return Local(settings, Whisper(settings), metrics)


@dataclass(eq=False, slots=True)
class _Job:
    pcm: bytes
    keyterms: tuple[str, ...]
    answer: asyncio.Future[Recognised]


class Local:
    """A queue of utterances before one engine. Costs no money; `metrics` counts `stt_local_batches` by `size`."""

    name = "local"
    simulated = False

    def __init__(self, settings: LocalSettings, engine: Engine, metrics: Metrics | None = None) -> None:
        self._settings = settings
        self._engine = engine
        self._metrics: Metrics = metrics or NoMetrics()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="local-stt")
        self._waiting: deque[_Job] = deque()
        self._working: asyncio.Task[None] | None = None
        self._closed = False

    async def transcribe(self, pcm: bytes, *, keyterms: tuple[str, ...], budget_s: float) -> Transcript:
        """Recognise 16 kHz mono s16le `pcm` within `budget_s`; raises SttError. Instants of words are not given.

        A batch that has begun cannot be stopped: who is late or cancelled gets nothing, and the batch ends unheard.
        """
        if self._closed:
            raise SttUnavailable("the local model is closed")
        if len(self._waiting) >= max(1, self._settings.max_waiting):
            raise SttThrottled(f"{len(self._waiting)} utterances wait for the local model already")
        terms = tuple(dict.fromkeys((*keyterms, *self._settings.keyterms)))
        job = _Job(pcm, terms, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(self._work())
        try:
            heard = await within(budget_s, job.answer)
        except asyncio.TimeoutError:
            raise SttTimeout(f"no answer within {budget_s:.2f} s") from None
        finally:
            if job in self._waiting:
                self._waiting.remove(job)
        return Transcript(heard.text, (), self._settings.model, 0.0, heard.no_speech)

    async def warm(self) -> bool:
        """The model was loaded and tried when this was built."""
        return True

    async def close(self) -> None:
        """Wait for the batch under way; what still waits is answered with SttUnavailable."""
        self._closed = True
        while self._waiting:
            _refuse(self._waiting.popleft(), "the local model is closed")
        if self._working is not None:
            await asyncio.wait([self._working])
        self._thread.shutdown()

    async def _work(self) -> None:
        """Batches until nobody waits."""
        while self._waiting:
            batch = self._next_batch()
            self._metrics.count("stt_local_batches", size=str(len(batch)))
            loop = asyncio.get_running_loop()
            pcms = [job.pcm for job in batch]
            try:
                heard = await loop.run_in_executor(self._thread, self._engine.recognise, pcms, batch[0].keyterms)
            except Exception as error:
                # Every one of the batch hears of it; the vendor's text is left out, it may hold what was said.
                for job in batch:
                    _refuse(job, f"the local model failed: {type(error).__name__}")
                continue
            for job, one in zip(batch, heard, strict=True):
                if not job.answer.done():
                    job.answer.set_result(one)

    def _next_batch(self) -> list[_Job]:
        """The longest waiting, and whoever else waits with the same keyterms: a batch has one prompt."""
        first = self._waiting[0]
        batch = [job for job in self._waiting if job.keyterms == first.keyterms][: self._settings.batch_size]
        for job in batch:
            self._waiting.remove(job)
        return batch


def _refuse(job: _Job, why: str) -> None:
    if not job.answer.done():
        job.answer.set_exception(SttUnavailable(why))
