"""A counter's session over a real socket: what is heard is advised in order, recorded once, and never lost silently."""

import asyncio
import json

import pytest

from cestas.model import Item
from deployments.telemetry.records import Counter, Feedback, SessionState, Turn
from serve_app.accounts import hash_of
from serve_app.door import DoorSettings
from serve_app.passage import SessionSettings
from serve_app.stages import StageTimeout, StageUnavailable
from tests.support.doors import (
    COUNTER,
    KEY,
    SORO,
    MemoryRecords,
    ScriptedStages,
    advice,
    eventually,
    heard,
    is_,
    messages,
    open_door,
    report,
    speech_pcm,
    to_the_end,
)

AUTH_4 = {"comando": "auth", "versao": 4, "api_key": KEY, "formato": "pcm_s16le_16k", "sessao": None}
AUTH_2 = {"comando": "auth", "api_key": KEY}
AUTH_3 = {"api_key": KEY, "vad_settings": {"threshold_multiplier": 1.5, "min_energy": 20.0}}
FIM = {"comando": "fim"}


async def stream(socket, pcm, chunk=8000):
    for at in range(0, len(pcm), chunk):
        await socket.send(pcm[at : at + chunk])


async def recorded(at, count):
    """Wait until `count` rows are recorded, 5 s at most."""
    for _ in range(500):
        if len(at.records.interaction_rows) >= count:
            return
        await asyncio.sleep(0.01)


async def test_generation_4_hears_is_advised_and_recorded():
    async with open_door() as at, at.counter(AUTH_4) as socket:
        await stream(socket, speech_pcm())
        await socket.send(json.dumps(FIM))
        got, code = await to_the_end(socket)
    assert code == 1000
    assert [m["comando"] for m in got if m["comando"] != "recebido"] == ["sessao", "ouvido", "recomendar"]
    suggestion = got[-1] if got[-1]["comando"] == "recomendar" else got[-2]
    assert suggestion["itens"][0]["sugestao"] == "Soro de reidratação oral"
    (row,) = at.records.interaction_rows
    assert (row.outcome, row.text, row.suggestion_id) == ("sugerido", "meu filho está com diarreia", suggestion["id"])


@pytest.mark.parametrize("auth", [AUTH_2, AUTH_3])
async def test_older_generations_get_nothing_but_the_suggestion(auth):
    async with open_door() as at, at.counter(auth) as socket:
        await stream(socket, speech_pcm())
        await socket.send(json.dumps(FIM))
        got, code = await to_the_end(socket)
    assert code == 1000
    assert [m["comando"] for m in got] == ["recomendar"]


async def test_a_row_carries_instants_in_order_and_the_figures_of_every_step():
    async with open_door() as at, at.counter(AUTH_3) as socket:
        await stream(socket, speech_pcm())
        await messages(socket, is_("recomendar"))
    (row,) = at.records.interaction_rows
    instants = [
        row.audio_received_at,
        row.speech_ended_at,
        row.segment_emitted_at,
        row.voice_sent_at,
        row.voice_ready_at,
        row.stt_sent_at,
        row.stt_ready_at,
        row.advice_asked_at,
        row.advice_ready_at,
        row.sent_to_counter_at,
    ]
    assert instants == sorted(instants)
    assert row.client_id == "client-1"
    assert row.snr_db == 20.0
    assert row.stt_provider == "teste"
    assert row.stt_audio == "bruto"
    assert row.cpu_percent is not None
    assert row.ram_percent is not None
    assert row.gate_settings is not None
    assert row.gate_settings["min_energy_rms"] == 20.0
    assert row.size_bytes == (row.end_sample - row.first_sample) * 2


async def test_the_same_utterances_are_found_whatever_the_size_of_the_pieces():
    rows = []
    for chunk in (1921, 8000, 31):
        async with open_door() as at, at.counter(AUTH_3) as socket:
            await stream(socket, speech_pcm(), chunk)
            await messages(socket, is_("recomendar"))
        rows.append([(r.first_sample, r.end_sample) for r in at.records.interaction_rows])
    assert rows[0] == rows[1] == rows[2] != []


