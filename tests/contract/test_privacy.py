"""What identifies somebody is seen by nobody behind the door: not on the wire, not by the advisor, not in a row."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict
from typing import Any

import pytest

from deployments.recommender.port import AdviceRequest
from deployments.telemetry.audio_folder import KeptAudio
from deployments.telemetry.records import SessionState, Turn
from serve_app.door import DoorSettings
from serve_app.passage import SessionSettings
from tests.support.doors import (
    KEY,
    MemoryRecords,
    ScriptedStages,
    heard,
    is_,
    messages,
    open_door,
    speech_pcm,
    to_the_end,
)

AUTH_4 = {"comando": "auth", "versao": 4, "api_key": KEY, "formato": "pcm_s16le_16k", "sessao": None}
SECRETS = ("Carla", "98765", "529.982", "Acácias", "carla@")
SAID = (
    "meu nome é Carla Souza, cpf 529.982.247-25, zap 11 98765-4321, carla@gmail.com, moro na rua das Acácias, 120, "
    "e meu filho está com diarreia"
)
KEPT = "meu nome é [NOME], cpf [CPF], zap [TELEFONE], [EMAIL], moro na [ENDERECO], e meu filho está com diarreia"


def asked_for_advice(stages: ScriptedStages) -> list[AdviceRequest]:
    return [request for request in stages.asked if isinstance(request, AdviceRequest)]


def assert_clean(*seen: Any) -> None:
    for one in seen:
        assert not [secret for secret in SECRETS if secret in str(one)]


async def typed(socket: Any, *texts: str) -> None:
    for text in texts:
        await socket.send(json.dumps({"comando": "texto", "texto": text}))


async def test_heard_words_are_redacted_before_anybody_sees_them(caplog: pytest.LogCaptureFixture):
    with caplog.at_level(logging.DEBUG):
        async with open_door(ScriptedStages(stt=heard(SAID))) as at, at.counter(AUTH_4) as socket:
            for pcm in (speech_pcm()[i : i + 8000] for i in range(0, len(speech_pcm()), 8000)):
                await socket.send(pcm)
            await socket.send(json.dumps({"comando": "fim"}))
            got, _ = await to_the_end(socket)
    [row] = at.records.interaction_rows
    [request] = asked_for_advice(at.stages)
    told = {m["comando"]: m for m in got}
    assert row.text == request.text == told["ouvido"]["texto"] == told["recomendar"]["transcricao_base"] == KEPT
    assert_clean(asdict(row), request, got, caplog.text)


async def test_typed_words_are_redacted_and_so_is_the_context_of_later_ones():
    async with open_door() as at, at.counter(AUTH_4) as socket:
        await typed(socket, SAID, "e tem febre também")
        await messages(socket, is_("recomendar"))
        await messages(socket, is_("recomendar"))
    first, second = asked_for_advice(at.stages)
    assert first.text == KEPT
    assert second.context[-1] == KEPT
    assert_clean(first, second, [asdict(row) for row in at.records.interaction_rows])


async def test_words_that_could_not_be_answered_are_recorded_redacted_too():
    settings = DoorSettings(session=SessionSettings(utterances_waiting_max=1))
    async with open_door(settings=settings) as at, at.counter(AUTH_4) as socket:
        await typed(socket, *[SAID] * 5)
        await socket.send(json.dumps({"comando": "fim"}))
        await to_the_end(socket)
    assert {row.outcome for row in at.records.interaction_rows} >= {"perdido"}
    assert_clean([asdict(row) for row in at.records.interaction_rows])


async def test_a_number_said_in_two_breaths_is_not_put_together_in_any_row():
    async with open_door() as at, at.counter(AUTH_4) as socket:
        await typed(socket, "anota: nove oito sete seis", "cinco quatro três dois um", "e meu filho está com diarreia")
        await socket.send(json.dumps({"comando": "fim"}))
        got, _ = await to_the_end(socket)
    assert [row.text for row in at.records.interaction_rows] == [
        "anota: nove oito sete seis",
        "[NUMERO]",
        "e meu filho está com diarreia",
    ]
    assert [m["texto"] for m in got if m["comando"] == "ouvido"][1] == "[NUMERO]"


async def test_texts_of_a_resumed_session_that_were_kept_before_redaction_are_redacted():
    session = "9d1f7a54-8f0e-4a3e-9d53-0f4bb1a1a001"
    async with open_door() as at:
        at.records.state = SessionState(counter_id="counter-1", turns=(Turn(SAID, 0.0, 1.0),))
        async with at.counter({**AUTH_4, "sessao": session}) as socket:
            await typed(socket, "e agora tem febre")
            await messages(socket, is_("recomendar"))
    [request] = asked_for_advice(at.stages)
    assert request.context == (KEPT,)


@pytest.mark.parametrize("keep", [True, False])
async def test_audio_is_handed_on_to_be_kept_only_where_a_pharmacy_switched_that_on(keep: bool):
    class KeepingRecords(MemoryRecords):
        kept: list[KeptAudio]

        async def keep_audio(self, audio: KeptAudio) -> bool:
            self.kept.append(audio)
            return True

    records = KeepingRecords()
    records.kept = []
    settings = DoorSettings(session=SessionSettings(keep_audio=keep))
    async with open_door(records=records, settings=settings) as at, at.counter(AUTH_4) as socket:
        await socket.send(speech_pcm())
        await socket.send(json.dumps({"comando": "fim"}))
        await to_the_end(socket)
    [row] = records.interaction_rows
    assert [(a.utterance_id, a.at, len(a.pcm)) for a in records.kept] == (
        [(row.utterance_id, row.speech_ended_at, row.size_bytes)] if keep else []
    )
