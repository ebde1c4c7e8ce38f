"""What is recorded: interactions, the outcome of suggestions, and who may connect."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Outcome = Literal[
    "sugerido", "nada", "bloqueado", "alerta", "descartado", "vazio", "stt_falhou", "llm_falhou", "prazo", "perdido"
]
"""How one utterance ended: every accepted utterance ends in exactly one of these."""


@dataclass(frozen=True, slots=True)
class Interaction:
    """Everything measured of one utterance, one row. Instants are aware UTC datetimes with microseconds; levels in
    dBFS; None means that the step did not happen. `interaction_id` derives from the utterance: writing a row twice
    changes nothing."""

    interaction_id: str
    client_id: str
    counter_id: str
    session_id: str
    utterance_id: str
    node: str
    software_version: str
    outcome: Outcome
    origin: str = ""
    """`audio` or `texto` (typed at the counter)."""
    discard_reason: str = ""

    audio_received_at: datetime | None = None
    speech_ended_at: datetime | None = None
    segment_emitted_at: datetime | None = None
    voice_sent_at: datetime | None = None
    voice_ready_at: datetime | None = None
    stt_sent_at: datetime | None = None
    stt_ready_at: datetime | None = None
    advice_asked_at: datetime | None = None
    advice_entities_at: datetime | None = None
    advice_category_at: datetime | None = None
    advice_ready_at: datetime | None = None
    sent_to_counter_at: datetime | None = None

    cpu_percent: float | None = None
    ram_percent: float | None = None
    process_rss_mb: float | None = None

    first_sample: int | None = None
    end_sample: int | None = None
    duration_s: float | None = None
    size_bytes: int | None = None
    frames: int | None = None
    speech_frames: int | None = None
    cut_reason: str = ""
    noise_floor_start_dbfs: float | None = None
    noise_floor_end_dbfs: float | None = None
    threshold_start_dbfs: float | None = None
    threshold_end_dbfs: float | None = None

    pitch_mean_hz: float | None = None
    pitch_std_hz: float | None = None
    voiced_ratio: float | None = None
    snr_db: float | None = None
    spectral_centroid_hz: float | None = None
    zero_crossing_rate: float | None = None
    rms_mean: float | None = None
    rms_max: float | None = None
    peak_dbfs: float | None = None
    clipping_ratio: float | None = None
    dc_offset: float | None = None
    band_energies_db: tuple[float, ...] | None = None
    speech_confidence: float | None = None
    speech_confirmer: str = ""
    denoise_gain_db: float | None = None

    gate_settings: dict[str, Any] | None = None

    stt_provider: str = ""
    stt_model: str = ""
    stt_status: str = ""
    stt_error: str = ""
    stt_audio: str = ""
    """`bruto` or `limpo`: which audio the recogniser was given."""
    stt_cost_usd: float | None = None
    stt_attempts: int | None = None
    simulated: bool = False
    text: str = ""

    advice_origin: str = ""
    advice_status: str = ""
    advice_error: str = ""
    advisor: str = ""
    advisor_model: str = ""
    advisor_tokens_in: int | None = None
    advisor_tokens_out: int | None = None
    advisor_cost_usd: float | None = None
    entities: dict[str, Any] | None = None
    macro: str | None = None
    micro: str | None = None
    confidence: float | None = None
    cesta: str = ""
    ordering: str = ""
    """Whose order the items were in: `aprendida`, `mantida` (the pharmacist's, to compare with), or empty."""
    suggestion_id: str | None = None
    items: list[dict[str, str]] | None = None
    blocked: list[dict[str, str]] | None = None


@dataclass(frozen=True, slots=True)
class Feedback:
    """What became of a suggestion, as the counter reported it (`retorno`)."""

    feedback_id: str
    suggestion_id: str
    item_id: str
    result: Literal["aceita", "recusada", "vendida", "ignorada"]
    counter_id: str
    session_id: str
    reported_at: datetime


@dataclass(frozen=True, slots=True)
class Client:
    """A chain or a pharmacy: who owns counters. `code` is what its counters register with."""

    client_id: str
    code: str
    email: str
    company: str
    phone: str


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter that may connect. `key_hash` is the SHA-256 of its key, in hexadecimal; the key is never stored."""

    counter_id: str
    client_id: str
    name: str
    key_hash: str
    revoked: bool = False
    vad_settings: dict[str, float] | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """What was understood once in a session, and what came of it, for a conversation that is taken up again.

    Seconds are the session's stream time; None: the words were typed. `text` is as it was recorded (redacted).
    """

    text: str
    start_s: float | None = None
    end_s: float | None = None
    item_ids: tuple[str, ...] = ()
    """Items shown in answer to it."""
    situations: tuple[str, ...] = ()
    """Situations known of the customer then."""
    alert: str = ""
    """Why the pharmacist was called, where it was so."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A suggestion as it was recorded, to be sent again."""

    suggestion_id: str
    items: tuple[dict[str, str], ...]
    text: str
    origin: str
    simulated: bool


@dataclass(frozen=True, slots=True)
class SessionState:
    """What is recorded of a session, for one that is resumed. Samples count from the session's first one."""

    counter_id: str = ""
    """Whose session it is; empty where nothing is recorded."""
    last_end_sample: int = 0
    """One past the last sample of the last recorded utterance; 0 where nothing is recorded."""
    utterances: tuple[tuple[int, int], ...] = ()
    """The recorded utterances' intervals (first sample, one past the last), newest 200 at most, in order."""
    suggestion_ids: tuple[str, ...] = ()
    """Suggestions made, oldest first, newest 1,000 at most."""
    item_ids: tuple[str, ...] = ()
    """Items suggested, oldest first, without repeats."""
    recent_texts: tuple[str, ...] = ()
    """The newest 12 texts heard, oldest first."""
    turns: tuple[Turn, ...] = ()
    """The newest 40 texts heard with what came of them, oldest first."""
    undelivered: tuple[Shown, ...] = ()
    """Suggestions of the last minute that did not reach the counter, or only in the last 15 s: they may have been lost
    with the connection. The counter shows each id once."""
    partial: bool = False
    """The database could not be read: this is what waits in the outboxes of telemetry's node alone."""