async def test_utterances_are_heard_at_the_same_time_and_answered_in_order():
    first_may_finish = asyncio.Event()
    started = []

    async def slow_first(request):
        started.append(request.utterance_id)
        if len(started) == 1:
            await first_may_finish.wait()
            return heard("primeira frase")
        if len(started) == 3:
            first_may_finish.set()
        return heard(f"frase {len(started)}")

    stages = ScriptedStages(stt=slow_first)
    async with open_door(stages) as at, at.counter(AUTH_4) as socket:
        await stream(socket, speech_pcm(times=3))
        await socket.send(json.dumps(FIM))
        got, _ = await to_the_end(socket)
    assert [m["texto"] for m in got if m["comando"] == "ouvido"] == ["primeira frase", "frase 2", "frase 3"]
    assert [row.text for row in at.records.interaction_rows] == ["primeira frase", "frase 2", "frase 3"]


async def test_cleaning_for_the_record_alone_goes_beside_the_utterances_way():
    may_clean = asyncio.Event()

    async def slow_cleaning(_):
        await may_clean.wait()
        return -7.5

    stages = ScriptedStages(voice=report(cleaning_due=True), gain_db=slow_cleaning)
    async with open_door(stages) as at, at.counter(AUTH_4) as socket:
        await stream(socket, speech_pcm())
        await messages(socket, is_("recomendar"))
        assert at.records.interaction_rows == []
        may_clean.set()
        await recorded(at, 1)
    (row,) = at.records.interaction_rows
    assert (row.denoise_gain_db, row.stt_audio) == (-7.5, "bruto")
    assert stages.asked[0].wants_cleaned is False


async def test_a_stage_that_cannot_clean_costs_a_figure_and_not_the_utterance():
    stages = ScriptedStages(voice=report(cleaning_due=True), gain_db=StageUnavailable("dead"))
    async with open_door(stages) as at, at.counter(AUTH_4) as socket:
        await stream(socket, speech_pcm())
        await messages(socket, is_("recomendar"))
        await recorded(at, 1)
    assert [(row.outcome, row.denoise_gain_db) for row in at.records.interaction_rows] == [("sugerido", None)]


async def test_cleaned_audio_is_transcribed_where_that_is_wished():
    stages = ScriptedStages(voice=report(cleaned_pcm=b"\x07\x00" * 8000, denoise_gain_db=-9.0))
    settings = DoorSettings(session=SessionSettings(stt_audio="limpo"))
    async with open_door(stages, settings=settings) as at, at.counter(AUTH_4) as socket:
        await stream(socket, speech_pcm())
        await messages(socket, is_("recomendar"))
        await recorded(at, 1)
    (row,) = at.records.interaction_rows
    assert (row.stt_audio, row.denoise_gain_db) == ("limpo", -9.0)
    assert stages.asked[0].wants_cleaned is True
    assert stages.asked[1].pcm == b"\x07\x00" * 8000


SPECULATING = DoorSettings(session=SessionSettings(speculation="on"))


async def test_an_utterance_is_heard_in_the_pause_that_ends_it_and_answered_once():
    asked = []

    async def stt(request):
        asked.append(len(request.pcm))
        return heard()

    async with open_door(ScriptedStages(stt=stt), settings=SPECULATING) as at, at.counter(AUTH_4) as socket:
        await messages(socket, is_("sessao"))
        pcm = speech_pcm(tail_s=0)
        await stream(socket, pcm + b"\x01\x00\xff\xff" * 2720, 480)  # 340 ms of silence: the tail, not the hangover
        await socket.send('{"comando":"ping"}')
        early = await messages(socket, is_("pong"))
        heard_in_the_pause = list(asked)
        await stream(socket, b"\x01\x00\xff\xff" * 6000, 480)
        got = await messages(socket, is_("recomendar"))
        await recorded(at, 1)
    assert [m["comando"] for m in early if m["comando"] != "recebido"] == ["pong"]
    assert len(heard_in_the_pause) == 1
    assert asked == heard_in_the_pause
    assert [m["comando"] for m in got if m["comando"] != "recebido"] == ["ouvido", "recomendar"]
    assert [(row.outcome, row.size_bytes) for row in at.records.interaction_rows] == [("sugerido", asked[0])]


