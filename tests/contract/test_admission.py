"""Floods and overload at a door: the accepted keep being served, the refused are told."""

import asyncio
import contextlib
import json

from deployments.telemetry.records import Counter
from serve_app.accounts import hash_of
from serve_app.admission import IngressSettings
from serve_app.door import DoorSettings, describe
from serve_app.overload import OverloadSettings, Shedding
from serve_app.passage import SessionSettings
from tests.support.doors import (
    COUNTER,
    KEY,
    MemoryRecords,
    ScriptedStages,
    eventually,
    heard,
    is_,
    messages,
    open_door,
    speech_pcm,
    to_the_end,
)

AUTH = {"comando": "auth", "versao": 4, "api_key": KEY, "formato": "pcm_s16le_16k", "sessao": None}
TOUCHY = OverloadSettings(pending=1, step_up_s=0.01, step_down_s=0.3)


def with_ingress(**limits):
    return DoorSettings(ingress=IngressSettings(**limits), session=SessionSettings(speculation="on"))


async def stream(socket, pcm):
    for at in range(0, len(pcm), 8000):
        await socket.send(pcm[at : at + 8000])


async def test_a_full_replica_says_when_to_come_again():
    settings = with_ingress(counters_max=1, retry_in_s=7)
    async with open_door(settings=settings) as at, at.counter(AUTH) as first:
        await messages(first, is_("sessao"))
        async with at.counter(AUTH) as second:
            got, code = await to_the_end(second)
    assert (code, got[-1]["codigo"], got[-1]["tente_em_s"]) == (4002, "sobrecarga", 7)


async def test_a_client_with_too_many_counters_is_refused_and_another_client_is_not():
    other = Counter("counter-2", "client-2", "Balcão 2", hash_of("bk_other"))
    records = MemoryRecords(counters=[COUNTER, other])
    settings = with_ingress(counters_client_max=1)
    async with open_door(records=records, settings=settings) as at, at.counter(AUTH) as first:
        await messages(first, is_("sessao"))
        async with at.counter(AUTH) as second:
            _, code = await to_the_end(second)
        async with at.counter({**AUTH, "api_key": "bk_other"}) as third:
            (welcome,) = await messages(third, is_("sessao"))
    assert code == 4002
    assert welcome["bytes_por_s"] == 512_000


async def test_commands_beyond_the_limit_are_dropped_and_said_and_the_session_goes_on():
    settings = with_ingress(commands_burst_max=3, commands_per_s_max=1)
    async with open_door(settings=settings) as at, at.counter(AUTH) as socket:
        await messages(socket, is_("sessao"))
        for _ in range(5):
            await socket.send('{"comando":"ping"}')
        got = await messages(socket, is_("erro"))
        await stream(socket, speech_pcm())
        await messages(socket, is_("recomendar"))
    assert [m["comando"] for m in got].count("pong") == 3
    assert got[-1]["codigo"] == "comandos_demais"


async def test_a_flood_of_messages_ends_that_connection():
    settings = with_ingress(messages_burst_max=30, messages_per_s_max=20)
    async with open_door(settings=settings) as at, at.counter(AUTH, *[b"\x01\x00"] * 100) as socket:
        got, code = await to_the_end(socket)
    assert (code, got[-1]["codigo"]) == (4004, "audio_invalido")
    assert "mensagens" in got[-1]["mensagem"]


async def test_one_clients_flood_of_utterances_does_not_hold_up_another_clients():
    other = Counter("counter-2", "client-2", "Balcão 2", hash_of("bk_other"))
    asked = []

    async def stt(request):
        asked.append(request.client_id)
        await asyncio.sleep(0.2)
        return heard()

    records, settings = MemoryRecords(counters=[COUNTER, other]), with_ingress(turns_max=2)
    async with open_door(ScriptedStages(stt=stt), records, settings) as at, contextlib.AsyncExitStack() as stack:
        small = await stack.enter_async_context(at.counter({**AUTH, "api_key": "bk_other"}))
        await messages(small, is_("sessao"))
        flood = [await stack.enter_async_context(at.counter(AUTH)) for _ in range(6)]
        await asyncio.gather(*(stream(socket, speech_pcm(times=2)) for socket in flood))
        await eventually(lambda: len(asked) == 2)
        await stream(small, speech_pcm())
        await messages(small, is_("recomendar"))
        await eventually(lambda: asked.count("client-1") >= 12)
    assert asked.index("client-2") <= 5


async def test_under_load_speculation_and_the_model_go_before_new_counters_and_all_comes_back():
    gate = asyncio.Event()

    async def slow(request):
        await gate.wait()
        return heard()

    stages = ScriptedStages(stt=slow)
    settings = with_ingress(overload=TOUCHY, retry_in_s=3)
    async with open_door(stages, settings=settings) as at, at.counter(AUTH) as socket:
        await messages(socket, is_("sessao"))
        await stream(socket, speech_pcm(times=2))
        await eventually(lambda: at.door.overload.sheds(Shedding.CONNECTIONS))
        said = describe(at.door)["sobrecarga"]
        async with at.counter(AUTH) as refused:
            got, code = await to_the_end(refused)
        gate.set()
        await messages(socket, is_("recomendar"))
        by_rules = stages.asked[-1].rules_only
        await eventually(lambda: at.door.overload.level == Shedding.NOTHING)
        await socket.send(json.dumps({"comando": "texto", "texto": "e para gripe"}))
        await messages(socket, is_("recomendar"))
        async with at.counter(AUTH) as welcome:
            (first,) = await messages(welcome, is_("sessao"))
    assert (said, code, got[-1]["tente_em_s"]) == ("connections", 4002, 3)
    assert by_rules is True
    assert stages.asked[-1].rules_only is False
    assert first["comando"] == "sessao"
    assert "perdido" not in {row.outcome for row in at.records.interaction_rows}
