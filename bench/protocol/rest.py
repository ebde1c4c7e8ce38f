"""The REST surface: who may do what, what is made, what is read back."""

from __future__ import annotations

import io
import wave
from typing import Final

from bench.protocol.checks import Bench, Check, CheckFailed, CheckSkipped, expect, expect_error, expect_fields
from bench.protocol.talk import spoken

ROUTES: Final = (
    "/saude",
    "/cadastro/cliente",
    "/cadastro/balcao",
    "/admin/login",
    "/api/data/interacoes",
    "/api/export/xlsx",
    "/api/data/balcao/{balcao_id}/metricas",
    "/api/admin/client/{codigo}/balcoes",
    "/api/admin/balcao/{balcao_id}/vad",
    "/api/test/segmentar",
    "/api/test/transcrever",
    "/api/test/analisar",
)


def health_is_public(bench: Bench) -> str:
    """GET /saude tells anybody whether the service lives, and no more"""
    with bench.anybody() as http:
        state = expect(http.get("/saude"), 200)
    expect_fields(state, estado=str, versao=str)
    if "porta" in state:
        raise CheckFailed("details are shown to anybody")
    return f"{state['estado']}, version {state['versao']}"


def health_has_details(bench: Bench) -> str:
    """GET /saude shows the administrator every part"""
    with bench.administrator() as http:
        state = expect(http.get("/saude"), 200)
    expect_fields(state, porta=dict, voz=dict, fala=dict, sugestoes=dict, registro=dict)
    return ", ".join(name for name, part in state.items() if isinstance(part, dict) and part.get("degraded")) or "well"


def document_lists_routes(bench: Bench) -> str:
    """The OpenAPI document lists the routes of the protocol"""
    with bench.anybody() as http:
        paths = expect(http.get("/openapi.json"), 200)["paths"]
    missing = [route for route in ROUTES if route not in paths]
    if missing:
        raise CheckFailed(f"missing: {', '.join(missing)}")
    return f"{len(paths)} paths"


def nobody_reads(bench: Bench) -> str:
    """What was recorded is shown to nobody without a session or the token"""
    with bench.anybody() as http:
        return expect_error(http.get("/api/data/interacoes"), 401)


def nobody_registers(bench: Bench) -> str:
    """Nobody registers a client without the token"""
    with bench.anybody() as http:
        answer = http.post("/cadastro/cliente", json={"email": "x", "razao_social": "", "telefone": "-"})
    if answer.status_code == 422:
        raise CheckSkipped("access.open_registration is on: for development only")
    return expect_error(answer, 401, 403, 503)


def wrong_token(bench: Bench) -> str:
    """A wrong token opens nothing"""
    with bench.anybody() as http:
        return expect_error(http.get("/api/data/interacoes", headers={"Authorization": "Bearer wrong"}), 401, 403, 503)


def client_is_registered(bench: Bench) -> str:
    """POST /cadastro/cliente gives a code, once for an e-mail"""
    body = {"email": bench.email, "razao_social": "Verificação do protocolo", "telefone": "-"}
    with bench.administrator() as http:
        bench.client_code = expect(http.post("/cadastro/cliente", json=body), 201)["codigo"]
        expect_error(http.post("/cadastro/cliente", json=body), 409)
    return f"code of {len(bench.client_code)} signs; again: 409"


def counter_is_registered(bench: Bench) -> str:
    """POST /cadastro/balcao gives a key, and says what is wrong"""
    with bench.administrator() as http:
        made = expect(http.post("/cadastro/balcao", json=bench.counter("REST")), 200)
        expect_fields(made, api_key=str, balcao_id=str, status=str)
        bench.counters["REST"], bench.keys["REST"] = made["balcao_id"], made["api_key"]
        expect_error(http.post("/cadastro/balcao", json={"nome_balcao": "x", "user_codigo": "nada00"}), 404, 422)
        expect_error(http.post("/cadastro/balcao", json={"nome_balcao": "x"}), 422)
    return f"{made['status']}; unknown code and missing field refused"


def counters_are_listed(bench: Bench) -> str:
    """GET /api/admin/client/{codigo}/balcoes lists a client's counters, without their keys"""
    bench.key("REST")
    with bench.administrator() as http:
        answer = http.get(f"/api/admin/client/{bench.client_code}/balcoes")
    expect(answer, 200)
    if bench.counters["REST"] not in answer.text or bench.keys["REST"] in answer.text:
        raise CheckFailed("the counter is missing, or its key is there")
    return "listed"


def gate_is_kept(bench: Bench) -> str:
    """PUT /api/admin/balcao/{id}/vad keeps a counter's settings, and refuses those out of range"""
    bench.key("REST")
    path = f"/api/admin/balcao/{bench.counters['REST']}/vad"
    with bench.administrator() as http:
        expect(http.put(path, json={"threshold_multiplier": 1.5, "min_energy": 120.0}), 200)
        expect_error(http.put(path, json={"threshold_multiplier": -1}), 422)
    return "kept"


def advice_is_given(bench: Bench) -> str:
    """POST /api/test/analisar answers a complaint"""
    with bench.administrator() as http:
        answer = http.post("/api/test/analisar", json={"texto": "estou com azia depois do almoço"})
    advice = expect(answer, 200)
    return f"{len(advice)} fields"


def audio_is_segmented(bench: Bench) -> str:
    """POST /api/test/segmentar finds the sentences of a WAV"""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(spoken())
    with bench.administrator() as http:
        answer = http.post("/api/test/segmentar", files={"audio": ("fala.wav", buffer.getvalue(), "audio/wav")})
    found = expect(answer, 200)
    expect_fields(found, segments=list, total_segments=int)
    if not found["segments"]:
        raise CheckFailed("no segment in clear speech")
    expect_fields(found["segments"][0], size_bytes=int, duration_sec=(int, float), audio_base64=str)
    return f"{found['total_segments']} segments"


def figures_are_there(bench: Bench) -> str:
    """GET /api/data/balcao/{id}/metricas gives a counter's figures, and /api/export/xlsx the rows"""
    bench.key("REST")
    with bench.administrator() as http:
        expect(http.get(f"/api/data/balcao/{bench.counters['REST']}/metricas"), 200)
        sheet = http.get("/api/export/xlsx", params={"balcao": bench.counters["REST"]})
    if sheet.status_code != 200 or not sheet.content.startswith(b"PK"):
        raise CheckFailed(f"no spreadsheet: {sheet.status_code}")
    return f"spreadsheet of {len(sheet.content)} bytes"


CHECKS: Final[tuple[Check, ...]] = (
    health_is_public,
    health_has_details,
    document_lists_routes,
    nobody_reads,
    nobody_registers,
    wrong_token,
    client_is_registered,
    counter_is_registered,
    counters_are_listed,
    gate_is_kept,
    advice_is_given,
    audio_is_segmented,
    figures_are_there,
)
