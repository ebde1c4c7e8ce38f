"""Both databases forget what is old, what was erased stays erased, and a session can be given out whole."""

from __future__ import annotations

import asyncio
import json
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from deployments.metrics import NoMetrics
from deployments.telemetry import schema
from deployments.telemetry.access import Act
from deployments.telemetry.erasure import RETENTION_LOCK_KEY
from deployments.telemetry.records import Feedback, Interaction
from deployments.telemetry.retention import Retention, RetentionSettings
from deployments.telemetry.rows import encode
from deployments.telemetry.settings import TelemetrySettings
from deployments.telemetry.sqlite import SqliteStore
from deployments.telemetry.stage import Telemetry
from tests.support.databases import new_database, postgres_server, postgres_store

NOW = datetime(2026, 11, 22, 12, tzinfo=timezone.utc)


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def interaction(name: str, at: datetime, **fields: Any) -> Interaction:
    known: dict[str, Any] = {
        "interaction_id": name,
        "client_id": "c-1",
        "counter_id": "b-1",
        "session_id": "s-1",
        "utterance_id": name,
        "node": "n-1",
        "software_version": "4",
        "outcome": "sugerido",
        "speech_ended_at": at,
        "text": "dor de cabeça",
        "entities": {"symptoms": ["dor de cabeca"]},
        "duration_s": 2.0,
    }
    return Interaction(**{**known, **fields})


def feedback(name: str, at: datetime, session_id: str = "s-1") -> Feedback:
    return Feedback(name, "sg-1", "it-1", "vendida", "b-1", session_id, at)


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="module")
def database(server_url: str) -> str:
    """One database for the module; tests use sessions of their own or empty it."""
    return asyncio.run(new_database(server_url))


@pytest.fixture(scope="module")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "balto.sqlite"
    schema.ensure_sqlite(path)
    return path


@pytest.fixture(params=["postgres", "sqlite"])
async def store(
    request: pytest.FixtureRequest, database: str, migrated_file: Path, tmp_path: Path
) -> AsyncIterator[Any]:
    file = SqliteStore(Path(shutil.copy(migrated_file, tmp_path)))
    opened: Any = postgres_store(database) if request.param == "postgres" else file
    for table in ("interacoes", "retornos", "auditoria", "sessoes_apagadas"):
        await opened._execute(f"DELETE FROM {table}")
    yield opened
    await opened.close()


async def write(store: Any, *records: Interaction | Feedback) -> int:
    return await store.write([encode(record, NOW) for record in records])


def job(store: Any, **settings: Any) -> Retention:
    return Retention(RetentionSettings(pause_ms=0, **settings), store, NoMetrics(), now=lambda: NOW)


async def test_old_texts_go_and_their_figures_stay_until_they_are_old_too(store: Any):
    await write(
        store,
        interaction("fresh", days_ago(89)),
        interaction("old", days_ago(91)),
        interaction("ancient", days_ago(731)),
        feedback("f-old", days_ago(100)),
        feedback("f-ancient", days_ago(731)),
    )
    await store.write_act(Act("admin", "login", "", "", days_ago(2000)))
    gone = await job(store).run_once()
    assert gone == {"figures": 1, "text": 1, "feedback": 1, "acts": 1, "erased_sessions": 0}
    fresh, old = await store.interactions()
    assert (fresh["interaction_id"], fresh["text"], fresh["entities"]["symptoms"]) == (
        "fresh",
        "dor de cabeça",
        ["dor de cabeca"],
    )
    assert (old["interaction_id"], old["text"], old["entities"], old["duration_s"]) == ("old", "", None, 2.0)
    assert [r["feedback_id"] for r in (await store.session_contents("s-1", 10, 0)).feedback] == ["f-old"]
    assert await job(store).run_once() == dict.fromkeys(gone, 0)


async def test_many_rows_go_in_batches_and_what_has_no_term_stays(store: Any):
    await write(store, *(interaction(f"i-{n}", days_ago(800)) for n in range(25)))
    gone = await job(store, batch_max_rows=10, figures_days=None).run_once()
    assert gone is not None
    assert (gone["text"], "figures" in gone) == (25, False)
    assert {r["text"] for r in await store.interactions()} == {""}


