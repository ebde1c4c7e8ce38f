"""The stages as the door sees them: three questions that can fail in two ways, and the keeper of the records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from deployments.recommender.port import Advice, AdviceRequest
from deployments.speech_to_text.port import Transcription, TranscriptionRequest
from deployments.telemetry.access import AccessStore
from deployments.telemetry.audio_folder import KeptAudio
from deployments.telemetry.console_queries import ConsoleStore
from deployments.telemetry.costs import Cost
from deployments.telemetry.erasure import Erased
from deployments.telemetry.records import Client, Counter, Feedback, Interaction, SessionState
from deployments.voice.messages import VoiceReport, VoiceRequest
from serve_app.registry import RollKeeper


class StageError(Exception):
    """A stage did not answer.

    StageError
    ├── StageUnavailable   its replica died or cannot be reached, even after one more try
    └── StageTimeout       it did not answer within the budget
    """


class StageUnavailable(StageError):
    """The stage's replica died or cannot be reached."""


class StageTimeout(StageError):
    """The stage did not answer within the budget."""


class Stages(Protocol):
    """What an utterance passes through. Every method answers within its request's `budget_s` or raises StageError."""

    async def examine(self, request: VoiceRequest) -> VoiceReport:
        """Is this speech? Clean it, measure it."""

    async def clean(self, request: VoiceRequest) -> float | None:
        """Clean for the record alone: the change of the background's level in dB."""

    async def transcribe(self, request: TranscriptionRequest) -> Transcription:
        """What was said?"""

    async def advise(self, request: AdviceRequest) -> Advice:
        """What would help?"""

    async def health(self) -> dict[str, dict[str, Any]]:
        """What each stage says of itself, by its name; each has `degraded`, a silent one is so."""


class Records(AccessStore, ConsoleStore, RollKeeper, Protocol):
    """The keeper of what is recorded and of who may connect (the telemetry stage)."""

    async def record(self, rows: Sequence[Interaction | Feedback]) -> int:
        """Make `rows` durable; returns once they are. Writing a row twice changes nothing."""

    async def keep_audio(self, audio: KeptAudio) -> bool:
        """Keep an utterance's audio where that is switched on; whether it was kept."""

    async def export_session(self, session_id: str, limit: int, offset: int) -> dict[str, Any]:
        """Everything kept of a session, ready for JSON; see Telemetry."""

    async def kept_audio(self, session_id: str, utterance_id: str) -> bytes | None:
        """An utterance's audio, 16 kHz mono s16le, where it was kept."""

    async def erase_session(self, session_id: str) -> Erased:
        """Erase everything kept of a session; what of it still arrives is not written."""

    async def find_counter(self, key_hash: str) -> Counter | None:
        """The counter whose key has this hash, or None."""

    async def create_client(self, email: str, company: str, phone: str) -> Client:
        """Register a chain; its code is new and unguessable."""

    async def create_counter(self, client_code: str, name: str, key_hash: str) -> Counter:
        """Register a counter of the client with this code."""

    async def find_client(self, code: str) -> Client | None:
        """The client of this code."""

    async def revoke_counter(self, counter_id: str) -> None:
        """From now on the counter's key opens nothing. Raises UnknownCounter."""

    async def counters_of(self, client_code: str) -> list[Counter]:
        """A client's counters by name. Raises UnknownClient."""

    async def set_vad_settings(self, counter_id: str, settings: Mapping[str, float] | None) -> None:
        """Keep a counter's gate settings (None: the service's). Raises UnknownCounter."""

    async def counter_metrics(self, counter_id: str, since: datetime | None = None) -> dict[str, Any]:
        """A counter's figures: interactions by outcome, delay quantiles in ms, cost in USD, results of suggestions."""

    async def interactions(self, **filters: Any) -> list[dict[str, Any]]:
        """Recorded interactions, newest first."""

    async def session_state(self, session_id: str) -> SessionState:
        """What is recorded of a session; empty where nothing is."""

    async def costs(self, since: datetime, day_begins_utc_h: int, client_id: str = "") -> Sequence[Cost]:
        """What was spent since then, by client and day; of one client, or of all."""
