"""Both databases, real ones, hold the same rows and give the same figures."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, fields
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from pydantic import SecretStr

from deployments.telemetry import embedded, schema
from deployments.telemetry.errors import (
    EmailTaken,
    KeyTaken,
    StoreRefused,
    StoreUnavailable,
    UnknownClient,
    UnknownCounter,
)
from deployments.telemetry.postgres import PostgresStore
from deployments.telemetry.records import Feedback, Interaction
from deployments.telemetry.rows import Row, encode
from deployments.telemetry.settings import TelemetrySettings
from deployments.telemetry.sqlite import SqliteStore
from deployments.telemetry.stage import Telemetry
from deployments.telemetry.store import SqlStore

NOW = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=timezone.utc)
SAMPLES: dict[str, Any] = {"int": 7, "float": 0.125, "bool": True, "str": "água, ação e 'aspas'"}
STRUCTURES: dict[str, Any] = {
    "band_energies_db": (-12.5, -30.0),
    "gate_settings": {"margin_db": 4.0},
    "entities": {"symptoms": ["dor de cabeça"]},
    "items": [{"id": "soro", "sugestao": "Soro"}],
    "blocked": [{"item_id": "aas", "rule_id": "dengue"}],
}


def full_interaction(**given: Any) -> Interaction:
    """An interaction whose every field holds a value of its own kind, instants of their own microsecond."""
    values: dict[str, Any] = {}
    for number, field in enumerate(fields(Interaction)):
        kind = str(field.type).split(" | ")[0]
        sample = NOW + timedelta(microseconds=number) if kind == "datetime" else SAMPLES.get(kind, "sugerido")
        values[field.name] = STRUCTURES.get(field.name, sample)
    return Interaction(**{**values, "interaction_id": str(uuid.uuid4()), **given})


def row(record: Interaction | Feedback) -> Row:
    return encode(record, NOW)


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="balto-test-", dir="/tmp"))
    root.chmod(0o755)  # as root, PostgreSQL runs as another user, who must reach its data
    yield root / "pgdata"
    embedded.stop(root / "pgdata")
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def server_url(data_dir: Path) -> str:
    return embedded.start(data_dir)


async def new_database(server_url: str, template: str = "template1") -> str:
    name = f"t{uuid.uuid4().hex}"
    connection = await asyncpg.connect(server_url)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    await connection.close()
    return server_url.replace("/postgres?", f"/{name}?")


@pytest.fixture(scope="module")
def migrated(server_url: str) -> str:
    """The name of an empty database with the newest schema."""

    async def make() -> str:
        url = await new_database(server_url)
        await schema.ensure_postgres(url, 5.0)
        return url.split("@/")[1].split("?")[0]

    return asyncio.run(make())


@pytest.fixture(scope="module")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "balto.sqlite"
    schema.ensure_sqlite(path)
    return path


@pytest.fixture
async def bare_url(server_url: str) -> str:
    """An empty database of its own for each test."""
    return await new_database(server_url)


@pytest.fixture
async def url(server_url: str, migrated: str) -> str:
    """A migrated database of its own for each test."""
    return await new_database(server_url, migrated)


def postgres(url: str, **given: Any) -> PostgresStore:
    async def find_url() -> str:
        return url

    async def migrate(url: str) -> None:
        await schema.ensure_postgres(url, 5.0)

    return PostgresStore(TelemetrySettings(**given), find_url, migrate)


@pytest.fixture(params=["postgres", "sqlite"])
async def store(
    request: pytest.FixtureRequest, url: str, migrated_file: Path, tmp_path: Path
) -> AsyncIterator[SqlStore]:
    if request.param == "postgres":
        opened: Any = postgres(url)
    else:
        opened = SqliteStore(Path(shutil.copy(migrated_file, tmp_path)))
    yield opened
    await opened.close()


async def test_every_field_comes_back_as_it_was_measured(store: Any):
    record = full_interaction()
    assert await store.write([row(record)]) == 1
    [back] = await store.interactions()
    expected = {**asdict(record), "band_energies_db": [-12.5, -30.0], "recorded_at": NOW}
    assert back == {**expected, "happened_at": record.speech_ended_at}
    assert back["stt_ready_at"].microsecond != 0


async def test_rows_written_again_change_nothing(store: Any):
    first = full_interaction(text="a")
    feedback = Feedback("f-1", "sg-1", "it-1", "vendida", "b-1", "s-1", NOW)
    assert await store.write([row(first), row(feedback)]) == 2
    again = full_interaction(interaction_id=first.interaction_id, text="b")
    assert await store.write([row(again), row(again), row(full_interaction()), row(feedback)]) == 1
    assert sorted(r["text"] for r in await store.interactions()) == sorted(["a", SAMPLES["str"]])


async def test_a_batch_with_a_row_at_fault_is_refused_whole_and_its_text_is_not_told(store: Any):
    bad = full_interaction(first_sample=1 << 70, text="dor de cabeça")
    with pytest.raises(StoreRefused) as caught:
        await store.write([row(full_interaction()), row(bad)])
    assert "cabeça" not in str(caught.value)
    assert await store.interactions() == []


async def test_rows_of_an_unknown_kind_are_refused(store: Any):
    with pytest.raises(StoreRefused):
        await store.write([Row("x:1", "invented", "s", 0, "{}")])


async def test_clients_and_counters_are_registered_found_and_revoked(store: Any):
    client = await store.create_client(" Dona@Farmacia.com ", "Farmácia São João", "11 99999-0000")
    assert (client.email, len(client.code)) == ("dona@farmacia.com", 12)
    with pytest.raises(EmailTaken):
        await store.create_client("dona@farmacia.com", "Outra", "")
    assert await store.find_client(client.code) == client
    assert await store.find_client("nope") is None

    key = hashlib.sha256(b"bk_1").hexdigest()
    counter = await store.create_counter(client.code, "Balcão 1", key)
    assert await store.find_counter(key) == counter
    assert await store.find_counter("00") is None
    with pytest.raises(UnknownClient):
        await store.create_counter("nope", "Balcão 2", "k2")
    with pytest.raises(KeyTaken):
        await store.create_counter(client.code, "Balcão 2", key)

    await store.set_vad_settings(counter.counter_id, {"threshold_multiplier": 1.5})
    await store.revoke_counter(counter.counter_id)
    found = await store.find_counter(key)
    assert (found.revoked, found.vad_settings) == (True, {"threshold_multiplier": 1.5})
    assert await store.counters_of(client.code) == [found]
    await store.set_vad_settings(counter.counter_id, None)
    assert (await store.find_counter(key)).vad_settings is None
    for question in (store.revoke_counter("nope"), store.set_vad_settings("nope", {})):
        with pytest.raises(UnknownCounter):
            await question
    with pytest.raises(UnknownClient):
        await store.counters_of("nope")


async def test_interactions_are_listed_newest_first_by_counter_client_session_and_time(store: Any):
    records = [
        full_interaction(
            interaction_id=f"i-{n}",
            counter_id=f"b-{n % 2}",
            client_id=f"c-{n % 3}",
            session_id=f"s-{n}",
            speech_ended_at=NOW + timedelta(seconds=n),
        )
        for n in range(6)
    ]
    await store.write([row(record) for record in records])

    async def listed(*args: Any, **filters: Any) -> list[str]:
        return [r["interaction_id"] for r in await store.interactions(*args, **filters)]

    assert await listed() == ["i-5", "i-4", "i-3", "i-2", "i-1", "i-0"]
    assert await listed(2, 1) == ["i-4", "i-3"]
    assert await listed(counter_id="b-1") == ["i-5", "i-3", "i-1"]
    assert await listed(client_id="c-0", counter_id="b-1") == ["i-3"]
    assert await listed(session_id="s-2") == ["i-2"]
    assert await listed(since=NOW + timedelta(seconds=4)) == ["i-5", "i-4"]
    assert await listed(1, before=NOW + timedelta(seconds=4)) == ["i-3"]
    assert await listed(counter_id="b-9") == []


FIGURES = {
    "balcao_id": "b-1",
    "interacoes": 6,
    "por_desfecho": {"descartado": 1, "sugerido": 5},
    "atraso": {"amostras": 5, "p50_ms": 300.0, "p95_ms": 480.0, "max_ms": 500.0},
    "custo_stt_usd": 0.005,
    "custo_llm_usd": 0.01,
    "audio_s": 10.5,
    "retornos": {"aceita": 2, "vendida": 1},
}


async def test_the_figures_of_a_counter_are_the_same_from_either_database(store: Any):
    shown = [
        full_interaction(
            counter_id="b-1",
            outcome="sugerido",
            speech_ended_at=NOW,
            sent_to_counter_at=NOW + timedelta(milliseconds=100 * n),
            duration_s=2.0,
            stt_cost_usd=0.001,
            advisor_cost_usd=0.002,
        )
        for n in range(1, 6)
    ]
    discarded = full_interaction(
        counter_id="b-1",
        outcome="descartado",
        sent_to_counter_at=None,
        duration_s=0.5,
        stt_cost_usd=None,
        advisor_cost_usd=None,
    )
    elsewhere = full_interaction(counter_id="b-2")
    told = [Feedback(f"f-{n}", "sg", "it", "aceita", "b-1", "s", NOW) for n in range(2)]
    sold = Feedback("f-9", "sg", "it", "vendida", "b-1", "s", NOW)
    await store.write([row(record) for record in (*shown, discarded, elsewhere, *told, sold)])
    assert await store.counter_metrics("b-1") == FIGURES
    empty = await store.counter_metrics("b-1", since=NOW + timedelta(days=1))
    assert (empty["interacoes"], empty["atraso"]["p50_ms"], empty["custo_stt_usd"]) == (0, None, 0)


async def test_a_sessions_rows_are_found_for_its_resumption(store: Any):
    await store.write(
        [
            row(full_interaction(session_id="s-1", first_sample=0, end_sample=100, suggestion_id="sg-1", text="")),
            row(full_interaction(session_id="s-1", first_sample=None, end_sample=None, suggestion_id=None, text="x")),
            row(full_interaction(session_id="s-2")),
        ]
    )
    found = await store.session_rows("s-1")
    assert {r["counter_id"] for r in (*found.utterances, *found.texts)} == {SAMPLES["str"]}
    assert [r["end_sample"] for r in found.utterances] == [100]
    assert [r["suggestion_id"] for r in found.suggestions] == ["sg-1"]
    assert [r["text"] for r in found.texts] == ["x"]


async def test_migrations_run_once_whoever_starts_and_again_change_nothing(bare_url: str):
    await asyncio.gather(*(schema.ensure_postgres(bare_url, 5.0) for _ in range(3)))
    await schema.ensure_postgres(bare_url, 5.0)
    connection = await asyncpg.connect(bare_url)
    try:
        assert await connection.fetch("SELECT version_num FROM alembic_version") == [(schema.HEAD,)]
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        assert {r[0] for r in tables} >= {"alembic_version", "interacoes", "retornos", "clientes", "balcoes"}
        kinds = await connection.fetch(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'interacoes'"
        )
        by_name = {r[0]: r[1] for r in kinds}
        assert {by_name[n] for n in by_name if n.endswith("_at")} == {"timestamp with time zone"}
        assert {by_name[n] for n in STRUCTURES} == {"jsonb"}
    finally:
        await connection.close()


def test_the_newest_migration_is_the_one_that_the_software_expects():
    modules = Path(schema.__file__).parent.joinpath("migrations", "versions").glob("v*.py")
    assert max(path.name[1:5] for path in modules) == schema.HEAD


async def test_a_schema_newer_than_the_software_is_used_as_it_is(url: str, caplog: pytest.LogCaptureFixture):
    await schema.ensure_postgres(url, 5.0)
    connection = await asyncpg.connect(url)
    await connection.execute("UPDATE alembic_version SET version_num = '0999'")
    await connection.close()
    with caplog.at_level(logging.WARNING, "balto"):
        await schema.ensure_postgres(url, 5.0)
    assert "schema_newer_than_software revision=0999" in caplog.text


async def test_migrations_that_fail_are_unavailability_without_the_urls_password(bare_url: str, tmp_path: Path):
    connection = await asyncpg.connect(bare_url)
    await connection.execute("CREATE TABLE balcoes (x int)")
    await connection.close()
    store = postgres(bare_url)
    with pytest.raises(StoreUnavailable, match="migration: ProgrammingError"):
        await store.ping()
    with pytest.raises(StoreUnavailable):
        await asyncio.to_thread(schema.ensure_sqlite, tmp_path / "nowhere" / "x.sqlite")


async def test_no_server_is_unavailability_and_soon(tmp_path: Path):
    store = postgres(f"postgresql://postgres:segredo@/postgres?host={tmp_path}")
    with pytest.raises(StoreUnavailable) as caught:
        await asyncio.wait_for(store.ping(), 2)
    assert "segredo" not in str(caught.value)
    with pytest.raises(StoreUnavailable, match="away"):
        await asyncio.wait_for(store.ping(), 0.2)


async def test_a_stopped_database_loses_no_row_and_doubles_none(data_dir: Path, url: str, tmp_path: Path):
    settings = TelemetrySettings(
        database_url=SecretStr(url), state_dir=tmp_path, flush_interval_ms=10, retry_max_s=0.5, batch_max_rows=50
    )
    telemetry = Telemetry(settings)
    await telemetry.record([full_interaction(interaction_id=f"i-{n}") for n in range(20)])
    await until(lambda health: health["outbox_rows"] == 0, telemetry)
    await asyncio.to_thread(embedded.stop, data_dir)
    try:
        for n in range(20, 320, 10):  # ten counters, one row each at a time
            await asyncio.gather(
                *(telemetry.record([full_interaction(interaction_id=f"i-{n + m}")]) for m in range(10))
            )
        health = await telemetry.health()
        assert (health["database_up"], health["outbox_rows"]) == (False, 300)
        with pytest.raises(StoreUnavailable):
            await telemetry.find_counter("00")
    finally:
        await asyncio.to_thread(embedded.start, data_dir)
    await until(lambda health: health["outbox_rows"] == 0, telemetry)
    back = await telemetry.interactions(1000)
    assert sorted(r["interaction_id"] for r in back) == sorted(f"i-{n}" for n in range(320))
    assert (await telemetry.health())["rows_written"] == 320
    await telemetry.close()


async def test_a_database_absent_at_the_start_gets_its_schema_and_its_rows_when_it_comes(
    data_dir: Path, bare_url: str, tmp_path: Path
):
    await asyncio.to_thread(embedded.stop, data_dir)
    try:
        telemetry = Telemetry(TelemetrySettings(database_url=SecretStr(bare_url), state_dir=tmp_path, retry_max_s=0.5))
        await asyncio.wait_for(telemetry.record([full_interaction(interaction_id="i-1")]), 2)
    finally:
        await asyncio.to_thread(embedded.start, data_dir)
    await until(lambda health: health["outbox_rows"] == 0, telemetry)
    assert [r["interaction_id"] for r in await telemetry.interactions()] == ["i-1"]
    await telemetry.close()


async def test_a_row_at_fault_does_not_hold_up_the_others_in_a_real_database(url: str, tmp_path: Path):
    settings = TelemetrySettings(database_url=SecretStr(url), state_dir=tmp_path, row_max_attempts=1)
    telemetry = Telemetry(settings)
    await telemetry.record(
        [
            full_interaction(interaction_id="i-1"),
            full_interaction(interaction_id="i-2", frames=1 << 70),
            full_interaction(interaction_id="i-3"),
        ]
    )
    await until(lambda health: health["outbox_rows"] == 0, telemetry)
    health = await telemetry.health()
    assert (health["rows_written"], health["rows_set_aside"]) == (2, 1)
    await telemetry.close()


async def test_two_replicas_share_one_sqlite_file(tmp_path: Path):
    settings = TelemetrySettings(store="sqlite", state_dir=tmp_path, flush_interval_ms=10)
    replicas = [Telemetry(settings), Telemetry(settings)]
    await asyncio.gather(
        *(
            replica.record([full_interaction(interaction_id=f"{n}-{m}") for m in range(50)])
            for n, replica in enumerate(replicas)
        )
    )
    for replica in replicas:
        await until(lambda health: health["outbox_rows"] == 0, replica)
    assert len(await replicas[0].interactions(1000)) == 100
    await asyncio.gather(*(replica.close() for replica in replicas))
    assert (tmp_path / "balto.sqlite").stat().st_mode & 0o077 == 0


async def until(condition: Any, telemetry: Telemetry) -> None:
    """Wait until the stage's health is as asked, 20 s at most."""
    for _ in range(400):
        if condition(await telemetry.health()):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(await telemetry.health())
