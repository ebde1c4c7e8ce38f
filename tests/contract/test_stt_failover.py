"""Speech-to-text over both vendors' real SDKs and simulated servers: outages, overtaking, the bill, what is left."""

from __future__ import annotations

import asyncio
import gzip
import json
from typing import Any

from pydantic import SecretStr

from bench.providers.crowd import ASSEMBLY_KEY, ELEVEN_KEY, settings_for
from bench.providers.outage import Plan, outage
from bench.providers.soak import bill, report
from bench.simulated.assemblyai import SimulatedAssemblyAi
from bench.simulated.elevenlabs import SimulatedElevenLabs, transcript
from bench.simulated.faults import Latency
from bench.simulated.server import Fault, LoopbackServer
from deployments.resilience.settings import BreakerSettings, HedgeSettings
from deployments.speech_to_text.elevenlabs import ElevenLabs
from deployments.speech_to_text.port import TranscriptionRequest
from deployments.speech_to_text.settings import ElevenLabsSettings
from deployments.speech_to_text.stage import SpeechToText
from tests.support.doors import KEY, ScriptedStages, heard, open_door, speech_pcm, to_the_end

PCM = b"\x01\x00" * 16_000
QUICK: dict[str, Any] = {
    "before_s": 1.2,
    "dead_s": 1.6,
    "after_s": 1.2,
    "every_s": 1.2,
    "latencies_ms": ((60.0, 150.0), (20.0, 50.0)),
}
BREAKER = BreakerSettings(probe_every_s=0.4)


def bars(document: dict[str, Any]) -> dict[str, bool]:
    return {bar["name"]: bar["met"] for bar in document["bars"]}


async def test_the_first_provider_dies_under_twenty_counters_and_no_utterance_is_lost() -> None:
    seen = await outage(Plan(who="first", fault=Fault.RESET, **QUICK), {"breaker": BREAKER})
    assert seen["outcomes_during"] == {"ok": seen["during"]}
    assert seen["during"] > 10
    assert bars(seen)["recovery noticed, s"], seen
    assert max(seen["wasted_per_replica"].values()) <= 5, seen  # three, and what was on its way just then
    assert seen["left_over"] == {"tasks": 0, "open_requests": 0}


async def test_with_both_dead_every_utterance_says_why_and_nothing_is_made_up() -> None:
    seen = await outage(Plan(who="both", **{**QUICK, "dead_s": 4.5}), {"breaker": BREAKER})
    assert seen["lost"] > 5
    assert seen["invented"] == 0
    assert set(seen["errors_during"]) <= {"SttUnavailable", "SttResting", "SttTimeout"}
    assert bars(seen)["recovery noticed, s"], seen


async def test_a_slow_answer_of_one_vendor_is_overtaken_by_the_other_and_its_connection_let_go() -> None:
    slow = Latency(20.0)
    async with SimulatedElevenLabs(latency=slow) as eleven, SimulatedAssemblyAi(latency=Latency(5.0)) as assembly:
        hedge = HedgeSettings(samples_min=10, over_median=1.3, quantile=0.9)
        stage = SpeechToText(settings_for(eleven.base_url, assembly.base_url, hedge=hedge))
        for number in range(20):
            await stage.transcribe(TranscriptionRequest(f"u-{number}", PCM, 3.0))
        slow.median_ms = 2_000.0
        answer = await stage.transcribe(TranscriptionRequest("late", PCM, 3.0))
        assert (answer.status, answer.provider, answer.hedged) == ("ok", "assemblyai", True)
        assert answer.elapsed_ms < 1_000
        await asyncio.sleep(0.1)
        assert stage.running_on == 0
        await stage.close()


async def test_who_stands_by_has_its_connection_open_before_it_is_needed() -> None:
    async with SimulatedElevenLabs() as eleven, SimulatedAssemblyAi() as assembly:
        stage = SpeechToText(settings_for(eleven.base_url, assembly.base_url))
        answer = await stage.transcribe(TranscriptionRequest("u", PCM, 3.0))
        for _ in range(100):
            if assembly.connections:
                break
            await asyncio.sleep(0.01)
        assert (answer.provider, len(assembly.requests), assembly.connections) == ("elevenlabs", 0, 1)
        await stage.close()


async def test_faults_of_every_kind_end_in_typed_outcomes_and_leave_nothing_behind() -> None:
    seen = await report(calls=100, at_once=4, seed=3)
    assert bars(seen) == dict.fromkeys(bars(seen), True), seen
    assert seen["outcomes"]["ok"] > 85


async def test_the_bill_is_what_the_vendors_received_overtaken_requests_included() -> None:
    seen = await bill(calls=60, at_once=2, seed=5)
    assert bars(seen) == {"difference, USD": True}
    abandoned = sum(vendor.get("abandoned", 0) for vendor in seen["vendors_saw"].values())
    assert abandoned > 0, seen["vendors_saw"]


async def test_a_revoked_key_moves_everything_to_the_other_vendor_at_the_price_of_one_request() -> None:
    async with SimulatedElevenLabs(api_key="xi-new") as eleven, SimulatedAssemblyAi() as assembly:
        stage = SpeechToText(settings_for(eleven.base_url, assembly.base_url))
        answers = [await stage.transcribe(TranscriptionRequest(f"u-{n}", PCM, 3.0)) for n in range(5)]
        health = (await stage.health())["providers"]["elevenlabs"]
        await stage.close()
    assert [answer.provider for answer in answers] == ["assemblyai"] * 5
    assert len(eleven.requests) == 1
    assert (health["state"], health["reason"]) == ("open", "refused")
    assert ELEVEN_KEY not in str(answers)
    assert ASSEMBLY_KEY not in str(answers)


async def test_a_compressed_answer_is_read_all_the_same() -> None:
    body = gzip.compress(json.dumps(transcript("tem soro?", 1.0)).encode())

    async def vendor(scope: Any, receive: Any, send: Any) -> None:
        while (await receive()).get("more_body"):
            continue
        headers = [(b"content-type", b"application/json"), (b"content-encoding", b"gzip")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async with LoopbackServer(vendor) as server:
        provider = ElevenLabs(ElevenLabsSettings(api_key=SecretStr(ELEVEN_KEY), base_url=server.base_url))
        read = await provider.transcribe(PCM, keyterms=(), budget_s=3.0)
        await provider.close()
    assert (read.text, len(read.words)) == ("tem soro?", 2)


async def test_the_row_says_why_a_text_was_not_believed_and_the_stage_learns_how_the_audio_was() -> None:
    stages = ScriptedStages(stt=heard("", discarded="depressa_demais"))
    hello = {"comando": "auth", "versao": 4, "api_key": KEY, "formato": "pcm_s16le_16k", "sessao": None}
    async with open_door(stages) as at, at.counter(hello) as socket:
        await socket.send(speech_pcm())
        await socket.send(json.dumps({"comando": "fim"}))
        await to_the_end(socket)
    (row,) = at.records.interaction_rows
    assert (row.outcome, row.discard_reason) == ("vazio", "depressa_demais")
    asked = next(request for request in stages.asked if isinstance(request, TranscriptionRequest))
    assert (asked.client_id, asked.snr_db, asked.voiced_s) == ("client-1", 20.0, 0.5)
