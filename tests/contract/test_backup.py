"""A dump of ops/bin/backup brings everything back into an empty database, and only there."""

import asyncio
import os
import subprocess
from datetime import datetime, timezone
from pathlib import Path

import asyncpg
import pytest

from deployments.telemetry.embedded_place import locate
from deployments.telemetry.records import Feedback, Interaction
from deployments.telemetry.rows import encode
from tests.support.databases import new_database, postgres_server, postgres_store

BIN = Path(__file__).parents[2] / "ops" / "bin"
NOW = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def server():
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="module")
def pg_bin(tmp_path_factory):
    return locate(tmp_path_factory.mktemp("place") / "pgdata").binaries / "bin"


@pytest.fixture(scope="module")
def filled(server):
    """A database with a counter, an interaction and what became of its suggestion."""

    async def fill() -> str:
        url = await new_database(server)
        store = postgres_store(url)
        client = await store.create_client("dona@farmacia.example", "Farmácia São João", "11")
        counter = await store.create_counter(client.code, "Caixa 1", "a" * 64)
        spoken = Interaction(
            "11111111-1111-1111-1111-111111111111", client.client_id, counter.counter_id, "s", "u", "n", "4",
            outcome="sugerido", text="água e 'aspas' \\ com azia", suggestion_id="g", items=[{"id": "soro"}],
        )  # fmt: skip
        given = Feedback("f", "g", "soro", "vendida", counter.counter_id, "s", NOW)
        await store.write([encode(spoken, NOW), encode(given, NOW)])
        await store.close()
        return url

    return asyncio.run(fill())


def contents(url: str) -> dict[str, list[str]]:
    """Every row of every table, as text."""

    async def read() -> dict[str, list[str]]:
        connection = await asyncpg.connect(url)
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        found = {
            name: sorted(row["t"] for row in await connection.fetch(f'SELECT t::text AS t FROM "{name}" t'))
            for (name,) in tables
        }
        await connection.close()
        return found

    return asyncio.run(read())


