"""One utterance's row, filled as it goes its way; pure: the instants come from outside."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from audio.utterance import SAMPLE_RATE_HZ, Utterance
from cestas.model import Item
from deployments.recommender.port import Advice
from deployments.speech_to_text.port import Transcription
from deployments.telemetry.records import Interaction, Outcome
from deployments.voice.messages import VoiceReport
from serve_app.host import HostSample


def utc(unix_s: float) -> datetime:
    """An instant as an aware UTC datetime with microseconds, from seconds since the epoch."""
    return datetime.fromtimestamp(unix_s, tz=timezone.utc)


@dataclass(slots=True)
class Draft:
    """The row of one utterance. Each step adds what a stage answered; `row` is what would be recorded now."""

    _row: Interaction
    marks: dict[str, float] = field(default_factory=dict)
    """Seconds since the epoch at which things happened, by the row's field name."""
    _added: dict[str, Any] = field(default_factory=dict)
    """Not in the row yet: it has a hundred fields, and is made anew for every change."""

    @property
    def row(self) -> Interaction:
        """The row with everything that was added so far."""
        if self._added:
            self._row, self._added = replace(self._row, **self._added), {}
        return self._row

    @property
    def utterance_id(self) -> str:
        """Whose row it is; never changes."""
        return self._row.utterance_id

    def mark(self, name: str, unix_s: float) -> None:
        """Note that `name` (an instant of the row) happened at `unix_s`."""
        self.marks[name] = unix_s

    def segment(self, utterance: Utterance, fed_until: int, now_unix_s: float) -> None:
        """Add the segmenter's figures; `fed_until` is the sample that had arrived at `now_unix_s`."""
        gate = utterance.gate
        self.marks |= {
            "audio_received_at": now_unix_s - (fed_until - utterance.first_sample) / SAMPLE_RATE_HZ,
            "speech_ended_at": now_unix_s - (fed_until - utterance.speech_end_sample) / SAMPLE_RATE_HZ,
            "segment_emitted_at": now_unix_s,
        }
        self._add(
            origin="audio",
            first_sample=utterance.first_sample,
            end_sample=utterance.end_sample,
            duration_s=utterance.duration_s,
            size_bytes=len(utterance.pcm),
            frames=gate.frames,
            speech_frames=gate.speech_frames,
            cut_reason=utterance.cut_reason,
            noise_floor_start_dbfs=gate.noise_floor_start_dbfs,
            noise_floor_end_dbfs=gate.noise_floor_end_dbfs,
            threshold_start_dbfs=gate.threshold_start_dbfs,
            threshold_end_dbfs=gate.threshold_end_dbfs,
        )

    def voice(self, report: VoiceReport) -> None:
        """Add the voice stage's figures."""
        self._add(
            **{name: value for name, value in asdict(report.metrics).items() if name != "duration_s"},
            speech_confidence=report.confidence,
            speech_confirmer=report.confirmer,
            denoise_gain_db=report.denoise_gain_db,
            discard_reason=report.discard or "",
        )

    def transcription(self, heard: Transcription, *, audio: str) -> None:
        """Add what was recognised; `audio` is `bruto` or `limpo`."""
        self._add(
            stt_provider=heard.provider,
            stt_model=heard.model,
            stt_status=heard.status,
            stt_error=heard.error,
            stt_audio=audio,
            stt_cost_usd=heard.cost_usd,
            stt_attempts=heard.attempts,
            simulated=heard.simulated,
            text=heard.text,
        )

    def advice(self, advice: Advice, asked_unix_s: float) -> None:
        """Add what was advised; the steps' instants follow from when it was asked and how long each step took."""
        entities_s = advice.steps_ms.get("entidades", 0.0) / 1000
        category_s = advice.steps_ms.get("categoria", 0.0) / 1000
        self.marks |= {
            "advice_entities_at": asked_unix_s + entities_s,
            "advice_category_at": asked_unix_s + entities_s + category_s,
        }
        self._add(
            advice_origin=advice.origin,
            advice_status=advice.status,
            advice_error=advice.error,
            advisor=advice.advisor,
            advisor_model=advice.model,
            advisor_tokens_in=advice.tokens_in,
            advisor_tokens_out=advice.tokens_out,
            advisor_cost_usd=advice.cost_usd,
            entities=asdict(advice.entities),
            macro=advice.macro,
            micro=advice.micro,
            confidence=advice.confidence,
            cesta=advice.cesta,
            ordering=advice.ordering,
            items=[asdict(item) for item in shown_items(advice)],
            blocked=[asdict(block) for block in advice.blocked],
        )

    def typed(self, text: str) -> None:
        """Say that the words were typed at the counter."""
        self._add(origin="texto", text=text)

    def redacted(self, text: str) -> None:
        """Put `text` in the place of what was recognised or typed: digits in it went on from the text before."""
        self._add(text=text)

    def suggestion(self, suggestion_id: str) -> None:
        """Say which suggestion was sent."""
        self._add(suggestion_id=suggestion_id)

    def finished(self, outcome: Outcome, host: HostSample, reason: str = "") -> Interaction:
        """The row to record: how it ended, the machine's figures, and every instant as a datetime."""
        self._add(
            outcome=outcome,
            cpu_percent=host.cpu_percent,
            ram_percent=host.ram_percent,
            process_rss_mb=host.process_rss_mb,
            **({"discard_reason": reason} if reason else {}),
            **{name: utc(unix_s) for name, unix_s in self.marks.items()},
        )
        return self.row

    def _add(self, **values: Any) -> None:
        self._added |= values


def shown_items(advice: Advice) -> tuple[Item, ...]:
    """What a counter shows: the items, or in their place the call for the pharmacist."""
    if advice.status != "alerta":
        return advice.items
    return (Item("chame-farmaceutico", "Chame o farmacêutico", advice.alert, "alerta"),)


def outcome_of(advice: Advice) -> Outcome:
    """How an utterance ended, given its advice."""
    if advice.status == "sugerido" or advice.status == "nada" or advice.status == "bloqueado":
        return advice.status
    if advice.status == "alerta" or advice.status == "prazo":
        return advice.status
    return "llm_falhou"