async def test_an_erased_session_is_gone_and_its_late_rows_are_not_written(store: Any):
    await write(store, interaction("i-1", NOW), feedback("f-1", NOW), interaction("other", NOW, session_id="s-2"))
    assert await store.erase_session("s-1", NOW + timedelta(seconds=1)) == (1, 1)
    late = interaction("i-2", NOW), feedback("f-2", NOW), interaction("i-1", NOW)
    assert await write(store, *late) == 0
    later = NOW + timedelta(seconds=2)
    assert await write(store, interaction("i-3", later), feedback("f-3", later), *late) == 2
    assert {r["interaction_id"] for r in await store.interactions()} == {"other", "i-3"}
    assert await store.erase_session("s-unknown", NOW) == (0, 0)


async def test_a_session_is_given_out_with_everything_that_is_kept_of_it(store: Any):
    await write(store, interaction("i-2", NOW), interaction("i-1", days_ago(1)), feedback("f-1", NOW))
    contents = await store.session_contents("s-1", 10, 0)
    assert [r["interaction_id"] for r in contents.interactions] == ["i-1", "i-2"]
    assert contents.interactions[0]["text"] == "dor de cabeça"
    assert [r["result"] for r in contents.feedback] == ["vendida"]
    assert [r["interaction_id"] for r in (await store.session_contents("s-1", 1, 1)).interactions] == ["i-2"]


async def test_while_one_replica_is_at_it_another_leaves_it_alone(database: str):
    store = postgres_store(database)
    await store.ping()
    other = await asyncpg.connect(database)
    await other.fetchval("SELECT pg_advisory_lock($1)", RETENTION_LOCK_KEY)
    assert await job(store).run_once() is None
    await other.close()
    assert await job(store).run_once() is not None
    assert await job(store).run_once() is not None  # the lock was given back
    await store.close()


async def test_the_lock_is_given_back_when_the_job_breaks_off(database: str):
    store = postgres_store(database)

    async def breaks(execute: Any) -> None:
        await execute("UPDATE interacoes SET text = ''")
        raise RuntimeError("a fault of ours")

    with pytest.raises(RuntimeError):
        await store.exclusively(RETENTION_LOCK_KEY, breaks)
    assert await job(store).run_once() is not None
    await store.close()


@pytest.fixture
async def telemetry(tmp_path: Path) -> AsyncIterator[Telemetry]:
    """A stage that has just shipped a row of somebody else: what comes now waits in the outbox for a minute."""
    stage = Telemetry(TelemetrySettings(store="sqlite", state_dir=tmp_path, flush_interval_ms=60_000))
    await stage.record([interaction("before", datetime.now(timezone.utc), session_id=str(uuid.uuid4()))])
    for _ in range(500):
        if await stage.interactions():
            break
        await asyncio.sleep(0.01)
    yield stage
    await stage.close()


async def test_the_stage_erases_and_gives_out_what_still_waits_in_the_outbox_as_well(telemetry: Telemetry):
    session = str(uuid.uuid4())
    now = datetime.now(timezone.utc)
    await telemetry.record([interaction("a", now, session_id=session), feedback("f", now, session)])
    given = await telemetry.export_session(session)
    assert json.loads(json.dumps(given)) == given
    assert {row.get("interaction_id") for row in given["na_fila"] + given["interacoes"]} >= {"a"}
    await telemetry.erase_session(session)
    empty = {"sessao": session, "interacoes": [], "retornos": [], "mais": False, "na_fila": [], "audios": []}
    assert await telemetry.export_session(session) == empty
    await telemetry.record([interaction("a", now, session_id=session)])
    assert [row["interaction_id"] for row in (await telemetry.export_session(session))["na_fila"]] == ["a"]
    await telemetry.close()  # ships what waits


async def test_retention_runs_when_the_stage_starts(tmp_path: Path):
    path = tmp_path / "balto.sqlite"
    store = SqliteStore(path)
    await write(store, interaction("old", datetime.now(timezone.utc) - timedelta(days=91)))
    stage = Telemetry(TelemetrySettings(store="sqlite", state_dir=tmp_path))
    await stage.start()

    for _ in range(500):
        if (await store.interactions())[0]["text"] == "":
            break
        await asyncio.sleep(0.01)
    await stage.close()
    [kept] = await store.interactions()
    assert (kept["text"], kept["duration_s"]) == ("", 2.0)
    await store.close()
