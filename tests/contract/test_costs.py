"""What was spent, by client and day: the same in both databases, and for a client only its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from deployments.telemetry.records import Interaction
from deployments.telemetry.rows import encode
from deployments.telemetry.sqlite import SqliteStore
from deployments.telemetry.store import SqlStore
from tests.support.databases import new_database, postgres_server, postgres_store
from tests.support.rest import migrated_file, rest

MIDNIGHT = datetime(2026, 11, 22, 3, 0, tzinfo=timezone.utc)
"""In Brasília."""


def spent(name: str, client_id: str, at: datetime, stt: float | None = 0.001, llm: float | None = None) -> Interaction:
    return Interaction(
        name, client_id, "balcao", "sessao", name, "no", "1", "sugerido",
        segment_emitted_at=at, speech_ended_at=at, audio_received_at=at, duration_s=2.5, stt_cost_usd=stt,
        advisor_cost_usd=llm, advisor_tokens_in=100 if llm else None, advisor_tokens_out=10 if llm else None,
    )  # fmt: skip


ROWS = [
    spent("1", "a", MIDNIGHT - timedelta(seconds=1), 0.5),
    spent("2", "a", MIDNIGHT, 0.001, 0.002),
    spent("3", "a", MIDNIGHT + timedelta(hours=20)),
    spent("4", "b", MIDNIGHT + timedelta(hours=1), None, None),
]


@pytest.fixture(scope="module")
def server_url() -> Iterator[str]:
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SqlStore]:
    if request.param == "sqlite":
        one: SqlStore = SqliteStore(migrated_file(tmp_path))
    else:
        one = postgres_store(await new_database(request.getfixturevalue("server_url")))
    await one.write([encode(row, row.speech_ended_at) for row in ROWS])
    yield one
    await one.close()


async def test_costs_are_added_up_by_client_and_brasilias_day(store: SqlStore) -> None:
    found = await store.costs(MIDNIGHT - timedelta(days=1))
    assert [(cost.day, cost.client_id, cost.interactions) for cost in found] == [
        ("2026-11-21", "a", 1),
        ("2026-11-22", "a", 2),
        ("2026-11-22", "b", 1),
    ]
    assert found[1].usd == pytest.approx(0.004)
    assert (found[1].audio_s, found[1].tokens_in, found[1].tokens_out) == (5.0, 100, 10)
    assert found[2].usd == 0


async def test_a_day_may_begin_at_another_hour_and_one_client_may_be_asked_for(store: SqlStore) -> None:
    found = await store.costs(MIDNIGHT - timedelta(days=1), 0, "a")
    assert [(cost.day, cost.interactions) for cost in found] == [("2026-11-22", 3)]


async def test_a_client_sees_its_own_costs_and_the_administrator_everybodys(tmp_path: Path) -> None:
    now = datetime.now(timezone.utc)
    async with rest(tmp_path) as served:
        ours, theirs = (served.clients[who].client_id for who in ("a", "b"))
        await served.records.record([spent("1", ours, now, 0.25), spent("2", theirs, now, 0.5)])

        async def seen(who: str, **query: str) -> dict[str, float]:
            headers = await served.session(who)
            for _ in range(100):
                answer = (await served.http.get("/api/data/gastos", headers=headers, params=query)).json()
                if answer["gastos"]:
                    break
            return {day["cliente"]: day["custo_stt_usd"] for day in answer["gastos"]}

        assert await seen("administrador") == {ours: 0.25, theirs: 0.5}
        assert await seen("administrador", cliente=theirs) == {theirs: 0.5}
        assert await seen("a", cliente=theirs) == {ours: 0.25}
