"""End of speech → suggestion: counters that are listened to while they speak beside counters that are not."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from collections import Counter as Tally
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from audio.utterance import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ
from bench.path.counters import clips, speech
from bench.simulated.elevenlabs import SimulatedElevenLabs
from bench.simulated.elevenlabs_realtime import SimulatedElevenLabsRealtime
from bench.simulated.faults import Latency, Ledger
from bench.simulated.server import LoopbackServer
from deployments.metrics import NoMetrics
from deployments.recommender.port import Advice, AdviceRequest
from deployments.recommender.settings import RecommenderSettings
from deployments.recommender.stage import Recommender
from deployments.speech_to_text.adapter_settings import ListeningSettings, RealtimeSettings
from deployments.speech_to_text.listening import build_listener
from deployments.speech_to_text.port import Transcription, TranscriptionRequest
from deployments.speech_to_text.settings import ElevenLabsSettings, SpeechToTextSettings
from deployments.speech_to_text.stage import SpeechToText
from deployments.telemetry.costs import Cost
from deployments.telemetry.leases import Leases, RollAnswer, RollCall
from deployments.telemetry.records import Counter, Feedback, Interaction, SessionState
from deployments.voice.messages import VoiceReport, VoiceRequest
from deployments.voice.settings import VoiceSettings
from deployments.voice.stage import Voice
from serve_app.accounts import hash_of
from serve_app.client import ClientSettings, CounterClient, PcmSource
from serve_app.conversation import ConversationSettings
from serve_app.door import Door, DoorSettings
from serve_app.passage import SessionSettings
from serve_app.stages import Records

KEY: Final = "xi-simulated"
ALONG: Final = "escuta"
AFTER: Final = "lote"
CHUNK_MS: Final = 250
EVERY_S: Final = 6.0
TEXTS: Final = (
    "meu filho está com diarreia desde ontem",
    "estou com dor de cabeça",
    "tem alguma coisa para azia",
    "estou com o nariz entupido",
    "ele está com tosse seca",
)
BATCH: Final = (800.0, 2000.0)
REALTIME: Final = (280.0, 410.0)
"""Median and 99th percentile of the answers, in ms: as published, the realtime ones after the commit."""
RATIO_AT_MOST: Final = 0.6


class _Kept:
    """Rows in memory, for the questions that a door asks of its records."""

    def __init__(self, counters: Sequence[Counter]) -> None:
        self.rows: dict[str, Interaction] = {}
        self._counters = {counter.key_hash: counter for counter in counters}
        self._leases = Leases()

    async def record(self, rows: Sequence[Interaction | Feedback]) -> int:
        self.rows |= {row.interaction_id: row for row in rows if isinstance(row, Interaction)}
        return len(rows)

    async def find_counter(self, key_hash: str) -> Counter | None:
        return self._counters.get(key_hash)

    async def live_keys(self, key_hashes: Sequence[str]) -> list[str]:
        return list(key_hashes)

    async def session_state(self, session_id: str) -> SessionState:
        return SessionState()

    async def claim_session(self, session_id: str, epoch: int, replica: str) -> int | None:
        return self._leases.claim(session_id, epoch, replica, time.time())

    async def roll_call(self, roll: RollCall) -> RollAnswer:
        return self._leases.call(roll, time.time())

    async def costs(self, since: Any, day_begins_utc_h: int, client_id: str = "") -> list[Cost]:
        return []


@dataclass
class _Near:
    """The stages in this process: what is compared is the recognition, the same hops are left out of both."""

    voice: Voice
    speech_to_text: SpeechToText
    recommender: Recommender

    async def examine(self, request: VoiceRequest) -> VoiceReport:
        return await self.voice.examine(request)

    async def clean(self, request: VoiceRequest) -> float | None:
        return await self.voice.clean(request)

    async def transcribe(self, request: TranscriptionRequest) -> Transcription:
        return await self.speech_to_text.transcribe(request)

    async def advise(self, request: AdviceRequest) -> Advice:
        return await self.recommender.advise(request)

    async def health(self) -> dict[str, dict[str, Any]]:
        return {}

    async def close(self) -> None:
        for stage in (self.voice, self.speech_to_text, self.recommender):
            await stage.close()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is compared: `counters` of each kind, which say the same at the same times, for `seconds`."""

    seconds: float = 60.0
    counters: int = 3
    speculation: Literal["off", "on"] = "on"
    seed: int = 1


@dataclass
class Seen:
    """What was recorded of each kind, and what the vendor would bill."""

    rows: list[Interaction]
    settings: SpeechToTextSettings
    ledger: Ledger = field(default_factory=Ledger)


