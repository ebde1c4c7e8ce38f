"""What owners see: their own figures and files; what they may try out; and what is done with what they send."""

import asyncio
import base64
import csv
import io
import wave
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import httpx
import openpyxl
import pytest
from pydantic import SecretStr

from deployments.speech_to_text.port import Transcription
from deployments.telemetry.errors import StoreUnavailable
from deployments.telemetry.records import Interaction
from serve_app.settings import AccessSettings
from tests.support.doors import MemoryRecords, ScriptedStages, heard, open_door, speech_pcm
from tests.support.rest import TOKEN, Rest, rest

ADMIN = {"Authorization": f"Bearer {TOKEN}"}
SPOKEN_AT = datetime(2026, 11, 20, 12, tzinfo=timezone.utc)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Rest]:
    async with rest(tmp_path, export_max_rows=540) as served:
        yield served


async def record(served: Rest, who: str, count: int, **given) -> None:
    """Interactions of a client's counter, pairs of them at the same instant, and wait until the database has them."""
    counter = served.counters[who]
    rows = [
        Interaction(
            f"{who}-{n}",
            counter.client_id,
            counter.counter_id,
            "s-1",
            f"u-{n}",
            "n-1",
            "4.0.0",
            "sugerido",
            speech_ended_at=SPOKEN_AT + timedelta(milliseconds=n // 2),
            **given,
        )
        for n in range(count)
    ]
    await served.records.record(rows)
    for _ in range(1_000):
        if not (await served.records.health())["outbox_rows"]:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the rows did not reach the database within 10 s")


async def test_the_spreadsheet_holds_every_row_once_and_only_the_askers(served):
    await record(served, "a", 521, text="=estou com azia", items=[{"id": "soro"}])
    await record(served, "b", 3)
    owner, everybody = await served.session("a"), ADMIN
    answer = await served.http.get("/api/export/xlsx", headers=owner)
    sheet = openpyxl.load_workbook(io.BytesIO(answer.content), read_only=True).active
    header, *rows = [[cell.value for cell in row] for row in sheet.rows]
    column = {name: number for number, name in enumerate(header)}
    assert "attachment" in answer.headers["content-disposition"]
    assert sorted(row[column["interaction_id"]] for row in rows) == sorted(f"a-{n}" for n in range(521))
    assert rows[0][column["text"]] == "=estou com azia"
    assert rows[0][column["items"]] == '[{"id": "soro"}]'
    all_of_them = (await served.http.get("/api/export/csv", headers=everybody)).text
    assert len(list(csv.DictReader(io.StringIO(all_of_them.removeprefix("\ufeff"))))) == 524
    log = (await served.http.get("/api/admin/auditoria", headers=ADMIN)).json()["atos"]
    assert [act["acao"] for act in log[:2]] == ["exportar csv", "exportar xlsx"]


async def test_a_file_holds_the_interval_that_was_asked_for_and_ends_at_its_limit(served):
    await record(served, "a", 560)
    params = {"inicio": "2026-11-20T09:00:00.200000-03:00", "fim": "2026-11-20T12:00:00.240000Z"}
    part = (await served.http.get("/api/export/csv", headers=ADMIN, params=params)).text
    assert len(part.splitlines()) == 1 + 80
    whole = (await served.http.get("/api/export/csv", headers=ADMIN)).text
    assert len(whole.splitlines()) == 1 + 540


async def test_instants_need_their_zone_and_the_calendars_ends_break_nothing(served):
    for instant in ("0.5", "1763600000", "2026-11-20T12:00:00", "ontem", "0001-01-01T00:00:00+14:00"):
        answer = await served.http.get("/api/data/interacoes", headers=ADMIN, params={"inicio": instant})
        assert answer.status_code == (200 if instant.startswith("0001") else 422), instant


async def test_a_database_that_is_away_is_an_error_and_not_a_broken_file():
    class Away(MemoryRecords):
        async def interactions(self, **filters):
            raise StoreUnavailable("away")

    access = AccessSettings(admin_secret=SecretStr(TOKEN))
    async with open_door(access=access, records=Away()) as at, httpx.AsyncClient(base_url=at.http) as http:
        answers = [await http.get(f"/api/export/{kind}", headers=ADMIN) for kind in ("xlsx", "csv")]
    assert [(answer.status_code, set(answer.json())) for answer in answers] == [(503, {"error"})] * 2


async def test_interactions_and_figures_are_the_clients_own_whatever_it_asks_for(served):
    await record(served, "a", 4)
    await record(served, "b", 2)
    owner = await served.session("b")
    for params in ({}, {"balcao": served.counters["a"].counter_id}, {"sessao": "s-1"}):
        rows = (await served.http.get("/api/data/interacoes", headers=owner, params=params)).json()["interacoes"]
        assert {row["client_id"] for row in rows} <= {served.clients["b"].client_id}
        assert len(rows) == (0 if "balcao" in params else 2)
    mine = await served.http.get(f"/api/data/balcao/{served.counters['b'].counter_id}/metricas", headers=owner)
    theirs = await served.http.get(f"/api/data/balcao/{served.counters['a'].counter_id}/metricas", headers=owner)
    missing = await served.http.get("/api/data/balcao/nenhum/metricas", headers=owner)
    assert mine.json()["interacoes"] == 2
    assert (theirs.status_code, theirs.json()) == (missing.status_code, missing.json())


async def test_who_am_i(served):
    nobody = (await served.http.get("/api/eu")).json()
    token = (await served.http.get("/api/eu", headers=ADMIN)).json()
    owner = (await served.http.get("/api/eu", headers=await served.session("a"))).json()
    assert (nobody["papel"], nobody["csrf"]) == ("ninguem", "")
    assert (token["papel"], token["por"], token["senha_definida"]) == ("administrador", "token", True)
    assert (owner["papel"], owner["nome"], owner["codigo"]) == ("cliente", "Farmácia A", served.clients["a"].code)
    assert len(owner["csrf"]) == 64


async def test_a_counters_gate_is_kept_and_its_limits_are_told(served):
    path = f"/api/admin/balcao/{served.counters['a'].counter_id}/vad"
    owner = await served.session("a")
    assert (await served.http.put(path, json={"min_energy": 250}, headers=owner)).status_code == 200
    assert (await served.records.find_counter_by_id(served.counters["a"].counter_id)).vad_settings == {
        "min_energy": 250
    }
    for wrong in ({"threshold_multiplier": 0.5}, {"min_energy": True}, {"x": 1}):
        assert (await served.http.put(path, json=wrong, headers=owner)).status_code == 422
    assert (await served.http.put(path, json={}, headers=owner)).status_code == 200
    assert (await served.records.find_counter_by_id(served.counters["a"].counter_id)).vad_settings is None


async def test_the_first_password_comes_by_the_one_time_secret_that_only_the_token_makes(served):
    session = await served.session("administrador")
    assert (await served.http.post("/admin/segredo", headers=session)).status_code == 403
    made = (await served.http.post("/admin/segredo", headers=ADMIN)).json()
    new = {"segredo": made["segredo"], "senha": "outra frase comprida"}
    assert (await served.http.post("/admin/senha", json=new)).status_code == 200
    assert (await served.http.post("/admin/senha", json=new)).status_code == 401
    assert (await served.http.get("/api/admin/clientes", headers=session)).status_code == 401
    assert (await served.http.post("/admin/login", json={"password": new["senha"]})).status_code == 200


async def test_a_recording_comes_back_in_utterances_that_can_be_played(served):
    pcm = speech_pcm(times=2)
    answer = (await served.http.post("/api/test/segmentar", files={"audio": ("a.pcm", pcm)}, headers=ADMIN)).json()
    assert answer["total_segments"] == len(answer["segments"]) == 2
    data = base64.b64decode(answer["segments"][0]["audio_base64"])
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getnchannels()) == (16_000, 1)
        assert file.getnframes() / 16_000 == pytest.approx(answer["segments"][0]["duration_sec"], abs=0.001)
    assert answer["segments"][0]["size_bytes"] == len(data)


