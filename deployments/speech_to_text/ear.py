"""One counter's ear: a realtime session fed while somebody speaks, committed at our endpoint, batch in its place."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from audio.utterance import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, Utterance
from deployments.resilience.breaker import Permit
from deployments.speech_to_text.believing import disbelief
from deployments.speech_to_text.port import SttError, SttStatus, SttTimeout, SttUnavailable, Transcript, Transcription
from deployments.speech_to_text.realtime import RealtimeSession
from deployments.speech_to_text.within import within

if TYPE_CHECKING:
    from deployments.speech_to_text.listening import Listener

log = logging.getLogger("balto.speech_to_text")

JOBS_MAX: Final = 64
"""Pieces and commits that wait for the socket: more than an utterance at its longest has."""
LEAST_COMMIT_S: Final = 0.05

CertainFrom = Callable[[int], "tuple[int, bytes] | None"]
"""See Segmenter.certain_from."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What listening along gave. `transcript` None: the utterance is to be recognised as ever, and `why` says why.
    `cost_usd` is of the utterance from its beginning, earlier offers of it included."""

    transcript: Transcript | None
    cost_usd: float
    elapsed_ms: float
    why: str = "ok"


@dataclass(slots=True)
class _Stream:
    """One utterance on its way: what of it was handed over, and what came back."""

    first_sample: int
    sent_until: int
    """One past the last sample that was put before the socket."""
    failed: str = ""
    """Why nothing more of it is sent."""
    texts: list[str] = field(default_factory=list)
    model: str = ""
    uncommitted_bytes: int = 0
    cost_usd: float = 0.0
    """All of it so far."""
    permit: Permit | None = None


@dataclass(slots=True)
class _Job:
    """Audio to feed; with `answer`, a commit follows, and its end is told there."""

    stream: _Stream
    pcm: bytes
    answer: asyncio.Future[Heard] | None = None
    asked_s: float = 0.0


class Ear:
    """Follows one counter's speech. `follow` and `hear` never wait; one task owns the session and does what they ask.

    The text of an utterance is that of all its commits: one that is committed in a pause, and goes on, is committed
    again at its end. Exactly the utterance's own samples are fed, each once; where that cannot be, batch takes over.
    """

    def __init__(self, client_id: str, listener: Listener) -> None:
        self.keyterms: tuple[str, ...] = ()
        """For the next session that opens."""
        self._client_id = client_id
        self._listener = listener
        self._stream: _Stream | None = None
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue(JOBS_MAX)
        self._task: asyncio.Task[None] | None = None
        self._session: RealtimeSession | None = None
        self._billed_usd = 0.0
        self._dirty: _Stream | None = None
        """Whose audio the session holds uncommitted."""
        self._closed = False

    @property
    def partial(self) -> str:
        """What was said so far in the utterance under way, as far as it is known; not redacted."""
        stream, session = self._stream, self._session
        if stream is None or stream.failed:
            return ""
        latest = session.partial if session is not None and self._dirty is stream else ""
        return " ".join(text for text in (*stream.texts, latest) if text)

    def follow(self, certain_from: CertainFrom) -> None:
        """Hand over what is certain to be part of the open utterance, in pieces."""
        stream = self._stream
        found = certain_from(stream.sent_until if stream is not None else 0)
        if found is None:
            return
        first_sample, pcm = found
        if stream is None or stream.first_sample != first_sample:
            stream = self._begin(first_sample)
            pcm = (certain_from(first_sample) or found)[1]
        if stream.failed or len(pcm) < self._listener.settings.piece_ms * SAMPLE_RATE_HZ * BYTES_PER_SAMPLE // 1000:
            return
        self._put(_Job(stream, pcm))
        stream.sent_until += len(pcm) // BYTES_PER_SAMPLE

    def hear(self, utterance: Utterance) -> asyncio.Future[Heard]:
        """Commit an utterance, certain or offered; the future always gets a result, `listening.wait_s` later at most.

        It is nobody's to cancel: shield it.
        """
        answer: asyncio.Future[Heard] = asyncio.get_running_loop().create_future()
        stream = self._stream
        if stream is None or stream.first_sample != utterance.first_sample:
            stream = self._begin(utterance.first_sample)
        if stream.sent_until > utterance.end_sample:
            stream.failed = stream.failed or "cortado"  # it holds more than the utterance: see Segmenter's cap
        rest = utterance.pcm[(stream.sent_until - utterance.first_sample) * BYTES_PER_SAMPLE :]
        stream.sent_until = max(stream.sent_until, utterance.end_sample)
        job = _Job(stream, rest, answer, time.monotonic())
        if stream.failed and self._jobs.empty():
            self._settle(job)
        else:
            self._put(job)
        return answer

    async def close(self) -> None:
        """Hang up; what waits goes to batch. Again: nothing."""
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _begin(self, first_sample: int) -> _Stream:
        stream = self._stream = _Stream(first_sample, first_sample)
        if self._closed:
            stream.failed = "encerrado"
        elif not self._listener.may_spend(self._client_id):
            stream.failed = "orcamento"
        elif self._task is None and not self._listener.take_seat():
            stream.failed = "lotado"
        else:
            if self._task is None:
                self._task = asyncio.create_task(self._work(), name="ear")
            stream.permit = self._listener.enter()
            if stream.permit is None:
                stream.failed = "fora_do_ar"
        return stream

    def _put(self, job: _Job) -> None:
        try:
            self._jobs.put_nowait(job)
        except asyncio.QueueFull:
            job.stream.failed = job.stream.failed or "atrasado"
            self._settle(job)

    async def _work(self) -> None:
        """Do the jobs one by one; end when nothing was to do for a while."""
        job: _Job | None = None
        try:
            while True:
                try:
                    job = await within(self._listener.settings.idle_s, self._jobs.get())
                except asyncio.TimeoutError:
                    if self._jobs.empty():
                        return
                    continue
                await self._do(job)
        finally:
            self._task = None
            self._hang_up()
            self._listener.give_seat()
            self._give_back(self._stream)
            left = [job] if job is not None else []
            while not self._jobs.empty():
                left.append(self._jobs.get_nowait())
            for waiting in left:
                waiting.stream.failed = waiting.stream.failed or "encerrado"
                self._settle(waiting)

    async def _do(self, job: _Job) -> None:
        stream = job.stream
        if not stream.failed:
            try:
                await self._perform(job)
            except SttError as error:
                self._failed(stream, type(error).__name__, error)
            except Exception as exc:  # a fault of ours must not keep the words from being recognised
                log.error("listening_failed error=%s", type(exc).__name__)
                self._failed(stream, "erro_interno", None)
        elif self._dirty is stream:  # what it fed must not be taken for the next utterance's
            self._bill(stream)
            self._hang_up()
        self._settle(job)

    async def _perform(self, job: _Job) -> None:
        stream = job.stream
        until_s = job.asked_s + self._listener.settings.wait_s if job.answer else None
        session = await self._session_for(stream, until_s)
        if job.pcm:
            self._dirty = stream
            await session.feed(job.pcm)
            stream.uncommitted_bytes += len(job.pcm)
        if job.answer is None or not stream.uncommitted_bytes:
            return
        lacking = self._listener.min_commit_ms * SAMPLE_RATE_HZ * BYTES_PER_SAMPLE // 1000 - stream.uncommitted_bytes
        if lacking > 0:  # the vendor takes no commit of less; silence says nothing
            await session.feed(bytes(lacking))
        left_s = job.asked_s + self._listener.settings.wait_s - time.monotonic()
        said = await session.commit(max(LEAST_COMMIT_S, left_s))
        stream.texts.append(said.text.strip())
        stream.model = said.model
        stream.uncommitted_bytes = 0
        self._dirty = None
        self._bill(stream)
        if stream.permit is not None:
            self._listener.worked(stream.permit)
            stream.permit = None

    async def _session_for(self, stream: _Stream, until_s: float | None) -> RealtimeSession:
        """The session, opened where there is none that is fit for this stream."""
        session = self._session
        if session is not None and (not session.alive or self._dirty not in (None, stream)):
            if self._dirty is stream:  # it died with audio of this utterance in it
                raise SttUnavailable("the session ended in the middle")
            self._hang_up()
            session = None
        if session is None:
            if stream.uncommitted_bytes:
                raise SttUnavailable("the session is gone in the middle")
            left_s = self._listener.connect_s if until_s is None else until_s - time.monotonic()
            if left_s <= 0:
                raise SttTimeout("no session in time")
            session = self._session = await self._listener.provider.open(self.keyterms, left_s)
            self._billed_usd = 0.0
        return session

    def _failed(self, stream: _Stream, why: str, error: SttError | None) -> None:
        """The session is dead; the utterance's audio is with whoever asked."""
        stream.failed = why
        self._bill(stream)
        self._hang_up()
        permit, stream.permit = stream.permit or self._listener.enter(), None
        if permit is not None:
            if error is None:
                self._listener.abandoned(permit)
            else:
                self._listener.failed(permit, error)

    def _bill(self, stream: _Stream) -> None:
        if self._session is not None:
            cost_usd, self._billed_usd = self._session.spent_usd - self._billed_usd, self._session.spent_usd
            stream.cost_usd += cost_usd
            self._listener.spent(self._client_id, cost_usd)

    def _hang_up(self) -> None:
        session, self._session, self._dirty = self._session, None, None
        if session is not None:
            self._listener.later(session.close())

    def _give_back(self, stream: _Stream | None) -> None:
        if stream is not None and stream.permit is not None:
            self._listener.abandoned(stream.permit)
            stream.permit = None

    def _settle(self, job: _Job) -> None:
        """Tell the end of an utterance, once."""
        stream, answer = job.stream, job.answer
        if answer is None or answer.done():
            return
        if stream.failed:
            self._give_back(stream)
        elapsed_ms = (time.monotonic() - job.asked_s) * 1e3
        self._listener.noted(stream.failed or "ok", elapsed_ms)
        if stream.failed:
            answer.set_result(Heard(None, stream.cost_usd, elapsed_ms, stream.failed))
        else:
            text = " ".join(text for text in stream.texts if text)
            answer.set_result(Heard(Transcript(text, (), stream.model, stream.cost_usd), stream.cost_usd, elapsed_ms))

    def transcription(self, heard: Heard, voiced_s: float | None) -> Transcription | None:
        """What was heard as the stage of speech recognition would say it; None where batch is to be asked."""
        said = heard.transcript
        if said is None:
            return None
        doubt = disbelief(self._listener.believing, said, voiced_s)
        text = "" if doubt else said.text
        status: SttStatus = "ok" if text else "vazio"
        provider = self._listener.provider
        return Transcription(
            status,
            text,
            (),
            provider.name,
            said.model,
            provider.simulated,
            heard.cost_usd,
            attempts=1,
            elapsed_ms=heard.elapsed_ms,
            discarded=doubt or "",
        )
