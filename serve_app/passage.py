"""One utterance's way through the stages, step by step, within its deadline; every way ends in a row."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final, Literal
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict, Field

from audio.utterance import Utterance
from cestas.model import Item
from deployments.metrics import Metrics
from deployments.recommender.port import Advice, AdviceRequest
from deployments.speech_to_text.ear import Ear, Heard
from deployments.speech_to_text.port import SttStatus, Transcription, TranscriptionRequest
from deployments.telemetry.records import Interaction, Outcome
from deployments.voice.messages import VoiceReport, VoiceRequest
from privacy.redact import Redacted
from privacy.settings import RedactionSettings
from serve_app import wire
from serve_app.conversation import Ask, Conversation
from serve_app.discretion import Discretion
from serve_app.draft import Draft, outcome_of
from serve_app.fairness import Turns
from serve_app.host import HostSampler
from serve_app.outlet import Outlet
from serve_app.overload import Overload
from serve_app.recorder import Recorder
from serve_app.stages import StageError, Stages, StageTimeout


class SessionSettings(BaseModel):
    """Limits of one counter's session."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deadline_ms: int = Field(3000, ge=100, le=60_000)
    """From the end of an utterance to its suggestion; what cannot make it ends in a recorded outcome."""
    voice_ms: int = Field(1000, ge=50, le=60_000)
    """What examining may take of the deadline; then the utterance goes on unexamined, with time left to be understood:
    while no replica of the voice stage is there, a call to it waits for one."""
    utterances_at_once: int = Field(4, ge=1, le=64)
    """Utterances of one session that are examined and transcribed at the same time."""
    utterances_waiting_max: int = Field(32, ge=1, le=1000)
    """Beyond it an utterance is dropped, recorded as `perdido` with the reason `fila_cheia`."""
    speculation: Literal["off", "auto", "on"] = "auto"
    """Hand an utterance on in the pause that may end it; if speech goes on, what came of it is dropped. `auto`: where
    the provider of speech recognition is cheap (`speech_to_text.cheap_below_usd_per_hour`)."""
    stt_audio: Literal["bruto", "limpo"] = "bruto"
    """What the recogniser is given where cleaning took place: cleaning usually hurts recognition."""
    keep_audio: bool = False
    """Set by `telemetry.audio.keep`: say it there."""
    redaction: RedactionSettings = RedactionSettings()
    """What identifies people is taken out of every text before anything else sees it."""


@dataclass(frozen=True, slots=True)
class SessionParts:
    """What a replica lends to every session."""

    settings: SessionSettings
    stages: Stages
    recorder: Recorder
    metrics: Metrics
    host: HostSampler
    overload: Overload = field(default_factory=Overload)
    """What the replica gives up for want of time."""
    turns: Turns = field(default_factory=lambda: Turns(1000))
    """How many utterances of whose counters are with the stages at once."""
    listen: Callable[[str], Ear | None] = lambda client_id: None
    """An ear for a counter of this client, where its client is listened to while speaking."""
    given_up: Callable[[str, float], float] = lambda client_id, duration_s: 0.0
    """Counts so many seconds of audio that were sent to be recognised and given up; what they cost."""


@dataclass(slots=True)
class Course:
    """What one utterance takes along: its row, when it must be done (monotonic seconds), its span in the stream."""

    draft: Draft
    deadline: float
    start_s: float
    end_s: float
    utterance: Utterance | None
    """None: the words were typed."""
    redacted: Redacted | None = None
    """What was said, without what identifies anybody; None until it is known."""
    listening: asyncio.Future[Heard] | None = None
    """What its counter's ear makes of it; nobody's to cancel."""
    cleaning: asyncio.Task[float | None] | None = None
    """Cleaning for the record alone, beside the utterance's way; ended by whoever ends the course."""

    @property
    def left_s(self) -> float:
        """Seconds left until the deadline, never negative."""
        return max(0.0, self.deadline - time.monotonic())

    def end(self) -> None:
        """Nothing goes on beside the way once it has ended."""
        if self.cleaning is not None:
            self.cleaning.cancel()


