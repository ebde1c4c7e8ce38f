"""The demonstration from its command line, against a scripted server that speaks the protocol and serves the rows."""

from __future__ import annotations

import asyncio
import json
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from serve_app.demo import main

SESSION = "6f1d7c3e-0000-4000-8000-000000000001"
ROW = {
    "interaction_id": "1",
    "session_id": SESSION,
    "outcome": "sugerido",
    "first_sample": 1_600,
    "end_sample": 9_600,
    "text": "filho febre",
    "macro": "PEDIATRIA",
    "micro": "FEBRE_INFANTIL",
    "suggestion_id": "sug",
    "items": [{"id": "a", "sugestao": "Termômetro"}],
}
TRUTH = [
    {
        "start_s": 0.1,
        "end_s": 0.5,
        "speaker": "cliente",
        "text": "meu filho está com febre",
        "expect": {"macros": ["PEDIATRIA"]},
        "expected_of_demonstration": True,
    }
]


class Balto:
    """Hears one thing and, where told to, advises on it; `row` is what it recorded."""

    def __init__(self, *, advises: bool, row: dict[str, Any] | None) -> None:
        self._advises = advises
        self._row = row
        self.url = ""

    async def _counter(self, ws: ServerConnection) -> None:
        await ws.recv()
        await ws.send(json.dumps({"comando": "sessao", "sessao": SESSION, "recebido_ate": 0, "versao": 4}))
        async for message in ws:
            if message == '{"comando":"fim"}':
                break
        if self._advises:
            heard = {"comando": "ouvido", "texto": "filho febre", "inicio_ms": 100, "fim_ms": 600}
            await ws.send(json.dumps(heard))
            advice = {"id": "sug", "produto": "Termômetro", "transcricao_base": "filho febre", "origem": "regras"}
            await ws.send(json.dumps({"comando": "recomendar", **advice}))

    def _rows(self, connection: ServerConnection, request: Request) -> Response | None:
        if not request.path.startswith("/api/"):
            return None
        if request.headers.get("Authorization") != "Bearer segredo":
            return connection.respond(HTTPStatus.UNAUTHORIZED, "{}")
        found = [self._row] if self._row is not None and SESSION in request.path else []
        return connection.respond(HTTPStatus.OK, json.dumps({"interacoes": found}))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Balto]:
        async with serve(self._counter, "127.0.0.1", 0, process_request=self._rows) as server:
            self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
            yield self


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "key").write_text("bk_x\n", encoding="utf-8")
    (tmp_path / "token").write_text("segredo\n", encoding="utf-8")
    (tmp_path / "balcao.json").write_text(json.dumps(TRUTH), encoding="utf-8")
    with wave.open(str(tmp_path / "balcao.wav"), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(16_000)
        wav.writeframes(bytes(32_000 * 7 // 10))
    names = {"--key-file": "key", "--token-file": "token", "--sample": "balcao.wav", "--truth": "balcao.json"}
    return [part for option, name in names.items() for part in (option, str(tmp_path / name))]


async def run(balto: Balto, files: list[str]) -> int:
    async with balto.running():
        return await asyncio.to_thread(main, ["--url", balto.url, *files])


async def test_ends_well_when_what_is_expected_came_and_was_recorded(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(Balto(advises=True, row=ROW), files) == 0
    printed = capsys.readouterr().out
    told = ["connected", "said         cliente", "heard        “filho febre”", "advised      Termômetro", "closed"]
    places = [printed.index(part) for part in [*told, "PEDIATRIA/FEBRE_INFANTIL → Termômetro", "All 1 suggestions"]]
    assert places == sorted(places)
    assert "\x1b[" not in printed


async def test_fails_and_says_which_when_the_expected_suggestion_did_not_come(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(Balto(advises=False, row=None), files) == 1
    assert "missing: PEDIATRIA for “meu filho está com febre” at 0.1 s" in capsys.readouterr().out


async def test_the_row_decides_when_the_category_is_another(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert await run(Balto(advises=True, row={**ROW, "macro": "ALERGIAS"}), files) == 1
    assert "ALERGIAS came" in capsys.readouterr().out


async def test_a_token_that_is_refused_fails_the_demonstration(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    files[files.index("--token-file") + 1] = files[files.index("--key-file") + 1]  # another secret than the token
    assert await run(Balto(advises=True, row=ROW), files) == 1
    assert "HTTP 401" in capsys.readouterr().out


async def test_without_a_token_the_suggestions_alone_are_judged(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    at = files.index("--token-file")
    assert await run(Balto(advises=True, row=ROW), files[:at] + files[at + 2 :]) == 0
    assert "need --token-file" in capsys.readouterr().out


def test_a_truth_that_cannot_be_read_is_a_usage_error(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path(files[-1]).write_text("{", encoding="utf-8")
    assert main(files) == 2
    assert "balcao.json" in capsys.readouterr().err
