"""Every route × everybody who may come: made from the route table, so that a route without a rule fails."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.telemetry.records import Interaction
from serve_app.rest.guards import CSRF_HEADER, Rule, http_routes, rule_of
from serve_app.routes import create_app
from tests.support.rest import PASSWORD, TOKEN, Rest, rest

APP = create_app(lambda: None)
WAV = Path(__file__).parents[1] / "data" / "fala.wav"
LAST = ("/cliente/senha", "/sair")
"""They end the session that calls them, which therefore is a fresh one."""

BODIES: dict[str, dict[str, Any]] = {
    "POST /admin/login": {"json": {"password": PASSWORD}},
    "POST /cliente/login": {"json": {"email": "b@farmacia.example", "password": PASSWORD}},
    "POST /admin/senha": {"json": {"segredo": "x", "senha": "curta"}},
    "POST /cliente/senha": {"json": {"email": "b@farmacia.example", "codigo": "x", "senha": "curta"}},
    "PUT /cliente/senha": {"json": {"senha_atual": PASSWORD, "senha": "outra frase comprida"}},
    "POST /admin/drenar": {"json": {"no": "a-node-of-nobody"}},
    "POST /cadastro/cliente": {"json": {"email": "c@d.example", "razao_social": "C", "telefone": "1"}},
    "POST /cadastro/balcao": {"json": {"nome_balcao": "Caixa", "user_codigo": "{codigo}"}},
    "PUT /api/admin/balcao/{balcao_id}/vad": {"json": {"min_energy": 250}},
    "POST /api/test/analisar": {"json": {"texto": "estou com azia"}},
    "POST /api/test/segmentar": {"files": {"audio": ("a.wav", WAV.read_bytes())}},
    "POST /api/test/transcrever": {"files": {"audio": ("a.wav", WAV.read_bytes())}},
}
ALLOWED, MISSING = "allowed", 404
FILE = {"version": "0", "name": "pagina.css", "sessao_id": "sessao-de-a", "interacao_id": "i-2"}
EXPECTED: dict[Rule, dict[str, Any]] = {
    Rule.PUBLIC: dict.fromkeys(("nobody", "owner", "other", "administrador", "token"), ALLOWED),
    Rule.REGISTRATION: {"nobody": 401, "owner": 403, "other": 403, "administrador": ALLOWED, "token": ALLOWED},
    Rule.SIGNED_IN: {"nobody": 401, "owner": ALLOWED, "other": MISSING, "administrador": ALLOWED, "token": ALLOWED},
    Rule.CLIENT: {"nobody": 401, "owner": ALLOWED, "other": ALLOWED, "administrador": 403, "token": 403},
    Rule.ADMINISTRATOR: {"nobody": 401, "owner": 403, "other": 403, "administrador": ALLOWED, "token": ALLOWED},
    Rule.TOKEN: {"nobody": 401, "owner": 403, "other": 403, "administrador": 403, "token": ALLOWED},
}
NOBODIES = (
    "nobody",
    "expired administrator",
    "expired client",
    "forged cookie",
    "signed out",
    "counter's key",
    "revoked counter's key",
    "wrong token",
    "the older constant",
)


def calls() -> list[tuple[str, str, Rule]]:
    found = [
        (m, route.path_format, rule_of(route)) for route in http_routes(APP) for m in sorted(route.methods - {"HEAD"})
    ]
    return sorted(found, key=lambda call: ("", *LAST[::-1]).index(call[1] if call[1] in LAST else ""))


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Rest]:
    async with rest(tmp_path) as served:
        counter = served.counters["a"]
        ids = ("i-1", counter.client_id, counter.counter_id, "sessao-de-a", "u-1")
        await served.records.record([Interaction(*ids, "n-1", "4.0.0", "sugerido", first_sample=0, end_sample=9)])
        kept = ("i-2", counter.client_id, counter.counter_id, "sessao-que-fica", "u-2")  # no route erases it
        await served.records.record([Interaction(*kept, "n-1", "4.0.0", "nada")])
        for _ in range(500):
            if await served.records.interaction("i-2") is not None:
                break
            await asyncio.sleep(0.01)
        yield served


async def headers_of(served: Rest, who: str) -> dict[str, str]:
    match who:
        case "owner":
            return await served.session("a")
        case "other":
            return await served.session("b")
        case "administrador":
            return await served.session("administrador")
        case "token":
            return {"Authorization": f"Bearer {TOKEN}"}
        case "wrong token":
            return {"Authorization": "Bearer errado"}
        case "expired administrator":
            return await served.expired("administrador")
        case "expired client":
            return await served.expired("a")
        case "forged cookie":
            return served.forged()
        case "the older constant":
            return {"Cookie": "balto_sessao=auth_ok; admin_session=auth_ok"}
        case "signed out":
            headers = await served.session("administrador")
            assert (await served.http.post("/sair", headers=headers)).status_code == 200
            return headers
        case "counter's key":
            return {"Authorization": f"Bearer {served.keys['a']}"}
        case "revoked counter's key":
            await served.records.revoke_counter(served.counters["b"].counter_id)
            return {"Authorization": f"Bearer {served.keys['b']}"}
    return {}


async def call(served: Rest, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
    names = {"balcao_id": served.counters["a"].counter_id, "codigo": served.clients["a"].code, **FILE}
    body = dict(BODIES.get(f"{method} {path}", {}))
    if "json" in body:
        body["json"] = {k: v.format(**names) if isinstance(v, str) else v for k, v in body["json"].items()}
    served.http.cookies.clear()
    return await served.http.request(method, path.format(**names), headers=headers, **body)


def test_every_route_names_exactly_one_rule():
    without = [route.path for route in http_routes(APP) if rule_of(route) is None]
    assert without == []
    assert len(calls()) > 20


def test_nothing_of_the_api_is_public_but_who_am_i():
    public = {path for _, path, rule in calls() if rule is Rule.PUBLIC and path.startswith("/api/")}
    assert public == {"/api/eu"}


@pytest.mark.parametrize("who", NOBODIES)
async def test_who_is_nobody_gets_nothing_that_is_not_public(served, who):
    headers = await headers_of(served, who)
    answers = {(m, p): (await call(served, m, p, headers)).status_code for m, p, rule in calls() if rule != Rule.PUBLIC}
    assert answers == dict.fromkeys(answers, 401)


@pytest.mark.parametrize("who", ["owner", "other", "administrador", "token"])
async def test_who_is_somebody_gets_what_the_rule_says(served, who):
    headers = await headers_of(served, who)
    wrong = {}
    for method, path, rule in calls():
        if path in LAST and who in ("owner", "other", "administrador"):
            headers = await headers_of(served, who)
        answer = await call(served, method, path, headers)
        expected = EXPECTED[rule][who]
        if expected == MISSING and "{" not in path:  # nothing of anybody's is named: they see their own
            expected = ALLOWED
        refused = answer.status_code in (401, 403, 404) and rule is not Rule.PUBLIC
        fits = not refused and answer.status_code < 500 if expected == ALLOWED else answer.status_code == expected
        if not fits:
            wrong[f"{method} {path}"] = (answer.status_code, expected)
    assert wrong == {}


async def test_each_allowed_route_does_what_it_is_for(served):
    headers = await headers_of(served, "token")
    answers = {(m, p): (await call(served, m, p, headers)).status_code for m, p, r in calls() if r is not Rule.CLIENT}
    refused = {("POST", "/admin/senha"): 422, ("POST", "/cliente/senha"): 422}
    assert {key: status for key, status in answers.items() if status not in (200, 201)} == refused


@pytest.mark.parametrize("who", ["owner", "administrador"])
async def test_an_order_by_cookie_without_its_csrf_token_is_refused_and_looking_is_not(served, who):
    headers = {**await headers_of(served, who), CSRF_HEADER: "0" * 64}
    for method, path, rule in calls():
        if EXPECTED[rule][who] == ALLOWED and rule is not Rule.PUBLIC:
            answer = await call(served, method, path, headers)
            assert (answer.status_code == 403) == (method != "GET"), (method, path, answer.status_code)


async def test_a_client_sees_its_own_counters_and_interactions_only(served):
    headers = await headers_of(served, "other")
    await call(served, "GET", "/api/admin/balcoes", headers)
    listed = (await served.http.get("/api/admin/balcoes", headers=headers)).json()
    asked = (await served.http.get("/api/admin/balcoes", headers=headers, params={"cliente": "client-a"})).json()
    assert [row["nome_balcao"] for row in listed["balcoes"]] == ["Balcão b"]
    assert asked == listed
