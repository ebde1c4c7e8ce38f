"""CounterIngress: the door as a Ray Serve deployment, and the other deployments as it sees them."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, cast

from ray import serve
from ray.serve.handle import DeploymentHandle

from deployments.recommender.learned_order import Tallies
from deployments.recommender.port import Advice, AdviceRequest
from deployments.resilience.gossip import Gossip
from deployments.speech_to_text.listening import build_listener
from deployments.speech_to_text.port import Transcription, TranscriptionRequest
from deployments.telemetry.access import AccessRelay
from deployments.telemetry.audio_folder import KeptAudio
from deployments.telemetry.console_queries import ConsoleRelay
from deployments.telemetry.costs import Cost
from deployments.telemetry.erasure import Erased
from deployments.telemetry.errors import TelemetryError
from deployments.telemetry.leases import RollAnswer, RollCall
from deployments.telemetry.records import Client, Counter, Feedback, Interaction, SessionState
from deployments.voice.messages import VoiceReport, VoiceRequest
from serve_app import __version__
from serve_app.access import Access
from serve_app.asking import Methods, ask
from serve_app.door import Door, describe
from serve_app.metrics import RayMetrics
from serve_app.rest.guards import Replica
from serve_app.routes import create_app
from serve_app.settings import BaltoSettings
from serve_app.stages import StageTimeout, StageUnavailable

log = logging.getLogger("balto.ingress")

RECORD_TIMEOUT_S: Final = 15.0
ACCESS_TIMEOUT_S: Final = 10.0
FIND_COUNTER_TIMEOUT_S: Final = 8.0
"""A telemetry stage that starts again is there after 6 to 10 s: a counter waits better at the door than it knocks
again. Half of what a client gives a handshake: the rest is for its session."""
REGISTRY_TIMEOUT_S: Final = 2.0
HEALTH_TIMEOUT_S: Final = 1.5
HEALTH_CACHE_S: Final = 1.0
"""`/saude` is public: asking it often must not ask the stages often."""


class StageHandles:
    """The stages behind their handles."""

    def __init__(
        self, voice: DeploymentHandle[Any], speech_to_text: DeploymentHandle[Any], recommender: DeploymentHandle[Any]
    ) -> None:
        self._voice = Methods(voice)
        self._speech_to_text = Methods(speech_to_text)
        self._recommender = Methods(recommender)
        self._providers = Gossip()
        """What one replica of speech-to-text found, told to the next with the next utterance."""
        self._models = Gossip()
        """The same of the language models' providers."""

    async def examine(self, request: VoiceRequest) -> VoiceReport:
        """See Stages."""
        report: VoiceReport = await ask(self._voice, "examine", request, timeout_s=request.budget_s)
        return report

    async def clean(self, request: VoiceRequest) -> float | None:
        """See Stages."""
        gain_db: float | None = await ask(self._voice, "clean", request, timeout_s=request.budget_s)
        return gain_db

    async def transcribe(self, request: TranscriptionRequest) -> Transcription:
        """See Stages."""
        telling = replace(request, known=self._providers.known)
        heard: Transcription = await ask(self._speech_to_text, "transcribe", telling, timeout_s=request.budget_s)
        self._providers.merge(heard.states)
        return heard

    async def advise(self, request: AdviceRequest) -> Advice:
        """See Stages."""
        telling = replace(request, known=self._models.known)
        advice: Advice = await ask(self._recommender, "advise", telling, timeout_s=request.budget_s)
        self._models.merge(advice.states)
        return advice

    async def health(self) -> dict[str, dict[str, Any]]:
        """See Stages."""
        named = {"voz": self._voice, "fala": self._speech_to_text, "sugestoes": self._recommender}
        answers = await asyncio.gather(*(health_of(stage) for stage in named.values()))
        return dict(zip(named, answers, strict=True))