async def test_an_offer_is_withdrawn_when_speech_goes_on_and_nothing_comes_of_it():
    asked = []

    async def stt(request):
        asked.append(len(request.pcm))
        return heard(f"frase {len(asked)}")

    async with open_door(ScriptedStages(stt=stt), settings=SPECULATING) as at, at.counter(AUTH_4) as socket:
        await stream(socket, speech_pcm(tail_s=0) + b"\x01\x00\xff\xff" * 2720, 480)
        await socket.send('{"comando":"ping"}')
        await messages(socket, is_("pong"))
        await stream(socket, speech_pcm(lead_s=0, tail_s=1), 480)
        await socket.send(json.dumps(FIM))
        got, _ = await to_the_end(socket)
    assert len(asked) >= 2
    assert [row.size_bytes for row in at.records.interaction_rows] == [asked[-1]]
    assert [m["texto"] for m in got if m["comando"] == "ouvido"] == [f"frase {len(asked)}"]


async def test_an_offer_that_fails_costs_nothing_but_its_own_utterance(caplog):
    stages = ScriptedStages(stt=ValueError("segredo"))
    async with open_door(stages, settings=SPECULATING) as at, at.counter(AUTH_2) as socket:
        await stream(socket, speech_pcm(), 480)
        await recorded(at, 1)
    assert [(row.outcome, row.discard_reason) for row in at.records.interaction_rows] == [("perdido", "erro_interno")]
    assert "segredo" not in caplog.text


async def test_a_discarded_utterance_costs_nothing_further_and_is_recorded_with_its_reason():
    stages = ScriptedStages(voice=report(discard="sem_fala"))
    async with open_door(stages) as at, at.counter(AUTH_4) as socket:
        await stream(socket, speech_pcm())
        await socket.send(json.dumps(FIM))
        await to_the_end(socket)
    (row,) = at.records.interaction_rows
    assert (row.outcome, row.discard_reason, row.snr_db) == ("descartado", "sem_fala", 20.0)
    assert len(stages.asked) == 1


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (heard(""), "vazio"),
        (heard("", status="indisponivel", error="SttUnavailable"), "stt_falhou"),
        (heard("", status="prazo", error="SttTimeout"), "prazo"),
        (StageUnavailable("dead"), "stt_falhou"),
        (StageTimeout("late"), "prazo"),
    ],
)
async def test_a_failing_recogniser_never_becomes_a_text(answer, outcome):
    async with open_door(ScriptedStages(stt=answer)) as at, at.counter(AUTH_4) as socket:
        await stream(socket, speech_pcm())
        await socket.send(json.dumps(FIM))
        got, _ = await to_the_end(socket)
    (row,) = at.records.interaction_rows
    assert (row.outcome, row.text) == (outcome, "")
    assert not [m for m in got if m["comando"] in ("ouvido", "recomendar")]


async def test_the_counter_is_told_once_when_transcription_fails_and_once_when_it_is_back():
    answers = iter([heard("", status="indisponivel"), heard("", status="indisponivel"), heard("voltou"), heard("sim")])

    async def next_answer(_):
        return next(answers)

    async with open_door(ScriptedStages(stt=next_answer)) as at, at.counter(AUTH_4) as socket:
        await stream(socket, speech_pcm(times=4))
        await socket.send(json.dumps(FIM))
        got, _ = await to_the_end(socket)
    assert [m["codigo"] for m in got if m["comando"] == "aviso"] == ["stt_indisponivel", "stt_restabelecido"]