async def compare(plan: Plan) -> Seen:
    """One service, both kinds of counter at the same time: the machine is equally busy for both."""
    ledger = Ledger()
    batch = SimulatedElevenLabs(texts=TEXTS, latency=Latency(*BATCH, seed=plan.seed), ledger=ledger, api_key=KEY)
    along = SimulatedElevenLabsRealtime(
        texts=TEXTS, latency=Latency(*REALTIME, seed=plan.seed), ledger=ledger, api_key=KEY
    )
    names = [(kind, number) for kind in (ALONG, AFTER) for number in range(plan.counters)]
    counters = [Counter(f"{kind}-{number}", kind, kind, hash_of(f"bk_{kind}-{number}")) for kind, number in names]
    kept = _Kept(counters)
    async with batch, along:
        settings = SpeechToTextSettings(
            provider="elevenlabs",
            elevenlabs=ElevenLabsSettings(api_key=SecretStr(KEY), base_url=batch.base_url),
            elevenlabs_realtime=RealtimeSettings(api_key=SecretStr(KEY), base_url=along.base_url),
            realtime="on",
            listening=ListeningSettings(clients=(ALONG,)),
        )
        metrics = NoMetrics()
        stages = _Near(
            Voice(VoiceSettings()), SpeechToText(settings), Recommender(RecommenderSettings(policy="regras"))
        )
        door = Door(
            DoorSettings(
                session=SessionSettings(speculation=plan.speculation),
                conversation=ConversationSettings(repeat_after_s=0, suggestions_per_hour_max=0),
            ),
            stages,
            cast("Records", kept),
            metrics,
            listener=build_listener(settings, metrics),
        )
        async with LoopbackServer(Starlette(routes=[WebSocketRoute("/ws", door.counter)])) as server:
            url = server.base_url.replace("http", "ws", 1) + "/ws"
            await asyncio.gather(*(_speak(url, f"bk_{kind}-{number}", number, plan) for kind, number in names))
            await door.close()
        await stages.close()
    return Seen(list(kept.rows.values()), settings, ledger)


async def _speak(url: str, key: str, number: int, plan: Plan) -> None:
    """One counter, from its first sample to its goodbye; those of the same number say the same."""
    pcm = speech(clips(), plan.seconds, EVERY_S, random.Random(f"{plan.seed}-{number}"))
    pcm = pcm[: int(plan.seconds * SAMPLE_RATE_HZ) * BYTES_PER_SAMPLE]
    client = CounterClient(ClientSettings(url=url, chunk_ms=CHUNK_MS), key)
    await client.run(PcmSource(pcm), lambda event: None)


def delays_ms(rows: Sequence[Interaction], kind: str) -> list[float]:
    """End of speech → suggestion on the socket, in ms, of the counters of one kind, sorted."""
    return sorted(
        (row.sent_to_counter_at - row.speech_ended_at).total_seconds() * 1e3
        for row in rows
        if row.client_id == kind and row.sent_to_counter_at and row.speech_ended_at
    )


def _figures(seen: Seen, kind: str) -> dict[str, Any]:
    rows = [row for row in seen.rows if row.client_id == kind]
    took = delays_ms(rows, kind)
    return {
        "utterances": len(rows),
        "suggestions": len(took),
        "outcomes": dict(Tally(row.outcome for row in rows)),
        "heard_by": dict(Tally(row.stt_provider for row in rows)),
        "p50_ms": statistics.median(took) if took else None,
        "p95_ms": took[min(len(took) - 1, len(took) * 95 // 100)] if took else None,
        "usd": sum(row.stt_cost_usd or 0.0 for row in rows),
    }


def _bill(seen: Seen) -> Mapping[str, float]:
    """The rows' cost and what the vendor received, listened along and after."""
    live, batch = seen.settings.elevenlabs_realtime, seen.settings.elevenlabs
    received = seen.ledger.audio_usd(
        "elevenlabs_realtime", live.cost_usd_per_hour, live.keyterms_cost_usd_per_hour
    ) + seen.ledger.audio_usd("elevenlabs", batch.cost_usd_per_hour, batch.keyterms_cost_usd_per_hour)
    return {"rows_usd": sum(row.stt_cost_usd or 0.0 for row in seen.rows), "ledger_usd": received}


def report(plan: Plan) -> dict[str, Any]:
    """Both kinds, and how much sooner the suggestion comes where somebody listens along."""
    seen = asyncio.run(compare(plan))
    along, after = _figures(seen, ALONG), _figures(seen, AFTER)
    ratio = along["p50_ms"] / after["p50_ms"] if along["p50_ms"] and after["p50_ms"] else float("inf")
    bill = _bill(seen)
    off_usd = abs(bill["rows_usd"] - bill["ledger_usd"])
    return {
        "bench": "realtime",
        "speculation": plan.speculation,
        "seconds": plan.seconds,
        "counters_of_each_kind": plan.counters,
        "realtime": along,
        "batch": after,
        "bill": bill,
        "bars": [
            {"name": "p50 against batch", "value": ratio, "limit": RATIO_AT_MOST, "met": ratio <= RATIO_AT_MOST},
            {"name": "rows against the ledger, USD", "value": off_usd, "limit": 0.005, "met": off_usd < 0.005},
        ],
    }