class Passage:
    """The steps of a session's utterances. `hear` may run for several at once, `answer` for one at a time, in order."""

    def __init__(
        self,
        parts: SessionParts,
        outlet: Outlet,
        conversation: Conversation,
        generation: wire.Generation,
        client_id: str,
        ear: Ear | None = None,
    ) -> None:
        self._ear = ear
        self._keyterms: tuple[str, ...] = ()
        self._parts = parts
        self._outlet = outlet
        self._conversation = conversation
        self._generation = generation
        self._client_id = client_id
        self._discretion = Discretion(parts.settings.redaction, parts.metrics)
        self._degraded: set[str] = set()
        self._unadvised = False
        self._told_demonstration = False
        self._stt_judged_at = 0.0

    def take_typed(self, course: Course, text: str) -> None:
        """Keep words typed at the counter, redacted."""
        course.redacted = self._discretion.text(text)
        course.draft.typed(course.redacted.text)

    async def hear(self, course: Course) -> str | Interaction:
        """The words of an utterance, or the row it ended in because it has none."""
        utterance, draft = course.utterance, course.draft
        if utterance is None:
            return draft.row.text
        report = await self._examine(course, utterance)
        if report is not None and report.discard is not None:
            return self._ended(draft, "prazo" if report.discard == "prazo" else "descartado")
        cleaned = report.cleaned_pcm if report is not None else None
        heard = await self._transcribe(course, cleaned or utterance.pcm, report)
        heard, course.redacted = self._discretion.transcription(heard)
        draft.transcription(heard, audio="limpo" if cleaned else "bruto")
        self._notice_stt(draft.marks["stt_sent_at"], working=heard.status in ("ok", "vazio"))
        return heard.text if heard.status == "ok" else self._ended(draft, _STT_OUTCOMES[heard.status], heard.discarded)

    async def answer(self, course: Course, text: str) -> Interaction:
        """Ask for advice on `text` and tell the counter; the row to record."""
        draft = course.draft
        if course.redacted is not None:
            text = self._discretion.follow(course.redacted, course.start_s, course.end_s)
            draft.redacted(text)
        self._say_heard(course, text)
        ask = self._conversation.heard(text, course.start_s, course.end_s)
        if ask is None:
            return self._ended(draft, "nada")
        asked_at = time.time()
        draft.mark("advice_asked_at", asked_at)
        try:
            advice = await self._parts.stages.advise(self._advice_request(course, ask))
        except StageError as exc:
            self._count_failure("recommender", exc)
            self._unadvised = True
            self._notice("llm", working=False)
            return self._ended(draft, "prazo" if isinstance(exc, StageTimeout) else "llm_falhou")
        draft.mark("advice_ready_at", time.time())
        draft.advice(advice, asked_at)
        self._listen_for(advice.keyterms)
        if advice.model_asked or self._unadvised:
            self._unadvised = False
            self._notice("llm", working=not advice.error)
        if advice.items and not self._conversation.may_suggest():
            self._conversation.advised((), advice.entities.situations)
            self._parts.metrics.count("suggestions_held_back", reason=_HOURLY_LIMIT)
            return self._ended(draft, "nada", _HOURLY_LIMIT)
        self._conversation.advised((item.id for item in advice.items), advice.entities.situations)
        await self._tell(draft, advice, text)
        return self._ended(draft, outcome_of(advice))

    def too_late(self, course: Course) -> Interaction:
        """The row of an utterance whose time was over before its turn came."""
        self._parts.metrics.count("turns_missed")
        return self._ended(course.draft, "prazo", "espera_da_vez")

    async def completed(self, course: Course, row: Interaction) -> Interaction:
        """`row` with what was measured and spent beside the utterance's way."""
        if course.listening is not None and row.stt_cost_usd is None:  # no speech, after all
            row = replace(row, stt_cost_usd=(await asyncio.shield(course.listening)).cost_usd)
        return row if course.cleaning is None else replace(row, denoise_gain_db=await course.cleaning)

    async def _examine(self, course: Course, utterance: Utterance) -> VoiceReport | None:
        """The voice stage's report; None when the stage is away: no utterance is lost for want of a measurement."""
        draft = course.draft
        draft.mark("voice_sent_at", time.time())
        wants_cleaned = self._parts.settings.stt_audio == "limpo"
        request = VoiceRequest(
            draft.utterance_id,
            utterance.pcm,
            utterance.background_pcm if wants_cleaned else b"",
            utterance.gate.noise_floor_start_dbfs,
            min(course.left_s, self._parts.settings.voice_ms / 1000),
            wants_cleaned=wants_cleaned,
        )
        try:
            report = await self._parts.stages.examine(request)
        except StageError as exc:
            self._count_failure("voice", exc)
            return None
        draft.mark("voice_ready_at", time.time())
        if report.discard == "prazo" and course.left_s:
            report = replace(report, discard=None)  # the stage had no time for it; there is time to go on unconfirmed
        draft.voice(report)
        if report.cleaning_due:
            again = replace(request, background_pcm=utterance.background_pcm, budget_s=course.left_s)
            course.cleaning = asyncio.create_task(self._clean(again))
        return report

    async def _clean(self, request: VoiceRequest) -> float | None:
        try:
            return await self._parts.stages.clean(request)
        except StageError as exc:
            self._count_failure("voice", exc)
            return None

    async def _transcribe(self, course: Course, pcm: bytes, report: VoiceReport | None) -> Transcription:
        draft = course.draft
        draft.mark("stt_sent_at", time.time())
        figures = report.metrics if report is not None else None
        request = TranscriptionRequest(
            draft.utterance_id,
            pcm,
            course.left_s,
            client_id=self._client_id,
            snr_db=figures.snr_db if figures else None,
            voiced_s=figures.voiced_ratio * figures.duration_s if figures else None,
            keyterms=self._keyterms,
        )
        listened_usd = 0.0
        if course.listening is not None:
            listened = await asyncio.shield(course.listening)
            known = None if self._ear is None else self._ear.transcription(listened, request.voiced_s)
            if known is not None:
                draft.mark("stt_ready_at", time.time())
                return known
            listened_usd, request = listened.cost_usd, replace(request, budget_s=course.left_s)
        try:
            heard = await self._parts.stages.transcribe(request)
        except StageError as exc:
            self._count_failure("speech_to_text", exc)
            status: SttStatus = "prazo" if isinstance(exc, StageTimeout) else "indisponivel"
            heard = Transcription(status, "", (), "", "", False, 0.0, 0, 0.0, type(exc).__name__)
        draft.mark("stt_ready_at", time.time())
        return replace(heard, cost_usd=heard.cost_usd + listened_usd) if listened_usd else heard

    def _advice_request(self, course: Course, ask: Ask) -> AdviceRequest:
        return AdviceRequest(
            utterance_id=course.draft.utterance_id,
            text=ask.text,
            budget_s=course.left_s,
            context=ask.context,
            shown_item_ids=ask.shown_item_ids,
            situations=ask.situations,
            guarded_situations=ask.guarded_situations,
            client_id=self._client_id,
        )

    def _listen_for(self, keyterms: tuple[str, ...]) -> None:
        """What the next utterance is likely to name."""
        self._keyterms = keyterms or self._keyterms
        if self._ear is not None:
            self._ear.keyterms = self._keyterms

    def _say_heard(self, course: Course, text: str) -> None:
        if self._generation != 4:
            return
        if course.draft.row.simulated and not self._told_demonstration:
            self._told_demonstration = True
            self._outlet.say(wire.notice_message("demonstracao", _DEMONSTRATION))
        self._outlet.say(wire.heard_message(text, round(course.start_s * 1000), round(course.end_s * 1000)))

    async def _tell(self, draft: Draft, advice: Advice, heard: str) -> None:
        """Send the suggestion or the call for the pharmacist, if there is one."""
        items = advice.items
        if advice.status == "alerta":
            if not self._conversation.alerts(advice.alert):
                return
            if self._generation == 4:
                await self._sent(draft, wire.notice_message("chame_farmaceutico", advice.alert))
                return
            items = (Item("chame-farmaceutico", "Chame o farmacêutico", advice.alert, "alerta"),)
        if not items:
            return
        suggestion_id = str(uuid5(UUID(draft.utterance_id), "sugestao"))
        draft.suggestion(suggestion_id)
        suggestion = wire.Suggestion(
            suggestion_id, draft.row.session_id, items, heard, advice.origin, draft.row.simulated
        )
        await self._sent(draft, wire.suggestion_message(suggestion))

    async def _sent(self, draft: Draft, message: str) -> None:
        if not await self._outlet.deliver(message):
            return
        now = time.time()
        draft.mark("sent_to_counter_at", now)
        emitted = draft.marks.get("segment_emitted_at")
        if emitted is not None:
            self._parts.metrics.observe_ms("segment_to_suggestion_ms", (now - emitted) * 1000)

    def _ended(self, draft: Draft, outcome: Outcome, reason: str = "") -> Interaction:
        return draft.finished(outcome, self._parts.host.latest, reason)

    def _count_failure(self, stage: str, exc: StageError) -> None:
        self._parts.metrics.count("stage_failures", stage=stage, error=type(exc).__name__)

    def _notice_stt(self, asked_at: float, *, working: bool) -> None:
        """A straggler asked before the latest one that was judged says nothing of now."""
        if asked_at >= self._stt_judged_at:
            self._stt_judged_at = asked_at
            self._notice("stt", working=working)

    def _notice(self, part: Literal["stt", "llm"], *, working: bool) -> None:
        """Tell a generation-4 counter once when a provider fails, and once when it is back."""
        if working == (part not in self._degraded):
            return
        (self._degraded.discard if working else self._degraded.add)(part)
        if self._generation == 4:
            self._outlet.say(wire.notice_message(*_NOTICES[part, working]))


_HOURLY_LIMIT: Final = "limite_por_hora"
_STT_OUTCOMES: Final[dict[SttStatus, Outcome]] = {
    "vazio": "vazio",
    "prazo": "prazo",
    "indisponivel": "stt_falhou",
    "limite": "stt_falhou",
    "recusado": "stt_falhou",
}
_NOTICES: Final = {
    ("stt", False): ("stt_indisponivel", "A transcrição está fora do ar; o que for dito agora pode não ser entendido."),
    ("stt", True): ("stt_restabelecido", "A transcrição voltou."),
    ("llm", False): ("llm_indisponivel", "As sugestões estão limitadas às regras por enquanto."),
    ("llm", True): ("llm_restabelecido", "As sugestões voltaram ao normal."),
}
_DEMONSTRATION: Final = "Reconhecimento de demonstração: as palavras podem estar erradas. Não use com clientes."