async def test_without_the_voice_stage_an_utterance_still_goes_its_way():
    async with open_door(ScriptedStages(voice=StageUnavailable("dead"))) as at, at.counter(AUTH_4) as socket:
        await stream(socket, speech_pcm())
        await messages(socket, is_("recomendar"))
    assert at.records.interaction_rows[0].outcome == "sugerido"


async def away(request):
    """A stage without a replica: a call waits for one as long as it may."""
    await asyncio.sleep(request.budget_s)
    raise StageTimeout("away")


@pytest.mark.parametrize("voice", [away, report(discard="prazo")])
async def test_a_voice_stage_without_a_replica_or_without_time_leaves_time_to_be_understood(voice):
    settings = DoorSettings(session=SessionSettings(deadline_ms=2000, voice_ms=100))
    async with open_door(ScriptedStages(voice=voice), settings=settings) as at, at.counter(AUTH_4) as socket:
        await stream(socket, speech_pcm())
        await messages(socket, is_("recomendar"))
        await recorded(at, 1)
    (row,) = at.records.interaction_rows
    assert (row.outcome, row.discard_reason) == ("sugerido", "")


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (advice(), "nada"),
        (advice(status="bloqueado"), "bloqueado"),
        (advice(status="resposta_invalida"), "llm_falhou"),
        (advice(status="prazo"), "prazo"),
        (StageUnavailable("dead"), "llm_falhou"),
        (StageTimeout("late"), "prazo"),
    ],
)
async def test_where_nothing_fits_nothing_is_sent(answer, outcome):
    async with open_door(ScriptedStages(recommender=answer)) as at, at.counter(AUTH_2) as socket:
        await stream(socket, speech_pcm())
        await socket.send(json.dumps(FIM))
        got, _ = await to_the_end(socket)
    assert got == []
    assert [row.outcome for row in at.records.interaction_rows] == [outcome]


async def test_a_red_flag_calls_the_pharmacist_in_every_generation():
    alert = advice(status="alerta", alert="Dor no peito: chame o farmacêutico.")
    async with open_door(ScriptedStages(recommender=alert)) as at:
        async with at.counter(AUTH_4) as socket:
            await socket.send(json.dumps({"comando": "texto", "texto": "dor no peito"}))
            (*_, notice) = await messages(socket, is_("aviso"))
        async with at.counter(AUTH_2) as socket:
            await socket.send(json.dumps({"comando": "texto", "texto": "dor no peito"}))
            (*_, suggestion) = await messages(socket, is_("recomendar"))
    assert (notice["codigo"], notice["mensagem"]) == ("chame_farmaceutico", "Dor no peito: chame o farmacêutico.")
    assert (suggestion["produto"], suggestion["explicacao"]) == (
        "Chame o farmacêutico",
        "Dor no peito: chame o farmacêutico.",
    )


async def test_typed_words_are_treated_as_heard():
    async with open_door() as at, at.counter(AUTH_4) as socket:
        await socket.send(json.dumps({"comando": "texto", "texto": "tem soro?"}))
        got = await messages(socket, is_("recomendar"))
        await socket.send(json.dumps(FIM))
        await to_the_end(socket)
    assert got[-1]["transcricao_base"] == "tem soro?"
    (row,) = at.records.interaction_rows
    assert (row.origin, row.stt_provider, row.text) == ("texto", "", "tem soro?")


async def test_what_was_shown_and_said_goes_along_with_the_next_question():
    async with open_door() as at, at.counter(AUTH_4) as socket:
        for text in ("estou com diarreia", "e o que mais"):
            await socket.send(json.dumps({"comando": "texto", "texto": text}))
            await messages(socket, is_("recomendar"))
    second = at.stages.asked[-1]
    assert (second.context, second.shown_item_ids) == (("estou com diarreia",), ("soro",))


