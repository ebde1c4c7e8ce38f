"""A counter that is listened to while it speaks: sooner where that works, and nothing lost where it does not."""

import asyncio
import json

import pytest
from pydantic import SecretStr

from bench.simulated.elevenlabs_realtime import RealtimeFault, SimulatedElevenLabsRealtime
from bench.simulated.server import Fault
from deployments.metrics import NoMetrics
from deployments.speech_to_text.adapter_settings import ListeningSettings, RealtimeSettings
from deployments.speech_to_text.listening import build_listener
from deployments.speech_to_text.settings import SpeechToTextSettings
from serve_app.door import DoorSettings
from serve_app.passage import SessionSettings
from serve_app.spending import Budget, SpendingSettings
from tests.support.doors import (
    COUNTER,
    KEY,
    SORO,
    ScriptedStages,
    advice,
    heard,
    is_,
    messages,
    open_door,
    speech_pcm,
    to_the_end,
)

AUTH_4 = {"comando": "auth", "versao": 4, "api_key": KEY, "formato": "pcm_s16le_16k", "sessao": None}
VENDOR_KEY = "xi-simulated"
ALONG = "estou com dor de cabeça"
AFTER = "meu filho está com diarreia"


def listener_at(vendor, clients=(COUNTER.client_id,), **listening):
    settings = SpeechToTextSettings(
        realtime="on",
        listening=ListeningSettings(clients=clients, **listening),
        elevenlabs_realtime=RealtimeSettings(api_key=SecretStr(VENDOR_KEY), base_url=vendor.base_url),
    )
    return build_listener(settings, NoMetrics())


async def said(vendor, pcm, settings=None, clients=(COUNTER.client_id,), **listening):
    """What a counter that says `pcm` is told, the stages and the rows behind it."""
    stages = ScriptedStages(stt=heard(AFTER, cost_usd=0.002))
    listener = listener_at(vendor, clients, **listening)
    async with open_door(stages, settings=settings, listener=listener) as at, at.counter(AUTH_4) as socket:
        for begin in range(0, len(pcm), 8000):
            await socket.send(pcm[begin : begin + 8000])
        await socket.send(json.dumps({"comando": "fim"}))
        got, _ = await to_the_end(socket)
    texts = [message["texto"] for message in got if message["comando"] == "ouvido"]
    recognised = [request for request in stages.asked if hasattr(request, "keyterms")]
    return texts, recognised, at.records.interaction_rows


async def test_what_was_heard_along_is_advised_on_and_no_batch_is_asked():
    async with SimulatedElevenLabsRealtime(texts=[ALONG]) as vendor:
        texts, batch, rows = await said(vendor, speech_pcm(times=2))
    assert texts == [ALONG, ALONG]
    assert batch == []
    assert [row.stt_provider for row in rows] == ["elevenlabs_realtime"] * 2
    billed = vendor.ledger.audio_usd("elevenlabs_realtime", RealtimeSettings().cost_usd_per_hour)
    assert sum(row.stt_cost_usd for row in rows) == pytest.approx(billed)
    assert len(vendor.queries) == 1  # one session for all of it


async def test_handed_on_in_the_pause_it_is_the_same_words_and_the_same_bill():
    settings = DoorSettings(session=SessionSettings(speculation="on"))
    async with SimulatedElevenLabsRealtime(texts=[ALONG]) as vendor:
        texts, batch, rows = await said(vendor, speech_pcm(times=2), settings)
    assert texts == [ALONG, ALONG]
    assert batch == []
    billed = vendor.ledger.audio_usd("elevenlabs_realtime", RealtimeSettings().cost_usd_per_hour)
    assert sum(row.stt_cost_usd for row in rows) == pytest.approx(billed)


@pytest.mark.parametrize(
    "fault", [RealtimeFault.CLOSE_MID_UTTERANCE, RealtimeFault.AUTH_ERROR, Fault.UNAUTHORIZED, Fault.RESET]
)
async def test_when_the_socket_dies_the_same_utterance_is_recognised_as_ever(fault):
    async with SimulatedElevenLabsRealtime(fault, texts=[ALONG]) as vendor:
        texts, (request,), (row,) = await said(vendor, speech_pcm())
    assert texts == [AFTER]
    assert len(request.pcm) == row.size_bytes
    assert (row.outcome, row.stt_provider) == ("sugerido", "teste")
    assert row.stt_cost_usd >= 0.002  # what was fed in vain is part of the bill


async def test_a_commit_that_stays_silent_is_not_waited_for_beyond_its_limit():
    async with SimulatedElevenLabsRealtime(Fault.STALL_MID_BODY, texts=[ALONG]) as vendor:
        texts, _, (row,) = await said(vendor, speech_pcm(), wait_s=0.2)
    assert texts == [AFTER]
    assert (row.stt_ready_at - row.stt_sent_at).total_seconds() < 1.0


async def test_another_clients_counters_are_not_listened_to():
    async with SimulatedElevenLabsRealtime(texts=[ALONG]) as vendor:
        texts, batch, _ = await said(vendor, speech_pcm(), clients=("outra",))
    assert texts == [AFTER]
    assert len(batch) == 1
    assert len(vendor.queries) == 0


async def test_beyond_its_budget_a_client_is_heard_more_cheaply():
    tiny = SpendingSettings(client=Budget(hard_usd_per_day=1e-6))
    stages = ScriptedStages(stt=heard(AFTER, cost_usd=0.002))
    async with SimulatedElevenLabsRealtime(texts=[ALONG]) as vendor:
        listener = listener_at(vendor)
        async with (
            open_door(stages, settings=DoorSettings(spending=tiny), listener=listener) as at,
            at.counter(AUTH_4) as socket,
        ):
            texts = []
            for _ in range(2):
                await socket.send(speech_pcm())
                texts.append((await messages(socket, is_("ouvido")))[-1]["texto"])
    assert texts == [ALONG, AFTER]
    (request,) = [request for request in stages.asked if hasattr(request, "keyterms")]
    assert request.economical


async def test_what_the_conversation_is_about_is_listened_for_in_the_next_utterance():
    stages = ScriptedStages(recommender=advice((SORO,), keyterms=("Soro de reidratação oral", "Floratil")))
    async with open_door(stages) as at, at.counter(AUTH_4) as socket:
        for _ in range(2):
            await socket.send(speech_pcm())
            await messages(socket, is_("ouvido"))
    asked = [request.keyterms for request in stages.asked if hasattr(request, "keyterms")]
    assert asked == [(), ("Soro de reidratação oral", "Floratil")]


async def test_an_offer_in_vain_is_paid_for_by_the_utterance_that_it_was_part_of():
    pause = b"\x01\x00\xff\xff" * 2400  # 0.3 s: long enough to be offered, too short to end an utterance
    pcm = speech_pcm(tail_s=0) + pause + speech_pcm(lead_s=0)
    stages = ScriptedStages(stt=heard(AFTER, cost_usd=0.001))
    async with (
        open_door(stages, settings=DoorSettings(session=SessionSettings(speculation="on"))) as at,
        at.counter(AUTH_4) as socket,
    ):
        for begin in range(0, len(pcm), 960):
            await socket.send(pcm[begin : begin + 960])
            await asyncio.sleep(0.001)
        await socket.send(json.dumps({"comando": "fim"}))
        await to_the_end(socket)
    asked = [request for request in stages.asked if hasattr(request, "keyterms")]
    (row,) = at.records.interaction_rows
    assert len(asked) == 2
    assert row.stt_cost_usd == pytest.approx(0.002)