def script(name: str, argument: Path, pg_bin: Path, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {"PATH": os.environ["PATH"], "PG_BIN": str(pg_bin), "BALTO_STATE_DIR": "/nowhere"}
    command = [str(BIN / name), str(argument)]
    return subprocess.run(command, env={**kept, **env}, capture_output=True, text=True, timeout=60)


def backup(folder: Path, pg_bin: Path, **env: str) -> Path:
    done = script("backup", folder, pg_bin, **env)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


def test_everything_that_was_dumped_is_there_after_a_restore(server, filled, pg_bin, tmp_path):
    dump = backup(tmp_path, pg_bin, DATABASE_URL=filled)
    empty = asyncio.run(new_database(server))
    done = script("restore", dump, pg_bin, DATABASE_URL=empty)
    assert done.returncode == 0, done.stderr
    restored = contents(empty)
    assert restored == contents(filled)
    assert len(restored["interacoes"]) == 1
    assert any("aspas" in row for row in restored["interacoes"])
    assert dump.stat().st_mode & 0o077 == 0


def test_the_service_goes_on_with_a_restored_database(server, filled, pg_bin, tmp_path):
    dump = backup(tmp_path, pg_bin, DATABASE_URL=filled)
    empty = asyncio.run(new_database(server))
    assert script("restore", dump, pg_bin, DATABASE_URL=empty).returncode == 0

    async def look() -> str:
        store = postgres_store(empty)
        counter = await store.find_counter("a" * 64)
        await store.close()
        assert counter is not None
        return counter.name

    assert asyncio.run(look()) == "Caixa 1"


def test_a_sealed_dump_opens_with_its_passphrase_alone_and_shows_nothing(server, filled, pg_bin, tmp_path):
    dump = backup(tmp_path, pg_bin, DATABASE_URL=filled, BALTO_BACKUP_PASSPHRASE="uma frase só minha")
    assert dump.suffix == ".enc"
    assert b"PGDMP" not in dump.read_bytes()
    assert b"azia" not in dump.read_bytes()
    empty = asyncio.run(new_database(server))
    without = script("restore", dump, pg_bin, DATABASE_URL=empty)
    assert without.returncode != 0
    assert "set BALTO_BACKUP_PASSPHRASE" in without.stderr
    wrong = script("restore", dump, pg_bin, DATABASE_URL=empty, BALTO_BACKUP_PASSPHRASE="outra")
    assert wrong.returncode != 0
    assert contents(empty) == {}
    right = script("restore", dump, pg_bin, DATABASE_URL=empty, BALTO_BACKUP_PASSPHRASE="uma frase só minha")
    assert right.returncode == 0, right.stderr
    assert contents(empty) == contents(filled)


def test_a_damaged_dump_is_refused_before_anything_is_written(server, filled, pg_bin, tmp_path):
    dump = backup(tmp_path, pg_bin, DATABASE_URL=filled)
    whole = bytearray(dump.read_bytes())
    whole[len(whole) // 2] ^= 0xFF
    dump.write_bytes(whole)
    empty = asyncio.run(new_database(server))
    done = script("restore", dump, pg_bin, DATABASE_URL=empty)
    assert done.returncode == 4
    assert "take an older dump" in done.stderr
    assert contents(empty) == {}


def test_a_database_with_tables_is_never_written_over(filled, pg_bin, tmp_path):
    dump = backup(tmp_path, pg_bin, DATABASE_URL=filled)
    before = contents(filled)
    done = script("restore", dump, pg_bin, DATABASE_URL=filled)
    assert done.returncode == 3
    assert "make an empty one" in done.stderr
    assert contents(filled) == before


def test_the_newest_dumps_are_kept_and_a_failed_one_leaves_nothing(filled, pg_bin, tmp_path):
    for day in ("20260101T030000Z", "20260102T030000Z", "20260103T030000Z"):
        (tmp_path / f"balto-{day}.dump").write_text("old")
        (tmp_path / f"balto-{day}.dump.sha256").write_text("old")
    newest = backup(tmp_path, pg_bin, DATABASE_URL=filled, BALTO_BACKUPS_KEPT="2")
    kept = {"balto-20260103T030000Z.dump", newest.name}
    assert {path.name for path in tmp_path.iterdir()} == kept | {f"{name}.sha256" for name in kept}
    gone = script("backup", tmp_path, pg_bin, DATABASE_URL=filled.replace("/t", "/nada"))
    assert gone.returncode != 0
    assert {path.name for path in tmp_path.iterdir()} == kept | {f"{name}.sha256" for name in kept}


def test_the_embedded_database_is_found_by_the_state_directory(server, pg_bin, tmp_path):
    data = Path(server.partition("host=")[2])
    dump = backup(tmp_path, pg_bin, BALTO_STATE_DIR=str(data.parent))
    assert dump.read_bytes().startswith(b"PGDMP")


def test_without_a_database_it_says_what_to_set(pg_bin, tmp_path):
    done = script("backup", tmp_path, pg_bin)
    assert done.returncode == 2
    assert "set DATABASE_URL or POSTGRES_HOST" in done.stderr


def test_a_password_in_the_url_is_not_on_the_command_line(tmp_path):
    seen = tmp_path / "pg_dump"
    seen.write_text('#!/bin/sh\necho "$@" > "$SEEN"\necho "$PGPASSWORD" >> "$SEEN"\nexit 1\n')
    seen.chmod(0o755)
    env = {"DATABASE_URL": "postgresql://balto:s%40l%2Fgada@db:5432/balto", "SEEN": str(tmp_path / "seen")}
    script("backup", tmp_path / "b", tmp_path, **env)
    arguments, password = (tmp_path / "seen").read_text().splitlines()
    assert "gada" not in arguments
    assert arguments.endswith("--dbname=postgresql://balto@db:5432/balto")
    assert password == "s@l/gada"
