"""A replica that goes away, and sessions that go on at another one: two doors over one register, real sockets."""

import asyncio
import contextlib
import json

import pytest

from deployments.telemetry.records import SessionState, Shown, Turn
from serve_app.admission import IngressSettings
from serve_app.door import DoorSettings
from serve_app.passage import SessionSettings
from tests.support.doors import (
    KEY,
    MemoryRecords,
    ScriptedStages,
    advice,
    eventually,
    heard,
    is_,
    messages,
    open_door,
    speech_pcm,
    to_the_end,
)

SESSION = "7f2d3c1e-0a4b-4c55-9f6e-1d2c3b4a5f60"
AUTH = {"comando": "auth", "versao": 4, "api_key": KEY, "formato": "pcm_s16le_16k", "sessao": None}
AGAIN = {**AUTH, "sessao": SESSION}
SOON = DoorSettings(ingress=IngressSettings(drain_spread_s=0.3, drain_s=4.0), session=SessionSettings(deadline_ms=3000))


@contextlib.asynccontextmanager
async def two_doors(records=None, stages=None):
    """Two ingress replicas of one service."""
    records = records or MemoryRecords()
    async with open_door(stages, records, SOON) as one, open_door(stages, records, SOON) as other:
        yield one, other


async def stream(socket, pcm):
    for at in range(0, len(pcm), 8000):
        await socket.send(pcm[at : at + 8000])


async def answered(door, socket):
    """The messages up to the answer of a ping: everything sent before it has been read."""
    await socket.send('{"comando":"ping"}')
    return await messages(socket, is_("pong"))


async def test_a_session_that_is_alive_on_another_replica_is_refused():
    async with two_doors() as (one, other), one.counter(AGAIN) as first:
        await messages(first, is_("sessao"))
        await answered(one, first)
        async with other.counter(AGAIN) as second:
            got, code = await to_the_end(second)
    assert (code, got[-1]["codigo"]) == (4005, "sessao_em_uso")


async def test_a_session_whose_older_connection_went_silent_is_taken_over_across_replicas():
    async with two_doors() as (one, other), one.counter(AGAIN) as first:
        await messages(first, is_("sessao"))
        await asyncio.sleep(3.2)  # 2 s of silence, and a roll call that tells of it
        async with other.counter(AGAIN) as second:
            (welcome,) = await messages(second, is_("sessao"))
            got, code = await to_the_end(first)
            assert await answered(other, second)
    assert welcome["sessao"] == SESSION
    assert (code, got[-1]["codigo"]) == (4005, "sessao_em_uso")


class Unanswering(MemoryRecords):
    async def claim_session(self, session_id, epoch, replica):
        raise OSError

    async def roll_call(self, roll):
        raise OSError


async def test_without_the_register_each_replica_knows_its_own_sessions_and_refuses_nobody_else():
    async with two_doors(Unanswering()) as (one, other), one.counter(AGAIN) as first:
        await messages(first, is_("sessao"))
        async with other.counter(AGAIN) as second:
            (welcome,) = await messages(second, is_("sessao"))
        async with one.counter(AGAIN) as third:
            _, code = await to_the_end(third)
    assert welcome["sessao"] == SESSION
    assert code == 4005


async def test_what_was_said_shown_and_alerted_elsewhere_is_known_here():
    turns = (Turn("estou grávida", 1, 2, (), ("gestante",)), Turn("e com azia", 3, 5, ("antiacido",), ("gestante",)))
    state = SessionState(counter_id="counter-1", last_end_sample=80_000, turns=turns)
    async with open_door(records=MemoryRecords(state=state)) as at, at.counter(AGAIN) as socket:
        await messages(socket, is_("sessao"))
        await socket.send(json.dumps({"comando": "texto", "texto": "o que mais ajuda"}))
        await messages(socket, is_("recomendar"))
    asked = at.stages.asked[-1]
    assert asked.context == ("estou grávida", "e com azia")
    assert asked.shown_item_ids == ("antiacido",)
    assert asked.situations == ("gestante",)


async def test_a_call_for_the_pharmacist_that_was_made_elsewhere_is_not_made_again():
    turns = (Turn("dor no peito", 1, 2, alert="Dor no peito: chame o farmacêutico."),)
    state = SessionState(counter_id="counter-1", last_end_sample=32_000, turns=turns)
    stages = ScriptedStages(recommender=advice(status="alerta", alert="Dor no peito: chame o farmacêutico."))
    async with open_door(stages, MemoryRecords(state=state)) as at, at.counter(AGAIN) as socket:
        await messages(socket, is_("sessao"))
        await socket.send(json.dumps({"comando": "texto", "texto": "é no peito"}))
        await socket.send('{"comando":"fim"}')
        got, _ = await to_the_end(socket)
    assert "chame_farmaceutico" not in [m.get("codigo") for m in got]


async def test_a_suggestion_that_was_lost_with_the_connection_is_made_again_under_its_id():
    item = {"id": "soro", "suggestion": "Soro", "explanation": "Repõe água.", "tag": "diarreia"}
    lost = Shown("0d9f1c6e-8a3b-4c55-9f6e-1d2c3b4a5f60", (item,), "está com diarreia", "regras", False)
    state = SessionState(counter_id="counter-1", last_end_sample=32_000, undelivered=(lost,))
    async with open_door(records=MemoryRecords(state=state)) as at, at.counter(AGAIN) as socket:
        got = await messages(socket, is_("recomendar"))
    assert (got[-1]["id"], got[-1]["produto"]) == (lost.suggestion_id, "Soro")


