"""What attackers try: injected SQL, stored scripts, forged orders, other paths, huge bodies, guessed passwords."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from serve_app.rest.guards import CSRF_HEADER
from serve_app.settings import AccessSettings
from tests.support.doors import COUNTER, KEY, MemoryRecords, is_, messages, open_door, to_the_end
from tests.support.rest import PASSWORD, TOKEN, Rest, rest

ADMIN = {"Authorization": f"Bearer {TOKEN}"}
INJECTIONS = (
    "' OR '1'='1",
    "'; DROP TABLE clientes; --",
    "x' UNION SELECT password_hash, 1, 2, 3, 4, 5, 6 FROM senhas --",
    "%",
    "_",
    "\\",
    "$1",
    "1); DELETE FROM balcoes WHERE (1=1",
)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Rest]:
    async with rest(tmp_path) as served:
        yield served


async def test_sql_in_a_parameter_is_a_text_that_matches_nothing(served):
    for text in INJECTIONS:
        await inject(served, text)
    everybody = (await served.http.get("/api/admin/clientes", headers=ADMIN)).json()
    assert (everybody["total"], [row["balcoes"] for row in everybody["clientes"]]) == (2, [1, 1])


async def inject(served: Rest, text: str) -> None:
    places = [
        ("/api/admin/clientes", {"busca": text}),
        ("/api/admin/balcoes", {"busca": text}),
        ("/api/admin/balcoes", {"cliente": text}),
        ("/api/data/interacoes", {"balcao": text, "sessao": text}),
    ]
    for path, params in places:
        answer = await served.http.get(path, params=params, headers=ADMIN)
        assert answer.status_code == 200
        assert next(value for value in answer.json().values() if isinstance(value, list)) == []
    by_name = await served.http.get(
        f"/api/admin/client/{httpx.URL(path=text).path.replace('/', '')}/balcoes", headers=ADMIN
    )
    login = await served.http.post(
        "/cliente/login", json={"email": f"{text.replace(' ', '')}@b.example", "password": text}
    )
    assert by_name.status_code == 404
    assert login.status_code == 401


async def test_sql_in_a_name_is_stored_as_the_name(served):
    name = "Farmácia'); DROP TABLE balcoes; --"
    new = {"email": "x@y.example", "razao_social": name, "telefone": "1"}
    assert (await served.http.post("/cadastro/cliente", json=new, headers=ADMIN)).status_code == 201
    found = (await served.http.get("/api/admin/clientes", params={"busca": "drop table"}, headers=ADMIN)).json()
    assert [row["razao_social"] for row in found["clientes"]] == [name]


async def test_scripts_in_names_leave_as_json_that_no_browser_takes_for_a_page(served):
    script = "<script>alert(1)</script>"
    new = {"nome_balcao": script, "user_codigo": served.clients["a"].code}
    await served.http.post("/cadastro/balcao", json=new, headers=ADMIN)
    for path in ("/api/admin/balcoes", "/api/admin/auditoria"):
        answer = await served.http.get(path, headers=ADMIN)
        assert script in answer.text
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "script-src 'self';" in answer.headers["content-security-policy"]


async def test_an_order_from_a_page_of_another_address_is_refused_even_with_the_session_and_its_token(served):
    headers = await served.session("a")
    path = f"/api/admin/balcao/{served.counters['a'].counter_id}/chave"
    for origin in ("https://mal.example", "http://127.0.0.1:1", "null", "http://127.0.0.1.mal.example"):
        refused = await served.http.delete(path, headers={**headers, "Origin": origin})
        assert refused.status_code == 403, origin
    ours = await served.http.delete(path, headers={**headers, "Origin": str(served.http.base_url).rstrip("/")})
    assert ours.status_code == 200


async def test_one_sessions_csrf_token_is_no_good_for_another(served):
    mine, others = await served.session("a"), await served.session("b")
    path = f"/api/admin/balcao/{served.counters['a'].counter_id}/chave"
    answer = await served.http.delete(path, headers={**mine, CSRF_HEADER: others[CSRF_HEADER]})
    assert answer.status_code == 403


async def test_a_form_of_a_foreign_page_cannot_sign_anybody_in(served):
    body = f'{{"password": "{PASSWORD}", "x": "="}}'
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = await served.http.post("/admin/login", content=body, headers={"Content-Type": kind})
        assert answer.status_code == 422
        assert "set-cookie" not in answer.headers


async def test_no_path_leads_out_of_the_routes(served):
    for path in (
        "/estilo.css/../../settings.py",
        "/..%2f..%2f..%2fetc%2fpasswd",
        "/docs/%2e%2e/%2e%2e/.env",
        "/web/0/../../settings.py",
        "/web/0/..%2f..%2fsettings.py",
        "/api/admin/client/..%2f..%2fclientes/balcoes",
        "//etc/passwd",
        "/estilo.css%00.py",
    ):
        request = served.http.build_request("GET", "/", headers=ADMIN)
        request.url = request.url.copy_with(raw_path=path.encode())
        answer = await served.http.send(request)
        assert answer.status_code in (404, 405), path
        assert set(answer.json()) == {"error"}


def pieces(total: int) -> Iterator[bytes]:
    for _ in range(total // 8192):
        yield b" " * 8192


async def async_pieces(total: int) -> AsyncIterator[bytes]:
    for piece in pieces(total):
        yield piece


async def test_a_body_beyond_the_limit_is_refused_whether_it_says_its_size_or_not(served):
    said = await served.http.post("/admin/login", content=b" " * 70_000)
    chunked = await served.http.post("/admin/login", content=async_pieces(200_000))
    huge = await served.http.post("/api/test/segmentar", content=b"x" * 4_100_000, headers=ADMIN)
    assert [answer.status_code for answer in (said, chunked, huge)] == [413] * 3
    assert set(chunked.json()) == {"error"}
    within = await served.http.post("/admin/login", content=b" " * 60_000)
    assert within.status_code == 422


async def test_json_that_should_not_be_is_a_clear_refusal(served):
    for body in (b"[" * 60_000, b'{"password":' + b"9" * 60_000 + b"}", b'{"password":"\\ud800"}', b"\xff"):
        answer = await served.http.post("/admin/login", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 401, 422), body[:20]
        assert set(answer.json()) == {"error"}


async def test_names_hold_no_control_signs(served):
    for name in ("a\x00b", "\x1b[31m", "", "   ", "x" * 201):
        new = {"nome_balcao": name, "user_codigo": served.clients["a"].code}
        answer = await served.http.post("/cadastro/balcao", json=new, headers=ADMIN)
        assert answer.status_code == 422, name


async def test_guessing_passwords_ends_in_429_that_says_how_long_and_the_token_still_works(tmp_path):
    async with rest(tmp_path, failures_at_account_max=3) as served:
        tries = [await served.http.post("/admin/login", json={"password": f"errada {n}"}) for n in range(4)]
        assert [answer.status_code for answer in tries] == [401, 401, 401, 429]
        assert 0 < int(tries[3].headers["retry-after"]) <= 900
        assert (await served.http.get("/api/admin/clientes", headers=ADMIN)).status_code == 200


async def test_an_invented_forwarded_address_evades_no_limit(tmp_path):
    async with rest(tmp_path, failures_from_address_max=2) as served:
        answers = [
            await served.http.post(
                "/cliente/login",
                json={"email": f"a{n}@b.example", "password": "errada"},
                headers={"X-Forwarded-For": f"9.9.9.{n}"},
            )
            for n in range(3)
        ]
    assert [answer.status_code for answer in answers] == [401, 401, 429]


@pytest.mark.parametrize(
    ("hops", "header", "address"),
    [(1, "6.6.6.6, 9.9.9.9", "9.9.9.9"), (2, "6.6.6.6, 9.9.9.9, 10.0.0.1", "9.9.9.9"), (2, "9.9.9.9", "desconhecido")],
)
async def test_behind_our_proxies_the_log_says_the_address_that_the_outermost_saw(tmp_path, hops, header, address):
    async with rest(tmp_path, forwarded_hops=hops) as served:
        headers = {**ADMIN, "X-Forwarded-For": header}
        new = {"email": "x@y.example", "razao_social": "X", "telefone": "1"}
        await served.http.post("/cadastro/cliente", json=new, headers=headers)
        log = (await served.http.get("/api/admin/auditoria", headers=ADMIN)).json()
    assert (log["atos"][0]["acao"], log["atos"][0]["endereco"]) == ("cadastrar cliente", address)


async def test_every_answer_carries_the_security_headers_errors_and_pages_too(served):
    for path in ("/", "/docs", "/saude", "/estilo.css", "/nowhere", "/api/eu", "/openapi.json"):
        headers = (await served.http.get(path)).headers
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "strict-transport-security" not in headers
    behind_tls = await served.http.get("/saude", headers={"X-Forwarded-Proto": "https"})
    assert "max-age=" in behind_tls.headers["strict-transport-security"]


async def test_the_cookie_is_for_our_pages_alone_and_for_tls_alone_but_on_this_machine(served):
    here = await served.http.post("/admin/login", json={"password": PASSWORD})
    served.http.cookies.clear()
    away = await served.http.post(
        "/admin/login", json={"password": PASSWORD}, headers={"Host": "balto.example", "X-Forwarded-Proto": "https"}
    )
    plain = here.headers["set-cookie"].lower()
    assert all(part in plain for part in ("balto_sessao=", "httponly", "samesite=strict", "path=/", "max-age="))
    assert "secure" not in plain
    assert away.headers["set-cookie"].startswith("__Host-balto_sessao=")
    assert "; Secure" in away.headers["set-cookie"]


async def test_a_counter_whose_key_is_revoked_or_replaced_is_closed_and_cannot_return(tmp_path):
    from serve_app.accounts import AccountsSettings
    from serve_app.door import DoorSettings

    quick = DoorSettings(accounts=AccountsSettings(key_watch_s=0.05, key_cache_s=0.05))
    async with rest(tmp_path, quick) as served:
        path = f"/api/admin/balcao/{served.counters['a'].counter_id}/chave"
        hello = {"comando": "auth", "versao": 4, "api_key": served.keys["a"]}
        async with served.at.counter(hello) as socket:
            await messages(socket, is_("sessao"))
            replaced = await served.http.post(path, headers=await served.session("a"))
            got, code = await to_the_end(socket)
        assert (code, got[-1]["codigo"]) == (4001, "chave_invalida")
        async with served.at.counter(hello) as socket:
            assert (await to_the_end(socket))[1] == 4001
        async with served.at.counter({**hello, "api_key": replaced.json()["api_key"]}) as socket:
            await messages(socket, is_("sessao"))
            await served.http.delete(path, headers=ADMIN)
            assert (await to_the_end(socket))[1] == 4001


async def test_counters_stay_while_the_accounts_are_out_of_reach():
    from serve_app.accounts import AccountsSettings
    from serve_app.door import DoorSettings

    records = MemoryRecords()
    quick = DoorSettings(accounts=AccountsSettings(key_watch_s=0.02))
    async with (
        open_door(records=records, settings=quick) as at,
        at.counter({"comando": "auth", "versao": 4, "api_key": KEY}) as socket,
    ):
        await messages(socket, is_("sessao"))
        records.down = True
        for _ in range(5):
            await socket.send('{"comando":"ping"}')
            await messages(socket, is_("pong"))
        assert at.door.counters == 1
    assert COUNTER.revoked is False


async def test_a_fault_of_ours_is_a_500_that_tells_nothing(caplog):
    class Broken(MemoryRecords):
        async def interactions(self, **filters):
            raise RuntimeError("a frase que alguém disse")

    access = AccessSettings(admin_secret=SecretStr(TOKEN))
    async with open_door(access=access, records=Broken()) as at, httpx.AsyncClient(base_url=at.http) as http:
        answer = await http.get("/api/data/interacoes", headers=ADMIN)
    assert (answer.status_code, set(answer.json())) == (500, {"error"})
    assert "x-content-type-options" in answer.headers
    assert "frase" not in answer.text + caplog.text