async def test_feedback_is_recorded_once_however_often_it_is_said():
    async with open_door() as at, at.counter(AUTH_4) as socket:
        await socket.send(json.dumps({"comando": "texto", "texto": "tem soro?"}))
        (*_, suggestion) = await messages(socket, is_("recomendar"))
        said = {"comando": "retorno", "sugestao": suggestion["id"], "resultado": "vendida", "item": "soro"}
        for _ in range(2):
            await socket.send(json.dumps(said))
        await socket.send(json.dumps(FIM))
        await to_the_end(socket)
    (row,) = [row for row in at.records.rows.values() if isinstance(row, Feedback)]
    assert (row.suggestion_id, row.result, row.item_id) == (suggestion["id"], "vendida", "soro")


async def test_ping_and_unknown_commands_leave_the_session_open():
    async with open_door() as at, at.counter(AUTH_2) as socket:
        for said in ('{"comando":"ping"}', '{"comando":"dance"}', "not json", '{"comando":"ping"}'):
            await socket.send(said)
        got = [json.loads(await asyncio.wait_for(socket.recv(), 5)) for _ in range(4)]
    assert [m["comando"] for m in got] == ["pong", "erro", "erro", "pong"]


async def test_audio_becomes_safe_to_forget_once_its_row_is_durable():
    records = MemoryRecords(down=False)
    async with open_door(records=records) as at, at.counter(AUTH_4) as socket:
        await messages(socket, is_("sessao"))
        records.down = True
        await stream(socket, speech_pcm(lead_s=2, tail_s=4))
        got = await messages(socket, is_("recomendar"))
        early = [m["ate"] for m in got if m["comando"] == "recebido"]
        records.down = False
        (*_, received) = await messages(socket, is_("recebido"))
    (row,) = at.records.interaction_rows
    assert all(sample <= row.first_sample for sample in early)
    assert received["ate"] >= row.end_sample


async def test_an_older_counter_that_hangs_up_is_still_recorded():
    async with open_door() as at:
        async with at.counter(AUTH_2) as socket:
            await stream(socket, speech_pcm(tail_s=0.1))
            await socket.send('{"comando":"ping"}')
            await messages(socket, is_("pong"))
        await recorded(at, 1)
    (row,) = at.records.interaction_rows
    assert (row.cut_reason, row.sent_to_counter_at) == ("end", None)


@pytest.mark.parametrize("start", [b"\x1aE\xdf\xa3", b"RIFF"])
async def test_an_older_counter_that_hangs_up_inside_a_header_leaves_nothing_behind(start):
    async with open_door() as at:
        async with at.counter(AUTH_2, start, '{"comando":"ping"}') as socket:
            await messages(socket, is_("pong"))
            (session,) = at.door._sessions.values()
        await eventually(lambda: not at.door._sessions)
    assert (session.pending, at.door.counters) == (0, 0)


async def test_a_resumed_session_goes_on_behind_what_is_recorded_and_repeats_nothing():
    session = "7f2d3c1e-0a4b-4c55-9f6e-1d2c3b4a5f60"
    state = SessionState(
        counter_id="counter-1", last_end_sample=48_000, turns=(Turn("estou com diarreia", 1.0, 3.0, ("soro",)),)
    )
    resume = {**AUTH_4, "sessao": session, "desde": 50_000}
    async with open_door(records=MemoryRecords(state=state)) as at, at.counter(resume) as socket:
        (welcome,) = await messages(socket, is_("sessao"))
        await socket.send(json.dumps({"comando": "texto", "texto": "e o que mais"}))
        await messages(socket, is_("recomendar"))
    assert (welcome["sessao"], welcome["recebido_ate"]) == (session, 50_000)
    assert at.stages.asked[-1].shown_item_ids == ("soro",)
    assert at.stages.asked[-1].context == ("estou com diarreia",)


async def test_another_counters_session_is_answered_with_a_new_one():
    session = "7f2d3c1e-0a4b-4c55-9f6e-1d2c3b4a5f60"
    records = MemoryRecords(state=SessionState(counter_id="somebody-else", last_end_sample=9))
    async with open_door(records=records) as at, at.counter({**AUTH_4, "sessao": session}) as socket:
        (welcome,) = await messages(socket, is_("sessao"))
    assert welcome["sessao"] != session
    assert welcome["recebido_ate"] == 0