async def test_a_session_goes_on_from_what_the_client_holds_while_nothing_can_be_read():
    class Unreadable(MemoryRecords):
        async def session_state(self, session_id):
            raise OSError

    async with open_door(records=Unreadable()) as at, at.counter({**AGAIN, "desde": 64_000}) as socket:
        (welcome,) = await messages(socket, is_("sessao"))
    assert (welcome["sessao"], welcome["recebido_ate"]) == (SESSION, 64_000)


async def test_counters_are_sent_elsewhere_one_after_the_other_and_nothing_said_is_lost():
    async with two_doors() as (one, other), contextlib.AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(one.counter(AUTH)) for _ in range(4)]
        sessions = [(await messages(socket, is_("sessao")))[0]["sessao"] for socket in sockets]
        await asyncio.gather(*(stream(socket, speech_pcm()) for socket in sockets))
        begun = asyncio.get_running_loop().time()
        leaving = asyncio.create_task(one.door.leave())
        ends, gone_s = [], []
        for socket in sockets:
            ends.append(await to_the_end(socket))
            gone_s.append(asyncio.get_running_loop().time() - begun)
        await leaving
        async with one.counter(AUTH) as late:
            late_got, late_code = await to_the_end(late)
        rows = list(other.records.interaction_rows)
    assert [code for _, code in ends] == [1012] * 4
    assert all(got[-1] == {"comando": "reconectar", "em_s": 0.1} for got, _ in ends)
    assert gone_s[-1] - gone_s[0] > 0.15
    assert sorted(row.session_id for row in rows) == sorted(sessions)
    assert {row.outcome for row in rows} == {"sugerido"}
    assert (late_code, late_got[-1]["comando"]) == (1012, "reconectar")


async def test_what_cannot_be_finished_in_time_is_left_to_the_client_and_not_recorded_as_done():
    async def stuck(_):
        await asyncio.Event().wait()

    settings = DoorSettings(ingress=IngressSettings(drain_spread_s=0.1, drain_s=0.3))
    async with open_door(ScriptedStages(stt=stuck), settings=settings) as at, at.counter(AUTH) as socket:
        await messages(socket, is_("sessao"))
        await stream(socket, speech_pcm())
        await answered(at, socket)
        await at.door.leave()
        _, code = await to_the_end(socket)
    assert code == 1012
    assert at.records.interaction_rows == []


async def test_an_ordered_drain_reaches_every_replica_of_the_node_and_can_be_taken_back():
    records = MemoryRecords()
    async with two_doors(records) as (one, other), one.counter(AUTH) as first, other.counter(AUTH) as second:
        await messages(first, is_("sessao"))
        await messages(second, is_("sessao"))
        await records.order_drain(one.door.host.node)
        codes = [(await to_the_end(socket))[1] for socket in (first, second)]
        await records.order_drain(one.door.host.node, leave=False)
        await eventually(lambda: not one.door.leaving)
        async with one.counter(AUTH) as third:
            (welcome,) = await messages(third, is_("sessao"))
    assert codes == [1012, 1012]
    assert welcome["comando"] == "sessao"


@pytest.mark.parametrize("generation", [2, 3])
async def test_older_counters_are_answered_before_they_are_closed(generation):
    may_answer = asyncio.Event()

    async def slow(_):
        await may_answer.wait()
        return heard()

    first = {"comando": "auth", "api_key": KEY} if generation == 2 else {"api_key": KEY}
    async with open_door(ScriptedStages(stt=slow), settings=SOON) as at, at.counter(first) as socket:
        await stream(socket, speech_pcm())
        await answered(at, socket)
        leaving = asyncio.create_task(at.door.leave())
        await asyncio.sleep(0.05)
        may_answer.set()
        got, code = await to_the_end(socket)
        await leaving
    assert ([m["comando"] for m in got], code) == (["recomendar"], 1012)


async def test_a_session_begun_a_moment_ago_is_refused_elsewhere():
    async with two_doors() as (one, other), one.counter(AUTH) as first:
        begun = (await messages(first, is_("sessao")))[-1]["sessao"]
        async with other.counter({**AUTH, "sessao": begun}) as second:
            got, code = await to_the_end(second)
    assert (code, got[-1]["codigo"]) == (4005, "sessao_em_uso")


async def test_a_session_whose_socket_has_closed_goes_on_elsewhere_well_before_it_would_count_as_silent():
    async with two_doors() as (one, other):
        async with one.counter(AUTH) as first:
            begun = (await messages(first, is_("sessao")))[-1]["sessao"]
            await answered(one, first)
        code, tries = 4005, 0
        while code == 4005 and tries < 5:
            await asyncio.sleep(0.15)
            tries += 1
            async with other.counter({**AUTH, "sessao": begun}) as second:
                got = await messages(second, lambda message: message["comando"] in ("sessao", "erro"))
                code = 4005 if got[-1]["comando"] == "erro" else 0
    assert code == 0, f"still refused after {0.15 * tries:.2f} s"
    assert got[-1]["sessao"] == begun
