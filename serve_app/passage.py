"""One utterance's way through the stages, step by step, within its deadline; every way ends in a row."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import Final, Literal
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict, Field

from audio.utterance import Utterance
from cestas.model import Item
from deployments.metrics import Metrics
from deployments.recommender.port import Advice, AdviceRequest
from deployments.speech_to_text.port import SttStatus, Transcription, TranscriptionRequest
from deployments.telemetry.records import Interaction, Outcome
from deployments.voice.messages import VoiceReport, VoiceRequest
from serve_app import wire
from serve_app.conversation import Ask, Conversation
from serve_app.draft import Draft, outcome_of
from serve_app.host import HostSampler
from serve_app.outlet import Outlet
from serve_app.recorder import Recorder
from serve_app.stages import StageError, Stages, StageTimeout


class SessionSettings(BaseModel):
    """Limits of one counter's session."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    deadline_ms: int = Field(3000, ge=100, le=60_000)
    """From the end of an utterance to its suggestion; what cannot make it ends in a recorded outcome."""
    utterances_at_once: int = Field(4, ge=1, le=64)
    """Utterances of one session that are examined and transcribed at the same time."""
    utterances_waiting_max: int = Field(32, ge=1, le=1000)
    """Beyond it an utterance is dropped, recorded as `perdido` with the reason `fila_cheia`."""
    speculation: Literal["off", "auto", "on"] = "auto"
    """Hand an utterance on in the pause that may end it; if speech goes on, what came of it is dropped. `auto`: where
    the provider of speech recognition is cheap (`speech_to_text.cheap_below_usd_per_hour`)."""
    stt_audio: Literal["bruto", "limpo"] = "bruto"
    """What the recogniser is given where cleaning took place: cleaning usually hurts recognition."""


@dataclass(frozen=True, slots=True)
class SessionParts:
    """What a replica lends to every session."""

    settings: SessionSettings
    stages: Stages
    recorder: Recorder
    metrics: Metrics
    host: HostSampler


@dataclass(slots=True)
class Course:
    """What one utterance takes along: its row, when it must be done (monotonic seconds), its span in the stream."""

    draft: Draft
    deadline: float
    start_s: float
    end_s: float
    utterance: Utterance | None
    """None: the words were typed."""
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
    ) -> None:
        self._parts = parts
        self._outlet = outlet
        self._conversation = conversation
        self._generation = generation
        self._client_id = client_id
        self._degraded: set[str] = set()
        self._told_demonstration = False

    async def hear(self, course: Course) -> str | Interaction:
        """The words of an utterance, or the row it ended in because it has none."""
        utterance, draft = course.utterance, course.draft
        if utterance is None:
            return draft.row.text
        report = await self._examine(course, utterance)
        if report is not None and report.discard is not None:
            return self._ended(draft, "prazo" if report.discard == "prazo" else "descartado")
        cleaned = report.cleaned_pcm if report is not None else None
        heard = await self._transcribe(course, cleaned or utterance.pcm)
        draft.transcription(heard, audio="limpo" if cleaned else "bruto")
        self._notice("stt", working=heard.status in ("ok", "vazio"))
        return heard.text if heard.status == "ok" else self._ended(draft, _STT_OUTCOMES[heard.status])

    async def answer(self, course: Course, text: str) -> Interaction:
        """Ask for advice on `text` and tell the counter; the row to record."""
        draft = course.draft
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
            self._notice("llm", working=False)
            return self._ended(draft, "prazo" if isinstance(exc, StageTimeout) else "llm_falhou")
        draft.mark("advice_ready_at", time.time())
        draft.advice(advice, asked_at)
        self._notice("llm", working=not advice.error)
        self._conversation.advised((item.id for item in advice.items), advice.entities.situations)
        await self._tell(draft, advice, text)
        return self._ended(draft, outcome_of(advice))

    async def completed(self, course: Course, row: Interaction) -> Interaction:
        """`row` with what was measured beside the utterance's way."""
        return row if course.cleaning is None else replace(row, denoise_gain_db=await course.cleaning)

    async def _examine(self, course: Course, utterance: Utterance) -> VoiceReport | None:
        """The voice stage's report; None when the stage is away: no utterance is lost for want of a measurement."""
        draft = course.draft
        draft.mark("voice_sent_at", time.time())
        request = VoiceRequest(
            draft.row.utterance_id,
            utterance.pcm,
            utterance.background_pcm,
            utterance.gate.noise_floor_start_dbfs,
            course.left_s,
            wants_cleaned=self._parts.settings.stt_audio == "limpo",
        )
        try:
            report = await self._parts.stages.examine(request)
        except StageError as exc:
            self._count_failure("voice", exc)
            return None
        draft.mark("voice_ready_at", time.time())
        draft.voice(report)
        if report.cleaning_due:
            course.cleaning = asyncio.create_task(self._clean(replace(request, budget_s=course.left_s)))
        return report

    async def _clean(self, request: VoiceRequest) -> float | None:
        try:
            return await self._parts.stages.clean(request)
        except StageError as exc:
            self._count_failure("voice", exc)
            return None

    async def _transcribe(self, course: Course, pcm: bytes) -> Transcription:
        draft = course.draft
        draft.mark("stt_sent_at", time.time())
        try:
            heard = await self._parts.stages.transcribe(
                TranscriptionRequest(draft.row.utterance_id, pcm, course.left_s)
            )
        except StageError as exc:
            self._count_failure("speech_to_text", exc)
            status: SttStatus = "prazo" if isinstance(exc, StageTimeout) else "indisponivel"
            heard = Transcription(status, "", (), "", "", False, 0.0, 0, 0.0, type(exc).__name__)
        draft.mark("stt_ready_at", time.time())
        return heard

    def _advice_request(self, course: Course, ask: Ask) -> AdviceRequest:
        return AdviceRequest(
            utterance_id=course.draft.row.utterance_id,
            text=ask.text,
            budget_s=course.left_s,
            context=ask.context,
            shown_item_ids=ask.shown_item_ids,
            situations=ask.situations,
            guarded_situations=ask.guarded_situations,
            client_id=self._client_id,
        )

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
        suggestion_id = str(uuid5(UUID(draft.row.utterance_id), "sugestao"))
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

    def _ended(self, draft: Draft, outcome: Outcome) -> Interaction:
        return draft.finished(outcome, self._parts.host.latest)

    def _count_failure(self, stage: str, exc: StageError) -> None:
        self._parts.metrics.count("stage_failures", stage=stage, error=type(exc).__name__)

    def _notice(self, part: Literal["stt", "llm"], *, working: bool) -> None:
        """Tell a generation-4 counter once when a provider fails, and once when it is back."""
        if working == (part not in self._degraded):
            return
        (self._degraded.discard if working else self._degraded.add)(part)
        if self._generation == 4:
            self._outlet.say(wire.notice_message(*_NOTICES[part, working]))


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
