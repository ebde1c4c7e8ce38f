"""The REST surface of the door: health, registration, data; errors are `{"error": …}` with the right status."""

import httpx
import pytest
from pydantic import SecretStr

from serve_app.settings import AccessSettings
from tests.support.doors import MemoryRecords, is_, messages, open_door

ADMIN = AccessSettings(admin_secret=SecretStr("segredo"))
TOKEN = {"Authorization": "Bearer segredo"}
CLIENT = {"email": "dona@farmacia.example", "razao_social": "Farmácia", "telefone": "11 5555-0000"}


async def test_health_is_public_and_its_details_are_not():
    async with open_door(access=ADMIN) as at, httpx.AsyncClient(base_url=at.http) as http:
        public = (await http.get("/saude")).json()
        full = (await http.get("/saude", headers=TOKEN)).json()
    assert set(public) == {"estado", "versao"}
    assert "voz" in full


async def test_a_registered_counter_can_connect_with_its_key():
    async with open_door(access=ADMIN) as at, httpx.AsyncClient(base_url=at.http, headers=TOKEN) as http:
        created = await http.post("/cadastro/cliente", json=CLIENT)
        counter = await http.post(
            "/cadastro/balcao", json={"nome_balcao": "Caixa 1", "user_codigo": created.json()["codigo"]}
        )
        assert (created.status_code, counter.status_code) == (201, 200)
        assert counter.json()["status"] == "registered"
        async with at.counter({"comando": "auth", "versao": 4, "api_key": counter.json()["api_key"]}) as socket:
            (welcome,) = await messages(socket, is_("sessao"))
    assert welcome["versao"] == 4
    assert counter.json()["api_key"] not in repr(at.records.counters)


@pytest.mark.parametrize(
    ("access", "headers", "status"),
    [
        (ADMIN, {}, 401),
        (ADMIN, {"Authorization": "Bearer errado"}, 401),
        (ADMIN, {"Authorization": "Bearer ção".encode()}, 401),
        (AccessSettings(), TOKEN, 401),
        (AccessSettings(open_registration=True), {}, 201),
        (ADMIN, TOKEN, 201),
    ],
)
async def test_only_the_administrator_registers_unless_registration_is_open(access, headers, status):
    async with open_door(access=access) as at, httpx.AsyncClient(base_url=at.http) as http:
        answer = await http.post("/cadastro/cliente", json=CLIENT, headers=headers)
    assert answer.status_code == status
    assert ("error" in answer.json()) == (status != 201)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/cadastro/cliente", {**CLIENT, "email": "not-an-address"}, 422),
        ("/cadastro/cliente", {"email": "a@b.c"}, 422),
        ("/cadastro/cliente", {**CLIENT, "outro": 1}, 422),
        ("/cadastro/balcao", {"nome_balcao": "x", "user_codigo": "unknown"}, 404),
        ("/nowhere", {}, 404),
    ],
)
async def test_bad_requests_say_what_is_wrong(path, body, status):
    async with open_door(access=ADMIN) as at, httpx.AsyncClient(base_url=at.http, headers=TOKEN) as http:
        answer = await http.post(path, json=body)
    assert (answer.status_code, set(answer.json())) == (status, {"error"})


async def test_an_e_mail_registers_once():
    async with open_door(access=ADMIN) as at, httpx.AsyncClient(base_url=at.http, headers=TOKEN) as http:
        await http.post("/cadastro/cliente", json=CLIENT)
        again = await http.post("/cadastro/cliente", json=CLIENT)
    assert (again.status_code, set(again.json())) == (409, {"error"})


async def test_a_database_that_is_away_is_503_with_a_sentence():
    async with (
        open_door(access=ADMIN, records=MemoryRecords(down=True)) as at,
        httpx.AsyncClient(base_url=at.http, headers=TOKEN) as http,
    ):
        answer = await http.get("/api/data/interacoes")
    assert (answer.status_code, set(answer.json())) == (503, {"error"})


async def test_interactions_need_the_administrator_and_come_by_session():
    async with open_door(access=ADMIN) as at, httpx.AsyncClient(base_url=at.http) as http:
        refused = await http.get("/api/data/interacoes")
        empty = await http.get("/api/data/interacoes", params={"sessao": "x"}, headers=TOKEN)
        too_many = await http.get("/api/data/interacoes", params={"limite": 100_000}, headers=TOKEN)
    assert refused.status_code == 401
    assert empty.json() == {"interacoes": []}
    assert too_many.status_code == 422
