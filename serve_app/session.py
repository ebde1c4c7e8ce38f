"""One counter's session: its audio becomes utterances, heard at the same time, answered in order, recorded."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from typing import Any, Final, Literal
from uuid import UUID, uuid5

from audio.decode import Decoder
from audio.errors import AudioInvalid
from audio.segmenter import Segmenter
from audio.utterance import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, Utterance
from cestas.model import Item
from deployments.telemetry.audio_folder import KeptAudio
from deployments.telemetry.records import Counter, Feedback, Interaction, Shown
from serve_app import __version__, wire
from serve_app.conversation import Conversation
from serve_app.draft import Draft
from serve_app.fairness import NoTurn
from serve_app.outlet import Outlet
from serve_app.overload import Shedding
from serve_app.passage import Course, Passage, SessionParts

log = logging.getLogger("balto.session")

RECEIVED_STEP_SAMPLES: Final = 2 * SAMPLE_RATE_HZ
"""`recebido` is sent when it moves by at least two seconds: a message costs as much as one that comes."""
REST_SAMPLES: Final = SAMPLE_RATE_HZ * 6 // 10
"""With nobody speaking the segmenter keeps no more than its pre-roll, well under this."""


@dataclass(frozen=True, slots=True)
class SessionStart:
    """How a session begins: who, in which generation, and where its audio goes on. `session_id` is a UUID."""

    session_id: str
    counter: Counter
    generation: wire.Generation
    first_sample: int
    gate_settings: dict[str, Any]
    """Recorded with every utterance."""
    epoch: int = 0
    """When its handshake was, in Unix milliseconds: of two connections of one session the later one counts."""
    undelivered: tuple[Shown, ...] = ()
    """Suggestions that the connection before may have lost."""


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
        self._ear = parts.listen(start.counter.client_id)
        self._passage = Passage(parts, outlet, conversation, start.generation, start.counter.client_id, self._ear)
        self._slots = asyncio.Semaphore(parts.settings.utterances_at_once)
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_answered: asyncio.Event | None = None
        self._unrecorded: OrderedDict[str, int] = OrderedDict()  # utterance id → its first sample
        self._durable: set[asyncio.Future[bool]] = set()
        self._received_sent = start.first_sample
        self._speculates = parts.settings.speculation == "on"
        self._offered: _Offer | None = None
        self._vain_usd = 0.0
        """Spent on offers in vain: the next row bears it."""
        self._typed = 0
        self._finishing = False
        self._gathered = b""
        """Samples that nobody has looked at yet, because nothing could come of them."""
        self._patience_bytes = 0

    def hear(self, chunk: bytes) -> int:
        """Take a piece of the counter's audio, of any size; the bytes of samples in it. Raises AudioInvalid."""
        if self._finishing:
            return 0
        pcm = self._decoder.feed(chunk)
        self._gathered += pcm
        if len(self._gathered) >= self._patience_bytes:
            self._listen()
        return len(pcm)

    def _listen(self) -> None:
        """Look at what has gathered."""
        self._segment()
        if self._ear is not None:
            self._ear.follow(self._segmenter.certain_from)
        else:  # an ear passes on what is said as it is said
            patience = self._segmenter.patience_samples(offers=self._speculates)
            self._patience_bytes = patience * BYTES_PER_SAMPLE
        if self._speculates:
            self._speculate()
        self._tell_received()

    def _segment(self) -> None:
        pcm, self._gathered = self._gathered, b""
        for utterance in self._segmenter.feed(pcm):
            self._take(utterance)

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

    @property
    def pending(self) -> int:
        """Utterances that are not answered yet."""
        return len(self._tasks)

    @property
    def at_rest(self) -> bool:
        """Whether nobody speaks and nothing is pending: a moment in which nobody notices a new connection."""
        return not self._tasks and self._segmenter.samples_fed - self._segmenter.safe_until <= REST_SAMPLES

    def greet(self, bytes_per_s: int) -> None:
        """Generation 4: where the session goes on, how fast audio may come, and what may have been lost once more."""
        if self.start.generation != 4:
            return
        self.outlet.say(wire.session_message(self.start.session_id, self.start.first_sample, bytes_per_s))
        for shown in self.start.undelivered:
            self._parts.metrics.count("suggestions_sent_again")
            self.outlet.say(wire.suggestion_message(_again(shown, self.start.session_id)))

    def disconnected(self) -> None:
        """The socket is gone. What older counters said is finished; a generation-4 client still holds its audio."""
        self.outlet.abandon()
        self.rest()

    def rest(self) -> None:
        """Take no more audio: a generation-4 client sends it again elsewhere, what older counters said is finished."""
        self._withdraw()
        finishing, self._finishing = self._finishing, True
        if self.start.generation != 4 and not finishing:
            try:
                self._flush()
            except AudioInvalid:  # its container ended in the middle, or never was one
                self._parts.metrics.count("audio_invalid")

    async def drained(self, within_s: float) -> None:
        """Wait until nothing is pending, at most `within_s` seconds; what is left is then cancelled.

        It is recorded as lost, unless the counter still holds its audio and will send it again.
        """
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=within_s)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._ear is not None:
            await self._ear.close()

    async def recorded(self, within_s: float) -> None:
        """Wait until every row is durable, at most `within_s` seconds: whoever takes it up then knows of all of it."""
        if self._durable:
            await asyncio.wait(self._durable, timeout=within_s)

    def _finish(self) -> None:
        if not self._finishing:
            self._flush()
            self._finishing = True
            self._own(self._close_when_done(list(self._tasks)))

    def _flush(self) -> None:
        self._withdraw()
        self._segment()
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
        self._unrecorded[course.draft.utterance_id] = utterance.first_sample
        self._set_out(course, offer.hearing if offer is not None else None)

    def _course_of(self, utterance: Utterance) -> Course:
        draft = self._draft(f"{utterance.first_sample}")
        draft.segment(utterance, self._segmenter.samples_fed, time.time())
        course = self._course(draft, utterance.first_sample, utterance.end_sample, utterance)
        if self._ear is not None:
            course.listening = self._ear.hear(utterance)
        return course

    def _speculate(self) -> None:
        """Hear an utterance while the pause that may end it still lasts."""
        offered = self._segmenter.offer()
        if offered is None:
            return
        self._withdraw()
        if self._parts.overload.sheds(Shedding.SPECULATION):
            self._parts.metrics.count("shed", what="especulacao")
            return
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
            cost_usd = self._given_up_usd(offer.course)
            self._vain_usd += cost_usd
            self._parts.metrics.count("speculation_cost_usd", cost_usd)

    def _given_up_usd(self, course: Course) -> float:
        """What an offer in vain cost: as it was told, or, cancelled on its way, what the audio sent would have.

        What its counter's ear heard is not in vain: the utterance goes on, and bears it.
        """
        row, borne_usd = course.draft.row, 0.0
        if course.listening is not None:
            if not course.listening.done() or course.listening.result().transcript is not None:
                return 0.0
            borne_usd = course.listening.result().cost_usd
        if row.stt_cost_usd is not None:
            return row.stt_cost_usd - borne_usd
        sent = "stt_sent_at" in course.draft.marks
        return self._parts.given_up(self.start.counter.client_id, row.duration_s or 0.0) if sent else 0.0

    def _take_typed(self, text: str) -> None:
        self._typed += 1
        at = self._segmenter.samples_fed
        draft = self._draft(f"texto-{at}-{self._typed}")
        course = self._course(draft, at, at, None)
        self._passage.take_typed(course, text)
        self._set_out(course, None)

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
            course.end()
            self._lost(course.draft, "fila_cheia")
            return
        before, answered = self._last_answered, asyncio.Event()
        self._last_answered = answered
        self._own(self._pass(course, hearing, before, answered))

    async def _hear(self, course: Course) -> str | Interaction:
        """An utterance's words or its last row; it waits for its turn, behind its counter's and then its client's."""
        begun_s = time.monotonic()
        try:
            async with self._slots, self._parts.turns.turn(self.start.counter.client_id, course.left_s):
                now_s = time.monotonic()
                self._parts.overload.waited(now_s - begun_s, now_s)
                self._parts.metrics.observe_ms("turn_wait_ms", (now_s - begun_s) * 1000)
                return await self._passage.hear(course)
        except NoTurn:
            self._parts.overload.waited(time.monotonic() - begun_s, time.monotonic())
            return self._passage.too_late(course)

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
            self._given_up(course)
            raise
        except Exception as exc:  # a fault of ours: the utterance still ends in a recorded outcome
            log.error("utterance_failed error=%s at=%s", type(exc).__name__, _where(exc))
            self._lost(course.draft, "erro_interno")
        else:
            self._record(row)
            self._keep_audio(course, row)
        finally:
            answered.set()
            course.end()

    def _given_up(self, course: Course) -> None:
        """We end before the utterance does. What a counter holds and sends again must not be recorded as done."""
        if self.start.generation == 4 and course.utterance is not None:
            self._parts.metrics.count("utterances_left_to_resend")
            log.info("utterance_left_to_resend session=%s", self.start.session_id)
            return
        self._lost(course.draft, "encerramento")

    def _lost(self, draft: Draft, reason: str) -> None:
        self._parts.metrics.count("utterances_lost", reason=reason)
        log.error("utterance_lost reason=%s session=%s", reason, self.start.session_id)
        self._record(draft.finished("perdido", self._parts.host.latest, reason))

    def _keep_audio(self, course: Course, row: Interaction) -> None:
        """Where a pharmacy keeps audio: that of what was recognised."""
        if self._parts.settings.keep_audio and course.utterance is not None and row.text:
            at = row.speech_ended_at or datetime.now(timezone.utc)
            self._parts.recorder.keep_audio(KeptAudio(row.session_id, row.utterance_id, at, course.utterance.pcm))

    def _record(self, row: Interaction) -> None:
        self._parts.metrics.count("outcomes", outcome=row.outcome)
        if self._vain_usd:
            row = replace(row, stt_cost_usd=(row.stt_cost_usd or 0.0) + self._vain_usd)
            self._vain_usd = 0.0
        durable = self._parts.recorder.put(row)
        self._durable.add(durable)
        durable.add_done_callback(self._durable.discard)
        durable.add_done_callback(lambda future: self._recorded(row.utterance_id, future))

    def _recorded(self, utterance_id: str, durable: asyncio.Future[bool]) -> None:
        if not durable.cancelled() and durable.result():
            self._unrecorded.pop(utterance_id, None)
            self._tell_received()

    def _tell_received(self) -> None:
        """Generation 4: say up to where audio is safe to forget, when that has moved far enough."""
        if self.start.generation != 4 or self._finishing:
            return
        until = self._segmenter.safe_until
        if until - self._received_sent < RECEIVED_STEP_SAMPLES:  # at every message: most say nothing
            return
        safe = min([until, *self._unrecorded.values()])
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


def _again(shown: Shown, session_id: str) -> wire.Suggestion:
    items = tuple(Item(item["id"], item["suggestion"], item["explanation"], item["tag"]) for item in shown.items)
    origin: Literal["llm", "regras"] = "llm" if shown.origin == "llm" else "regras"
    return wire.Suggestion(shown.suggestion_id, session_id, items, shown.text, origin, shown.simulated)


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
