"""The stages as the door sees them: three questions that can fail in two ways, and the keeper of the records."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from deployments.recommender.port import Advice, AdviceRequest
from deployments.speech_to_text.port import Transcription, TranscriptionRequest
from deployments.telemetry.records import Client, Counter, Feedback, Interaction, SessionState
from deployments.voice.messages import VoiceReport, VoiceRequest


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


class Records(Protocol):
    """The keeper of what is recorded and of who may connect (the telemetry stage)."""

    async def record(self, rows: Sequence[Interaction | Feedback]) -> int:
        """Make `rows` durable; returns once they are. Writing a row twice changes nothing."""

    async def find_counter(self, key_hash: str) -> Counter | None:
        """The counter whose key has this hash, or None."""

    async def create_client(self, email: str, company: str, phone: str) -> Client:
        """Register a chain; its code is new and unguessable."""

    async def create_counter(self, client_code: str, name: str, key_hash: str) -> Counter:
        """Register a counter of the client with this code."""

    async def interactions(self, **filters: Any) -> list[dict[str, Any]]:
        """Recorded interactions, newest first."""

    async def session_state(self, session_id: str) -> SessionState:
        """What is recorded of a session; empty where nothing is."""