async def test_what_is_no_recording_is_told_so(served):
    quiet = {"audio": ("a.pcm", b"\0" * 64)}
    for files, data, status in (
        ({"audio": ("a.wav", b"RIFF\x00\x00\x00\x00WEBP")}, {}, 422),
        ({"other": ("a.wav", b"x")}, {}, 422),
        (quiet, {"extra": "1"}, 422),
        (quiet, {"provider": "outro"}, 409),
        (quiet, {"provider": "x" * 65}, 422),
        (quiet, {"provider": "auto"}, 200),
    ):
        answer = await served.http.post("/api/test/transcrever", files=files, data=data, headers=ADMIN)
        assert answer.status_code == status, (list(files), data)


async def test_a_form_that_is_none_is_told_so(served):
    for kind, body in (("multipart/form-data", b"x"), ("multipart/form-data; boundary=a", b"--b"), ("text/plain", b"")):
        answer = await served.http.post("/api/test/segmentar", content=body, headers={**ADMIN, "Content-Type": kind})
        assert answer.status_code in (400, 422), kind


async def test_what_identifies_somebody_reaches_no_advisor_and_is_not_told_back(tmp_path):
    stages = ScriptedStages(stt=heard("meu cpf é 529.982.247-25"))
    async with rest(tmp_path, None, stages) as served:
        said = {"texto": "meu cpf é 529.982.247-25 e estou com azia"}
        advised = await served.http.post("/api/test/analisar", json=said, headers=ADMIN)
        told = await served.http.post("/api/test/transcrever", files={"audio": ("a", b"\0" * 64)}, headers=ADMIN)
    assert advised.json()["itens"][0]["id"] == "soro"
    assert "529" not in stages.asked[0].text
    assert "529" not in told.text


