"""One counter's session: its audio becomes utterances, heard at the same time, answered in order, recorded."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Final
from uuid import UUID, uuid5

from audio.decode import Decoder
from audio.segmenter import Segmenter
from audio.utterance import SAMPLE_RATE_HZ, Utterance
from deployments.telemetry.records import Counter, Feedback, Interaction
from serve_app import __version__, wire
from serve_app.conversation import Conversation
from serve_app.draft import Draft
from serve_app.outlet import Outlet
from serve_app.passage import Course, Passage, SessionParts

log = logging.getLogger("balto.session")

RECEIVED_STEP_SAMPLES: Final = SAMPLE_RATE_HZ
"""`recebido` is sent when it moves by at least a second."""


@dataclass(frozen=True, slots=True)
class SessionStart:
    """How a session begins: who, in which generation, and where its audio goes on. `session_id` is a UUID."""

    session_id: str
    counter: Counter
    generation: wire.Generation
    first_sample: int
    gate_settings: dict[str, Any]
    """Recorded with every utterance."""


@dataclass(frozen=True, slots=True)
class _Offer:
    """An utterance that is heard before it is certain that it has ended."""

    course: Course
    hearing: asyncio.Task[str | Interaction]

    @property
    def span(self) -> tuple[int, int] | None:
        """Its first sample, and one past its last."""
        offered = self.course.utterance
        return None if offered is None else (offered.first_sample, offered.end_sample)


class CounterSession:
    """Takes audio and commands without ever waiting; its tasks do the waiting and are owned by it."""

    def __init__(
        self,
        parts: SessionParts,
        start: SessionStart,
        outlet: Outlet,
        decoder: Decoder,
        segmenter: Segmenter,
        conversation: Conversation,
    ) -> None:
        self._parts = parts
        self.start = start
        self.outlet = outlet
        self._decoder = decoder
        self._segmenter = segmenter
        self._passage = Passage(parts, outlet, conversation, start.generation, start.counter.client_id)
        self._slots = asyncio.Semaphore(parts.settings.utterances_at_once)
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_answered: asyncio.Event | None = None
        self._unrecorded: OrderedDict[str, int] = OrderedDict()  # utterance id → its first sample
        self._received_sent = start.first_sample
        self._speculates = parts.settings.speculation == "on"
        self._offered: _Offer | None = None
        self._typed = 0
        self._finishing = False

    def hear(self, chunk: bytes) -> None:
        """Take a piece of the counter's audio, of any size; raises AudioInvalid."""
        if self._finishing:
            return
        for utterance in self._segmenter.feed(self._decoder.feed(chunk)):
            self._take(utterance)
        if self._speculates:
            self._speculate()
        self._tell_received()

    def command(self, message: str) -> None:
        """Take a text message."""
        match wire.parse_command(message):
            case wire.Ping():
                self.outlet.say(wire.pong_message())
            case wire.Typed(texto):
                self._take_typed(texto)
            case wire.Reported() as report:
                self._take_feedback(report)
            case wire.Finish():
                self._finish()
            case wire.Unknown() as unknown:
                self.outlet.say(wire.error_message(unknown))

    def disconnected(self) -> None:
        """The socket is gone. What older counters said is finished; a generation-4 client still holds its audio."""
        self.outlet.abandon()
        self._withdraw()
        if self.start.generation != 4 and not self._finishing:
            self._flush()
        self._finishing = True

    async def drained(self, within_s: float) -> None:
        """Wait until nothing is pending, at most `within_s` seconds; what is left is then cancelled and recorded."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within_s)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _finish(self) -> None:
        if not self._finishing:
            self._flush()
            self._finishing = True
            self._own(self._close_when_done(list(self._tasks)))

    def _flush(self) -> None:
        self._withdraw()
        for utterance in self._segmenter.feed(self._decoder.flush()) + self._segmenter.flush():
            self._take(utterance)

    async def _close_when_done(self, tasks: list[asyncio.Task[None]]) -> None:
        if tasks:
            await asyncio.wait(tasks)
        await self.outlet.close(1000)

    def _take(self, utterance: Utterance) -> None:
        self._parts.metrics.count("utterances", cut=utterance.cut_reason)
        offer = self._adopted(utterance)
        course = offer.course if offer is not None else self._course_of(utterance)
        self._unrecorded[course.draft.row.utterance_id] = utterance.first_sample
        self._set_out(course, offer.hearing if offer is not None else None)

    def _course_of(self, utterance: Utterance) -> Course:
        draft = self._draft(f"{utterance.first_sample}")
        draft.segment(utterance, self._segmenter.samples_fed, time.time())
        return self._course(draft, utterance.first_sample, utterance.end_sample, utterance)

    def _speculate(self) -> None:
        """Hear an utterance while the pause that may end it still lasts."""
        offered = self._segmenter.offer()
        if offered is None:
            return
        self._withdraw()
        course = self._course_of(offered)
        hearing = asyncio.create_task(self._hear(course))
        hearing.add_done_callback(_look_at)
        self._offered = _Offer(course, hearing)

    def _adopted(self, utterance: Utterance) -> _Offer | None:
        """The offer that this utterance is, if its samples are those that were offered; it is timed anew."""
        offer = self._offered
        if offer is None or offer.span != (utterance.first_sample, utterance.end_sample):
            self._withdraw()
            return None
        self._offered = None
        self._parts.metrics.count("speculation", result="adotada")
        offer.course.draft.segment(utterance, self._segmenter.samples_fed, time.time())
        offer.course.deadline = time.monotonic() + self._parts.settings.deadline_ms / 1000
        return offer

    def _withdraw(self) -> None:
        """Drop what was heard in vain; what it may have cost is counted."""
        offer, self._offered = self._offered, None
        if offer is not None:
            offer.hearing.cancel()
            offer.course.end()
            self._parts.metrics.count("speculation", result="retirada")
            self._parts.metrics.count("speculation_cost_usd", offer.course.draft.row.stt_cost_usd or 0.0)

    def _take_typed(self, text: str) -> None:
        self._typed += 1
        at = self._segmenter.samples_fed
        draft = self._draft(f"texto-{at}-{self._typed}")
        draft.typed(text)
        self._set_out(self._course(draft, at, at, None), None)

    def _take_feedback(self, report: wire.Reported) -> None:
        self._parts.metrics.count("feedback", result=report.resultado)
        key = f"{report.sugestao}:{report.item}:{report.resultado}"
        self._parts.recorder.put(
            Feedback(
                feedback_id=str(uuid5(UUID(self.start.session_id), key)),
                suggestion_id=report.sugestao,
                item_id=report.item,
                result=report.resultado,
                counter_id=self.start.counter.counter_id,
                session_id=self.start.session_id,
                reported_at=datetime.now(timezone.utc),
            )
        )

    def _course(self, draft: Draft, first: int, end: int, utterance: Utterance | None) -> Course:
        deadline = time.monotonic() + self._parts.settings.deadline_ms / 1000
        return Course(draft, deadline, first / SAMPLE_RATE_HZ, end / SAMPLE_RATE_HZ, utterance)

    def _set_out(self, course: Course, hearing: asyncio.Task[str | Interaction] | None) -> None:
        """Start an utterance's task behind the one before it, unless too many are waiting."""
        if len(self._tasks) >= self._parts.settings.utterances_waiting_max:
            if hearing is not None:
                hearing.cancel()
            self._lost(course.draft, "fila_cheia")
            return
        before, answered = self._last_answered, asyncio.Event()
        self._last_answered = answered
        self._own(self._pass(course, hearing, before, answered))

    async def _hear(self, course: Course) -> str | Interaction:
        async with self._slots:
            return await self._passage.hear(course)

    async def _pass(
        self,
        course: Course,
        hearing: asyncio.Task[str | Interaction] | None,
        before: asyncio.Event | None,
        answered: asyncio.Event,
    ) -> None:
        """Take one utterance all its way; hearing overlaps with others, answering waits for the one before."""
        try:
            heard = await (self._hear(course) if hearing is None else hearing)
            if before is not None:
                await before.wait()
            row = heard if isinstance(heard, Interaction) else await self._passage.answer(course, heard)
            row = await self._passage.completed(course, row)
        except asyncio.CancelledError:
            self._lost(course.draft, "encerramento")
            raise
        except Exception as exc:  # a fault of ours: the utterance still ends in a recorded outcome
            log.error("utterance_failed error=%s at=%s", type(exc).__name__, _where(exc))
            self._lost(course.draft, "erro_interno")
        else:
            self._record(row)
        finally:
            answered.set()
            course.end()

    def _lost(self, draft: Draft, reason: str) -> None:
        self._parts.metrics.count("utterances_lost", reason=reason)
        log.error("utterance_lost reason=%s session=%s", reason, self.start.session_id)
        self._record(draft.finished("perdido", self._parts.host.latest, reason))

    def _record(self, row: Interaction) -> None:
        self._parts.metrics.count("outcomes", outcome=row.outcome)
        durable = self._parts.recorder.put(row)
        durable.add_done_callback(lambda future: self._recorded(row.utterance_id, future))

    def _recorded(self, utterance_id: str, durable: asyncio.Future[bool]) -> None:
        if not durable.cancelled() and durable.result():
            self._unrecorded.pop(utterance_id, None)
            self._tell_received()

    def _tell_received(self) -> None:
        """Generation 4: say up to where audio is safe to forget, when that has moved by a second or more."""
        if self.start.generation != 4 or self._finishing:
            return
        safe = min([self._segmenter.safe_until, *self._unrecorded.values()])
        if safe - self._received_sent >= RECEIVED_STEP_SAMPLES:
            self._received_sent = safe
            self.outlet.say(wire.received_message(safe))

    def _draft(self, name: str) -> Draft:
        utterance_id = str(uuid5(UUID(self.start.session_id), name))
        return Draft(
            Interaction(
                interaction_id=utterance_id,
                client_id=self.start.counter.client_id,
                counter_id=self.start.counter.counter_id,
                session_id=self.start.session_id,
                utterance_id=utterance_id,
                node=self._parts.host.node,
                software_version=__version__,
                outcome="perdido",
                gate_settings=self.start.gate_settings,
            )
        )

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _look_at(hearing: asyncio.Task[str | Interaction]) -> None:
    """Take a fault of an offer that nobody awaits any more, or asyncio would log its text."""
    if not hearing.cancelled() and (exc := hearing.exception()) is not None:
        log.warning("offer_failed error=%s at=%s", type(exc).__name__, _where(exc))


def _where(exc: BaseException) -> str:
    """Where an exception was raised, without its text, which may carry what somebody said."""
    frame = exc.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return "?" if frame is None else f"{frame.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{frame.tb_lineno}"
