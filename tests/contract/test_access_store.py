"""Both databases, real ones, keep passwords, secrets, sessions and the log of acts in the same way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from deployments.telemetry import schema
from deployments.telemetry.access import Act, Credential, Standing
from deployments.telemetry.errors import UnknownCounter
from deployments.telemetry.sqlite import SqliteStore
from deployments.telemetry.store import SqlStore
from tests.support.databases import new_database, postgres_server, postgres_store
from tests.support.rest import migrated_file

NOW = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(scope="module")
def migrated(server_url: str) -> str:
    """The name of an empty database with the newest schema."""

    async def make() -> str:
        url = await new_database(server_url)
        await schema.ensure_postgres(url, 5.0)
        return url.split("@/")[1].split("?")[0]

    return asyncio.run(make())


@pytest.fixture(params=["postgres", "sqlite"])
async def store(
    request: pytest.FixtureRequest, server_url: str, migrated: str, tmp_path: Path
) -> AsyncIterator[SqlStore]:
    if request.param == "postgres":
        opened: SqlStore = postgres_store(await new_database(server_url, migrated))
    else:
        opened = SqliteStore(migrated_file(tmp_path))
    yield opened
    await opened.close()  # type: ignore[attr-defined]


async def test_a_password_changes_only_from_the_version_that_was_read(store):
    assert await store.credential("a") == Credential("a")
    both = await asyncio.gather(store.set_password("a", "h1", 0), store.set_password("a", "h2", 0))
    assert sorted(both) == [False, True]
    assert not await store.set_password("a", "h3", 7)
    assert await store.set_password("a", "h3", 1)
    assert await store.credential("a") == Credential("a", "h3", 2)
    assert await store.standing("a", "s-1") == Standing(2, ended=False)


async def test_a_secret_of_the_service_is_the_same_for_all_who_ask_at_once(store):
    told = await asyncio.gather(*(store.secret("assinatura", f"{n}") for n in range(4)))
    assert len(set(told)) == 1
    assert await store.secret("assinatura", "later") == told[0]


async def test_a_one_time_secret_works_once_in_time_and_the_newest_only(store):
    soon = datetime.now(timezone.utc) + timedelta(minutes=1)
    await store.put_one_time("x", "older", soon)
    await store.put_one_time("x", "newer", soon)
    assert not await store.take_one_time("x", "older")
    assert sorted(await asyncio.gather(store.take_one_time("x", "newer"), store.take_one_time("x", "newer"))) == [
        False,
        True,
    ]
    await store.put_one_time("x", "late", datetime.now(timezone.utc) - timedelta(seconds=1))
    assert not await store.take_one_time("x", "late")


async def test_an_ended_session_is_remembered_until_its_time_and_then_forgotten(store):
    soon = datetime.now(timezone.utc) + timedelta(minutes=1)
    await store.end_session("s-old", datetime.now(timezone.utc) - timedelta(seconds=1))
    await store.end_session("s-1", soon)
    await store.end_session("s-1", soon)
    ended = [(await store.standing("a", session)).ended for session in ("s-1", "s-2", "s-old")]
    assert ended == [True, False, False]


async def test_clients_and_counters_are_searched_and_paged_by_name(store):
    clients = [await store.create_client(f"c{n}@x.example", f"Rede {n} 100%", "1") for n in range(3)]
    counters = [await store.create_counter(clients[0].code, f"Caixa_{n}", f"h{n}") for n in range(3)]
    await store.revoke_counter(counters[2].counter_id)

    page = await store.clients("REDE", 2, 0)
    assert (page.total, [row["company"] for row in page.rows]) == (3, ["Rede 0 100%", "Rede 1 100%"])
    assert page.rows[0]["counters"] == 2
    assert page.rows[0]["created_at"].tzinfo is not None
    assert [row["company"] for row in (await store.clients("", 2, 2)).rows] == ["Rede 2 100%"]
    assert [row["code"] for row in (await store.clients(clients[1].code, 9, 0)).rows] == [clients[1].code]
    assert (await store.clients("c2@x", 9, 0)).total == 1
    assert (await store.clients("100%", 9, 0)).total == 3
    assert (await store.clients("1%0", 9, 0)).total == 0

    found = await store.counters("caixa_1", "", 9, 0)
    assert [(row["name"], row["revoked"], row["code"]) for row in found.rows] == [("Caixa_1", False, clients[0].code)]
    assert (await store.counters("", clients[0].client_id, 9, 0)).total == 3
    assert (await store.counters("", clients[1].client_id, 9, 0)).total == 0
    assert (await store.counters("caixa-1", "", 9, 0)).total == 0


async def test_a_new_key_opens_the_door_and_the_old_one_and_a_revoked_one_do_not(store):
    client = await store.create_client("c@x.example", "Rede", "1")
    counter = await store.create_counter(client.code, "Caixa", "old")
    other = await store.create_counter(client.code, "Outro", "other")
    assert await store.live_keys(["old", "other", "never"]) == ["old", "other"]
    await store.revoke_counter(other.counter_id)
    await store.rotate_key(counter.counter_id, "new")
    assert await store.live_keys(["old", "new", "other"]) == ["new"]
    assert (await store.find_counter_by_id(counter.counter_id)).key_hash == "new"
    await store.rotate_key(other.counter_id, "other2")
    assert await store.live_keys([f"k{n}" for n in range(1200)] + ["other2"]) == ["other2"]
    with pytest.raises(UnknownCounter):
        await store.rotate_key("nope", "x")
    assert await store.find_client_by_email(" C@X.example ") == client
    assert await store.find_client_by_id(client.client_id) == client
    assert (await store.find_client_by_id("x"), await store.find_counter_by_id("x")) == (None, None)


async def test_acts_are_listed_newest_first_with_their_details(store):
    for n in range(3):
        await store.write_act(Act("administrador", f"ato {n}", "alvo", "::1", NOW + timedelta(seconds=n), {"n": "ção"}))
    page = await store.acts(2, 1)
    assert page.total == 3
    assert [(row["action"], row["details"], row["happened_at"]) for row in page.rows] == [
        ("ato 1", {"n": "ção"}, NOW + timedelta(seconds=1)),
        ("ato 0", {"n": "ção"}, NOW),
    ]