async def test_a_recogniser_that_does_not_answer_is_503(tmp_path):
    failed: Transcription = replace(heard(""), status="indisponivel")
    async with rest(tmp_path, None, ScriptedStages(stt=failed)) as served:
        answer = await served.http.post("/api/test/transcrever", files={"audio": ("a", b"\0" * 64)}, headers=ADMIN)
    assert (answer.status_code, set(answer.json())) == (503, {"error"})


async def test_trials_are_limited_by_account_since_they_may_cost_money(tmp_path):
    async with rest(tmp_path, trials_per_minute_max=2) as served:
        answers = [
            (await served.http.post("/api/test/analisar", json={"texto": "azia"}, headers=ADMIN)).status_code
            for _ in range(3)
        ]
    assert answers == [200, 200, 429]


async def test_a_small_file_that_decodes_to_hours_is_stopped(tmp_path):
    async with rest(tmp_path, trial_audio_max_bytes=64_000) as served:
        answer = await served.http.post(
            "/api/test/segmentar", files={"audio": ("a.pcm", b"\1\0" * 32_100)}, headers=ADMIN
        )
    assert (answer.status_code, "trecho menor" in answer.json()["error"]) == (413, True)


async def test_a_session_is_given_out_and_erased_by_whose_it_is_and_by_nobody_else(served):
    await record(served, "a", 2, text="estou com azia")
    owner, other = await served.session("a"), await served.session("b")
    path = "/api/data/sessao/s-1"
    assert (await served.http.delete(path, headers=other)).status_code == 404
    kept = (await served.http.get(path, headers=owner)).json()
    assert [row["text"] for row in kept["interacoes"]] == ["estou com azia"] * 2
    gone = (await served.http.delete(path, headers=owner)).json()
    assert (gone["interacoes"], gone["na_fila"]) == (2, 0)
    assert (await served.http.get(path, headers=owner)).status_code == 404
    assert (await served.http.get("/api/data/interacoes", headers=ADMIN)).json() == {"interacoes": []}
    acts = (await served.http.get("/api/admin/auditoria", headers=ADMIN)).json()["atos"]
    assert [(act["acao"], act["alvo"]) for act in acts[:2]] == [("apagar sessão", "s-1"), ("exportar sessão", "s-1")]