OTHER = Counter("counter-2", "client-2", "Balcão de outra rede", hash_of("bk_other"))


async def test_nobody_can_end_or_learn_of_another_counters_connection():
    session = "7f2d3c1e-0a4b-4c55-9f6e-1d2c3b4a5f60"
    records, hello = MemoryRecords(counters=[COUNTER, OTHER]), {**AUTH_4, "sessao": session}
    async with open_door(records=records) as at, at.counter(hello) as owner:
        await messages(owner, is_("sessao"))
        async with at.counter({**hello, "api_key": "bk_other"}) as stranger:
            (welcome,) = await messages(stranger, is_("sessao"))
        await owner.send('{"comando":"ping"}')
        await messages(owner, is_("pong"))
    assert (welcome["sessao"] != session, welcome["recebido_ate"]) == (True, 0)


async def test_a_session_that_is_connected_already_is_refused():
    session = "7f2d3c1e-0a4b-4c55-9f6e-1d2c3b4a5f60"
    async with open_door() as at, at.counter({**AUTH_4, "sessao": session}) as first:
        await messages(first, is_("sessao"))
        async with at.counter({**AUTH_4, "sessao": session}) as second:
            got, code = await to_the_end(second)
    assert (code, got[-1]["codigo"]) == (4005, "sessao_em_uso")


async def test_too_many_waiting_utterances_are_dropped_visibly():
    may_answer = asyncio.Event()

    async def stuck(_):
        await may_answer.wait()
        return heard("enfim")

    settings = DoorSettings(session=SessionSettings(utterances_waiting_max=2))
    async with open_door(ScriptedStages(stt=stuck), settings=settings) as at, at.counter(AUTH_3) as socket:
        await stream(socket, speech_pcm(times=4))
        await socket.send('{"comando":"ping"}')
        await messages(socket, is_("pong"))
        may_answer.set()
        await socket.send(json.dumps(FIM))
        await to_the_end(socket)
    reasons = [(row.outcome, row.discard_reason) for row in at.records.interaction_rows]
    assert reasons.count(("perdido", "fila_cheia")) == 2
    assert len(reasons) == 4


async def test_a_fault_of_ours_ends_in_a_recorded_outcome_and_the_next_utterance_goes_on(caplog):
    answers = iter([ValueError("minha dor secreta"), heard("tudo bem")])

    async def next_answer(_):
        return next(answers)

    async with open_door(ScriptedStages(stt=next_answer)) as at, at.counter(AUTH_4) as socket:
        await stream(socket, speech_pcm(times=2))
        await messages(socket, is_("recomendar"))
    assert [row.outcome for row in at.records.interaction_rows] == ["perdido", "sugerido"]
    assert "secreta" not in caplog.text


async def test_going_away_tells_the_counter_and_finishes_what_was_said():
    may_answer = asyncio.Event()

    async def slow(_):
        await may_answer.wait()
        return heard()

    async with open_door(ScriptedStages(stt=slow)) as at, at.counter(AUTH_4) as socket:
        await stream(socket, speech_pcm())
        await socket.send('{"comando":"ping"}')
        await messages(socket, is_("pong"))
        closing = asyncio.create_task(at.door.close())
        await asyncio.sleep(0)
        may_answer.set()
        got, code = await to_the_end(socket)
        await closing
    assert code == 1012
    assert {"reconectar", "recomendar"} <= {m["comando"] for m in got}
    assert [row.outcome for row in at.records.interaction_rows] == ["sugerido"]


async def test_a_suggestion_names_every_item_once():
    items = (SORO, Item("probiotico", "Probiótico", "Ajuda o intestino.", "diarreia"))
    async with open_door(ScriptedStages(recommender=advice(items))) as at, at.counter(AUTH_4) as socket:
        await stream(socket, speech_pcm())
        (*_, suggestion) = await messages(socket, is_("recomendar"))
    assert [item["id"] for item in suggestion["itens"]] == ["soro", "probiotico"]
