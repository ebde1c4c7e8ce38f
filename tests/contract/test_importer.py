"""A previous installation moves in: once however often, and its counters connect with the keys that they have."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from deployments.telemetry.opening import open_store
from deployments.telemetry.settings import TelemetrySettings
from serve_app.accounts import Accounts, AccountsSettings
from serve_app.importer.command import lines_of, main, move_in
from serve_app.importer.source import SourceError
from tests.support.databases import new_database, postgres_server

OLD_KEY = "bk_da-geracao-3"
SCHEMA = (
    "CREATE TABLE users (user_id INTEGER PRIMARY KEY, email TEXT, razao_social TEXT, telefone TEXT, "
    "codigo_6_digitos TEXT, senha TEXT)",
    "CREATE TABLE balcoes (balcao_id INTEGER PRIMARY KEY, user_id INTEGER, nome_balcao TEXT, api_key TEXT, "
    "vad_config TEXT)",
    "CREATE TABLE interacoes (id INTEGER PRIMARY KEY, balcao_id INTEGER, timestamp TEXT, transcricao_completa TEXT, "
    "recomendacao_gerada TEXT, resultado_feedback TEXT, modelo_stt TEXT, custo_estimado DOUBLE PRECISION, "
    "snr DOUBLE PRECISION, ts_transcription_ready TEXT, ts_lua_cheia TEXT)",
    "CREATE TABLE logs (linha TEXT)",
)
ADVICE = json.dumps({"comando": "recomendar", "produto": "Soro", "explicacao": "Repõe água."})
SAID = "sou a Carla Souza, cpf 529.982.247-25, tosse"
AT = "2026-10-01 09:00:00"
ROWS: dict[str, list[tuple[Any, ...]]] = {
    "users": [
        (1, "Dona@Farmacia.com", "Farmácia São João", "11 99999-0000", "123456", "x"),
        (2, "sem arroba", "Outra", "", "654321", "x"),
    ],
    "balcoes": [
        (7, 1, "Caixa 1", OLD_KEY, '{"threshold_multiplier": 1.8, "min_energy": 300, "cor": "azul"}'),
        (8, 1, "Caixa 2", "bk_2", '{"threshold_multiplier": -4}'),
        (9, 2, "Caixa 3", "bk_3", None),
        (10, 1, "Sem chave", "", None),
    ],
    "interacoes": [
        (1, 7, AT, SAID, ADVICE, "vendido", "scribe_v1", 0.004, 12.5, "2026-10-01 09:00:01.250000", "x"),
        (2, 7, AT, "tosse", None, None, "scribe_v1", None, None, None, None),
        (3, 7, AT, "tosse", None, None, "scribe_v1", None, None, None, None),
        (4, 8, "2026-10-02T10:00:00-03:00", "dor de dente", "Dipirona", "talvez", "m", "caro", None, None, None),
        (5, 9, "2026-10-02 10:00:00", "perdida", None, None, "m", None, None, None, None),
        (6, 7, "ontem", "sem instante", None, None, "m", None, None, None, None),
    ],
    "logs": [],
}


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    path = tmp_path / "antigo.db"
    with sqlite3.connect(path) as db:
        for statement in SCHEMA:
            db.execute(statement)
        for table, rows in ROWS.items():
            for row in rows:
                db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)
    db.close()
    return path


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    with postgres_server() as url:
        yield url


async def old_postgres(server_url: str) -> str:
    url = await new_database(server_url)
    connection = await asyncpg.connect(url)
    for statement in SCHEMA:
        await connection.execute(statement)
    for table, rows in ROWS.items():
        clean = [tuple(None if value == "caro" else value for value in row) for row in rows]
        await connection.copy_records_to_table(table, records=clean)
    await connection.close()
    return url


@pytest.fixture(params=["sqlite", "postgres"])
def target(request: pytest.FixtureRequest, tmp_path: Path, server_url: str) -> TelemetrySettings:
    if request.param == "sqlite":
        return TelemetrySettings(store="sqlite", state_dir=tmp_path)
    url = asyncio.run(new_database(server_url))
    return TelemetrySettings(database_url=SecretStr(url), state_dir=tmp_path)


def figures(report: Any) -> dict[str, tuple[int, int, int, int]]:
    tables = {**report.tables, "retornos": report.feedback}
    return {name: (m.read, m.new, m.known, m.refused.total()) for name, m in tables.items()}


async def assert_moved(target: TelemetrySettings) -> None:
    store = open_store(target)
    counter = await Accounts(AccountsSettings(), store).counter_of(OLD_KEY)
    assert counter is not None
    assert (counter.name, counter.vad_settings) == ("Caixa 1", {"threshold_multiplier": 1.8, "min_energy": 300.0})
    rows = await store.interactions(counter_id=counter.counter_id)
    assert len(rows) == 3
    [advised] = [row for row in rows if row["suggestion_id"]]
    assert advised["text"] == "sou a [NOME], cpf [CPF], tosse"
    assert advised["items"][0]["sugestao"] == "Soro"
    assert advised["happened_at"].isoformat() == "2026-10-01T12:00:00+00:00"
    assert advised["stt_ready_at"].isoformat() == "2026-10-01T12:00:01.250000+00:00"
    assert (advised["snr_db"], advised["stt_cost_usd"], advised["stt_model"]) == (12.5, 0.004, "scribe_v1")
    assert (await store.counter_metrics(counter.counter_id))["retornos"] == {"vendida": 1}
    contents = await store.session_contents(advised["session_id"], 10, 0)
    assert len(contents.interactions) == 3  # a counter's day is a session
    await store.close()


async def test_moved_in_twice_rows_are_there_once_and_counters_connect_with_their_old_keys(
    old_file: Path, target: TelemetrySettings
):
    first = await move_in(str(old_file), target)
    assert figures(first) == {
        "users": (2, 1, 0, 1),
        "balcoes": (4, 2, 0, 2),
        "interacoes": (6, 4, 0, 2),
        "retornos": (1, 1, 0, 0),
    }
    await assert_moved(target)
    again = await move_in(str(old_file), target)
    assert figures(again) == {
        "users": (2, 0, 1, 1),
        "balcoes": (4, 0, 2, 2),
        "interacoes": (6, 0, 4, 2),
        "retornos": (1, 0, 1, 0),
    }
    assert again.clients == first.clients
    await assert_moved(target)


async def test_a_previous_postgresql_gives_the_same(server_url: str, tmp_path: Path, old_file: Path):
    target = TelemetrySettings(store="sqlite", state_dir=tmp_path)
    moved = await move_in(await old_postgres(server_url), target)
    assert figures(moved)["interacoes"] == (6, 4, 0, 2)
    await assert_moved(target)
    assert figures(await move_in(str(old_file), target))["interacoes"] == (6, 0, 4, 2)


async def test_the_report_says_what_was_left_out_and_why_and_quotes_nobody(old_file: Path):
    report = await move_in(str(old_file), None)
    said = "\n".join(lines_of(report, dry_run=True))
    for part in (
        "dry run: nothing was written",
        "ignored tables: logs",
        "ignored columns of interacoes: id, ts_lua_cheia",
        "ignored columns of users: codigo_6_digitos, senha",
        "1: no e-mail",
        "1: its user_id is not in users",
        "1: no api_key",
        "1: vad_config that is not valid",
        "1: its balcao_id is not in balcoes",
        "1: no timestamp",
        "1: resultado_feedback of another kind",
        "texts with something redacted: 1",
    ):
        assert part in said, part
    assert "Carla" not in said
    assert OLD_KEY not in said


def test_what_cannot_be_read_is_said_plainly(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    empty = tmp_path / "vazio.db"
    with sqlite3.connect(empty) as db:
        db.execute("CREATE TABLE outra (a)")
    broken = tmp_path / "quebrado.db"
    broken.write_text("isto não é um banco" * 100)
    url = "postgresql://ana:segredo@127.0.0.1:1/x"
    for source, reason in (
        (str(tmp_path / "nada.db"), "there is no such file"),
        (str(empty), "none of the tables users, balcoes, interacoes is there"),
        (str(broken), "not a SQLite database"),
        (url, "cannot be reached"),
    ):
        assert main([source, "--dry-run"]) == 1
        told = capsys.readouterr()
        assert reason in told.err
        assert "segredo" not in told.err + told.out


async def test_a_table_without_its_keys_is_refused_and_the_columns_are_named(tmp_path: Path):
    path = tmp_path / "outro.db"
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE balcoes (balcao_id, user_id)")
    with pytest.raises(SourceError, match="balcoes: the columns api_key are missing"):
        await move_in(str(path), None)