class OutcomesHandle:
    """What became of suggestions, for the recommender: the telemetry stage behind its handle."""

    def __init__(self, telemetry: DeploymentHandle[Any]) -> None:
        self._telemetry = Methods(telemetry)

    async def item_tallies(self, client_id: str, window_days: int) -> Tallies:
        """See Outcomes."""
        tallies: Tallies = await ask(
            self._telemetry, "item_tallies", client_id, window_days, timeout_s=RECORD_TIMEOUT_S
        )
        return tallies


class TelemetryHandle(AccessRelay, ConsoleRelay):
    """The telemetry stage behind its handle."""

    def __init__(self, telemetry: DeploymentHandle[Any]) -> None:
        self._telemetry = Methods(telemetry)

    async def record(self, rows: Sequence[Interaction | Feedback]) -> int:
        """See Records."""
        count: int = await ask(self._telemetry, "record", list(rows), timeout_s=RECORD_TIMEOUT_S)
        return count

    async def keep_audio(self, audio: KeptAudio) -> bool:
        """See Records."""
        kept: bool = await ask(self._telemetry, "keep_audio", audio, timeout_s=RECORD_TIMEOUT_S)
        return kept

    async def export_session(self, session_id: str, limit: int, offset: int) -> dict[str, Any]:
        """See Records."""
        contents: dict[str, Any] = await self._relay("export_session", session_id, limit, offset)
        return contents

    async def kept_audio(self, session_id: str, utterance_id: str) -> bytes | None:
        """See Records."""
        pcm: bytes | None = await self._relay("kept_audio", session_id, utterance_id)
        return pcm

    async def erase_session(self, session_id: str) -> Erased:
        """See Records."""
        erased: Erased = await self._relay("erase_session", session_id)
        return erased

    async def find_counter(self, key_hash: str) -> Counter | None:
        """See Records."""
        counter: Counter | None = await ask(self._telemetry, "find_counter", key_hash, timeout_s=FIND_COUNTER_TIMEOUT_S)
        return counter

    async def create_client(self, email: str, company: str, phone: str) -> Client:
        """See Records."""
        client: Client = await ask(self._telemetry, "create_client", email, company, phone, timeout_s=10.0)
        return client

    async def create_counter(self, client_code: str, name: str, key_hash: str) -> Counter:
        """See Records."""
        counter: Counter = await ask(self._telemetry, "create_counter", client_code, name, key_hash, timeout_s=10.0)
        return counter

    async def find_client(self, code: str) -> Client | None:
        """See Records."""
        client: Client | None = await self._relay("find_client", code)
        return client

    async def revoke_counter(self, counter_id: str) -> None:
        """See Records."""
        await self._relay("revoke_counter", counter_id)

    async def counters_of(self, client_code: str) -> list[Counter]:
        """See Records."""
        counters: list[Counter] = await self._relay("counters_of", client_code)
        return counters

    async def set_vad_settings(self, counter_id: str, settings: Mapping[str, float] | None) -> None:
        """See Records."""
        await self._relay("set_vad_settings", counter_id, settings)

    async def counter_metrics(self, counter_id: str, since: datetime | None = None) -> dict[str, Any]:
        """See Records."""
        figures: dict[str, Any] = await self._relay("counter_metrics", counter_id, since)
        return figures

    async def _relay(self, question: str, *args: Any) -> Any:
        return await ask(self._telemetry, question, *args, timeout_s=ACCESS_TIMEOUT_S)

    async def interactions(self, **filters: Any) -> list[dict[str, Any]]:
        """See Records."""
        rows: list[dict[str, Any]] = await ask(self._telemetry, "interactions", timeout_s=15.0, **filters)
        return rows

    async def session_state(self, session_id: str) -> SessionState:
        """See Records."""
        state: SessionState = await ask(self._telemetry, "session_state", session_id, timeout_s=3.0)
        return state

    async def claim_session(self, session_id: str, epoch: int, replica: str) -> int | None:
        """See Records."""
        granted: int | None = await ask(
            self._telemetry, "claim_session", session_id, epoch, replica, timeout_s=REGISTRY_TIMEOUT_S
        )
        return granted

    async def roll_call(self, roll: RollCall) -> RollAnswer:
        """See Records."""
        answer: RollAnswer = await ask(self._telemetry, "roll_call", roll, timeout_s=REGISTRY_TIMEOUT_S)
        return answer

    async def costs(self, since: datetime, day_begins_utc_h: int, client_id: str = "") -> Sequence[Cost]:
        """See Records."""
        costs: list[Cost] = await self._relay("costs", since, day_begins_utc_h, client_id)
        return costs

    async def order_drain(self, node: str = "", *, leave: bool = True) -> None:
        """See Records."""
        await ask(self._telemetry, "order_drain", node, leave=leave, timeout_s=ACCESS_TIMEOUT_S)

    async def health(self) -> dict[str, Any]:
        """What the telemetry stage says of itself."""
        return await health_of(self._telemetry)


