"""The recogniser that needs no key: PocketSphinx over a small vocabulary of counter talk; never a product."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from deployments.speech_to_text.language import load, written
from deployments.speech_to_text.port import SttThrottled, SttTimeout, SttUnavailable, Transcript, Word
from deployments.speech_to_text.settings import DemonstrationSettings
from deployments.speech_to_text.sphinx import Decoder, DecoderGone, Heard, SphinxProcess

log = logging.getLogger("balto.speech_to_text")

MODEL = "pocketsphinx-en-us-counter"

HARD_LIMIT_S = 10.0
"""A decoder silent for this long is taken for dead; the longest utterance takes it a sixth of that."""

BANNER = """stt_demonstration_in_use
  ==============================================================================
  DEMONSTRATION RECOGNISER. Its words are guesses among {terms} pharmacy terms, made
  with an English acoustic model: it hears clean synthetic speech, not customers.
  Everything it leads to is marked `simulado`. It is not a product.
  For real speech set ELEVENLABS_API_KEY and start again.
  =============================================================================="""

_announced = threading.Event()


class Demonstration:
    """Decoders in processes, each driven by one thread, so that the event loop never waits for one.

    `decoders` makes a decoder: tests give their own. Raises ModuleNotFoundError when PocketSphinx is not installed.
    """

    name = "demonstracao"
    simulated = True

    def __init__(self, settings: DemonstrationSettings, decoders: Callable[[], Decoder] | None = None) -> None:
        if decoders is None and importlib.util.find_spec("pocketsphinx") is None:
            raise ModuleNotFoundError("the demonstration recogniser needs the package pocketsphinx")
        self._settings = settings
        self._new_decoder = decoders or SphinxProcess
        self._idle: list[Decoder] = [self._new_decoder() for _ in range(settings.processes)]
        self._threads = ThreadPoolExecutor(settings.processes, thread_name_prefix="demonstration")
        self._inside = 0
        _announce()

    async def transcribe(self, pcm: bytes, *, keyterms: tuple[str, ...], budget_s: float) -> Transcript:
        """Recognise 16 kHz mono s16le `pcm` within `budget_s`; raises SttThrottled, SttTimeout, SttUnavailable.

        `keyterms` change nothing: the vocabulary is fixed. Text is the words above the confidence cut, as they are
        written in Portuguese; instants are those of the decoder.
        """
        if self._inside >= self._settings.processes + self._settings.max_waiting:
            raise SttThrottled("every decoder is busy")
        deadline = time.monotonic() + budget_s
        job = asyncio.get_running_loop().run_in_executor(self._threads, self._hear, pcm, deadline)
        self._inside += 1
        job.add_done_callback(self._left)
        try:
            heard = await asyncio.wait_for(asyncio.shield(job), budget_s)
        except asyncio.TimeoutError:
            raise SttTimeout("the decoder did not finish") from None
        except DecoderGone as error:
            raise SttUnavailable(f"decoder gone: {error}") from None
        words = confident(heard, self._settings.min_confidence)
        return Transcript(" ".join(word.text for word in words), words, MODEL, 0.0)

    async def close(self) -> None:
        """End the decoders: what is being decoded is finished first, what waits is given up."""
        await asyncio.get_running_loop().run_in_executor(None, self._shut_down)

    def _shut_down(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        while self._idle:
            self._idle.pop().close()

    def _left(self, job: asyncio.Future[list[Heard]]) -> None:
        self._inside -= 1
        if not job.cancelled():
            job.exception()  # taken note of: whoever asked may have left already

    def _hear(self, pcm: bytes, deadline: float) -> list[Heard]:
        """In a thread. Decoders are as many as threads, so none is idle here only after one has gone."""
        if time.monotonic() >= deadline:
            return []  # nobody waits any more
        decoder = self._idle.pop() if self._idle else self._new_decoder()
        try:
            heard = decoder.hear(pcm, HARD_LIMIT_S)
        except DecoderGone:
            log.warning("stt_decoder_gone")
            raise
        self._idle.append(decoder)
        return heard


def confident(heard: Iterable[Heard], min_confidence: float) -> tuple[Word, ...]:
    """The vocabulary's words among `heard` with at least that posterior, as they are written."""
    return tuple(
        Word(written(part.token), part.start_s, part.end_s, part.posterior)
        for part in heard
        if part.token[0] not in "<[" and part.posterior >= min_confidence
    )


def _announce() -> None:
    """Once a process, however many replicas of it are built."""
    if not _announced.is_set():
        _announced.set()
        log.warning(BANNER.format(terms=len(load().all_terms)))