async def health_of(stage: Methods) -> dict[str, Any]:
    """What one stage says of itself; a silent one is `degraded` and `unanswered`."""
    try:
        state: dict[str, Any] = await ask(stage, "health", timeout_s=HEALTH_TIMEOUT_S)
    except (StageTimeout, StageUnavailable, TelemetryError) as exc:
        return {"degraded": True, "unanswered": type(exc).__name__}
    return state


def counter_app() -> Any:
    """The routes, bound to whichever replica serves them: an app builder does not share the class's globals."""
    return create_app(lambda: cast("Replica", serve.get_replica_context().servable_object))


class EndingFlag:
    """Whether Serve has begun to stop the replica that we run in.

    Serve tells user code nothing before it closes every socket with 1012 at once, so its own flag is looked at, with
    care: in a version that has none, 1012 is the first and the last word, and the log says so once.
    """

    def __init__(self) -> None:
        self._told = False

    def is_up(self) -> bool:
        """Look at the flag."""
        from ray._private.worker import global_worker

        flags = [
            getattr(getattr(actor, "_replica_impl", None), "_shutting_down", None)
            for actor in getattr(global_worker, "actors", {}).values()
        ]
        if all(flag is None for flag in flags) and not self._told:
            self._told = True
            log.warning("ending_flag_missing: no counter is told before a replica stops; POST /admin/drenar does it")
        return any(flag is True for flag in flags)


class CounterIngress:
    """Serves `counter_app`. A fixed number of replicas: sockets stay where they are."""

    def __init__(
        self,
        settings: BaltoSettings,
        voice: DeploymentHandle[Any],
        speech_to_text: DeploymentHandle[Any],
        recommender: DeploymentHandle[Any],
        telemetry: DeploymentHandle[Any],
    ) -> None:
        self._telemetry = TelemetryHandle(telemetry)
        stages = StageHandles(voice, speech_to_text, recommender)
        metrics = RayMetrics()
        listener = build_listener(settings.speech_to_text, metrics)
        self.door = Door(settings.door, stages, self._telemetry, metrics, ending=EndingFlag().is_up, listener=listener)
        self.access = Access(settings.access, self._telemetry, metrics)
        self._health: tuple[float, dict[str, Any]] | None = None

    async def health(self) -> dict[str, Any]:
        """The state of this replica and of every stage, at most a second old; `estado` is `ok` or `degradado`."""
        if self._health is None or time.monotonic() - self._health[0] > HEALTH_CACHE_S:
            stages, telemetry = await asyncio.gather(self.door.stages.health(), self._telemetry.health())
            parts = {**stages, "registro": telemetry}
            well = all(not part["degraded"] for part in parts.values())
            state = {
                "estado": "ok" if well else "degradado",
                "versao": __version__,
                "porta": describe(self.door),
                **parts,
            }
            self._health = (time.monotonic(), state)
        return self._health[1]

    async def close(self) -> None:
        """Finish what counters said, and make it durable."""
        await self.door.close()
