"""The console's figures, the same from both databases: counted from the rows, and counted anew when rows change."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from deployments.metrics import NoMetrics
from deployments.telemetry import schema
from deployments.telemetry.console_queries import Search, View
from deployments.telemetry.records import Feedback, Interaction
from deployments.telemetry.rollups import Rollups
from deployments.telemetry.rows import encode
from deployments.telemetry.sqlite import SqliteStore
from deployments.telemetry.store import SqlStore
from tests.support.databases import new_database, postgres_server, postgres_store
from tests.support.rest import migrated_file

START = datetime(2026, 11, 20, 3, tzinfo=timezone.utc)
"""Midnight in Brasília."""
DAY = View(START, START + timedelta(days=2))


async def migrated_database(server_url: str) -> str:
    """The name of a database with the newest schema, for others to be made of."""
    url = await new_database(server_url)
    await schema.ensure_postgres(url, 30.0)
    return url.partition("?")[0].rsplit("/", 1)[1]


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, list[str]]]:
    """A server's URL, and the name of a migrated database in it, once there is one."""
    with postgres_server() as url:
        yield url, []


@pytest.fixture(params=["postgres", "sqlite"])
async def store(request, tmp_path) -> AsyncIterator[SqlStore]:
    if request.param == "postgres":
        url, templates = request.getfixturevalue("server")
        templates[:] = templates or [await migrated_database(url)]
        store: SqlStore = postgres_store(await new_database(url, *templates))
    else:
        store = SqliteStore(migrated_file(tmp_path))
    yield store
    await store.close()
    shutil.rmtree(tmp_path, ignore_errors=True)


def row(number: int, minute: int = 0, **given) -> Interaction:
    """An interaction of counter c-1 of client k-1, `minute` minutes after START."""
    at = START + timedelta(minutes=minute)
    ids = {"interaction_id": f"i-{number}", "client_id": "k-1", "counter_id": "c-1", "session_id": "s-1"}
    rest = {"utterance_id": f"u-{number}", "node": "n", "software_version": "4", "outcome": "nada"}
    return Interaction(**{**ids, **rest, "speech_ended_at": at, **given})


def shown(number: int, minute: int = 0, delay_ms: int = 40, **given) -> Interaction:
    """A suggestion of cesta FEBRE that reached the counter."""
    ended = START + timedelta(minutes=minute)
    what = {"outcome": "sugerido", "suggestion_id": f"g-{number}", "cesta": "FEBRE"}
    sent = {"sent_to_counter_at": ended + timedelta(milliseconds=delay_ms), "stt_cost_usd": 0.002}
    return row(number, minute, **{**what, **sent, **given})


def told(number: int, result: str, item: str = "soro", counter_id: str = "c-1") -> Feedback:
    at = START + timedelta(hours=30)
    return Feedback(f"f-{number}-{result}-{item}", f"g-{number}", item, result, counter_id, "s-1", at)


async def write(store: SqlStore, *records: Interaction | Feedback, recorded_at: datetime = START) -> None:
    await store.write([encode(record, recorded_at) for record in records])
    await Rollups(store, NoMetrics(), 60.0).run_once()


async def test_volume_and_cost_fall_into_the_hours_they_belong_to(store):
    await write(store, row(1), row(2, 59), shown(3, 60), row(4, 61, outcome="vazio", counter_id="c-2"))
    hours = await store.volume(DAY, 3600)
    assert [(hour["slot"], hour["interactions"], hour["sugerido"], hour["vazio"]) for hour in hours] == [
        (0, 2, 0, 0),
        (1, 2, 1, 1),
    ]
    assert hours[1]["stt_usd"] == pytest.approx(0.002)
    [day] = await store.volume(DAY, 86_400)
    assert day["interactions"] == 4
    assert await store.volume(replace(DAY, counter_id="c-2"), 86_400) == [
        {**day, "interactions": 1, "nada": 0, "sugerido": 0, "stt_usd": 0.0}
    ]
    assert await store.figures_behind() == 0


async def test_delays_are_counted_in_steps_of_ten_milliseconds_below_a_second(store):
    await write(store, *(shown(n, 0, delay_ms) for n, delay_ms in enumerate((9, 41, 49, 990, 1_250, 70_000))))
    buckets = {found["bucket_ms"]: found["n"] for found in await store.delays(DAY, 86_400)}
    assert buckets == {0: 1, 40: 2, 990: 1, 1_200: 1, 60_000: 1}


async def test_a_suggestion_counts_once_whatever_the_counter_reports_of_it(store):
    await write(store, shown(1), shown(2), shown(3, 90, cesta="GRIPE", counter_id="c-2"))
    first = (told(1, "aceita"), told(1, "vendida"), told(1, "vendida", "agua"))
    await write(store, *first, told(2, "recusada"), told(3, "vendida", counter_id="c-9"))
    tables = await store.suggestions(DAY)
    febre, gripe = ({name: row[name] for name in ("cesta", "shown", "accepted", "sold")} for row in tables.by_cesta)
    assert febre == {"cesta": "FEBRE", "shown": 2, "accepted": 1, "sold": 1}
    assert gripe == {"cesta": "GRIPE", "shown": 1, "accepted": 0, "sold": 0}  # reported by a counter it was not sent to
    assert [(row["hour"], row["shown"]) for row in tables.by_hour] == [(0, 2), (1, 1)]
    assert [(row["counter_id"], row["refused"]) for row in tables.by_counter] == [("c-1", 1), ("c-2", 0)]


async def test_an_erased_session_leaves_the_figures(store):
    await write(store, row(1), row(2, session_id="s-2", counter_id="c-2"), shown(3), told(3, "aceita"))
    await store.erase_session("s-1", START + timedelta(days=3))
    await Rollups(store, NoMetrics(), 60.0).run_once()
    [day] = await store.volume(DAY, 86_400)
    assert (day["interactions"], day["sugerido"]) == (1, 0)
    assert (await store.suggestions(DAY)).by_cesta == []


async def test_uplift_compares_the_two_orders_and_leaves_simulated_words_out(store):
    learned = [shown(n, ordering="aprendida") for n in range(10)]
    kept = [shown(n, ordering="mantida") for n in range(10, 20)]
    simulated = [shown(n, ordering="mantida", simulated=True) for n in range(20, 40)]
    await write(store, *learned, *kept, *simulated, *(told(n, "vendida") for n in (0, 1, 2, 3, 10, *range(20, 40))))
    uplift = (await store.suggestions(DAY)).uplift
    assert (uplift.learned, uplift.kept, uplift.suggestions) == (0.4, 0.1, 20)
    assert uplift.low < 0.3 < uplift.high


async def test_what_the_gate_held_back_is_counted_by_rule_and_item(store):
    held = [{"item_id": "aas", "rule_id": "dengue"}, {"item_id": "ibu", "rule_id": "dengue"}]
    await write(store, row(1, outcome="bloqueado", blocked=held), shown(2, blocked=held[:1]), row(3))
    assert await store.blocks(DAY) == [
        {"rule_id": "dengue", "item_id": "aas", "n": 2},
        {"rule_id": "dengue", "item_id": "ibu", "n": 1},
    ]


async def test_search_finds_beginnings_of_words_with_or_without_accents_and_pages_back(store):
    texts = ("estou com dor de cabeça", "cabeca doendo muito", "quero um sabonete", "")
    await write(store, *(row(n, n, text=text) for n, text in enumerate(texts)))
    await write(store, row(9, 0, text="dor de cabeça", client_id="k-2"))
    mine = replace(DAY, client_id="k-1")

    async def found(*words: str, **more) -> list[str]:
        return [r["interaction_id"] for r in await store.search(mine, Search(words, **more), 10)]

    assert await found("cabe") == ["i-1", "i-0"]
    assert await found("dor", "cabeca") == ["i-0"]
    assert await found("ete") == []
    assert await found(outcome="nada", older_than=(START + timedelta(minutes=2), "i-2")) == ["i-1", "i-0"]


async def test_the_latest_are_those_recorded_since_and_one_is_shown_whole(store):
    await write(store, shown(1), told(1, "aceita"), told(1, "vendida", counter_id="another's"))
    await write(store, row(2), recorded_at=START + timedelta(seconds=5))
    assert [r["interaction_id"] for r in await store.latest(START, 10)] == ["i-2"]
    whole = await store.interaction("i-1")
    assert (whole["cesta"], [report["result"] for report in whole["retornos"]]) == ("FEBRE", ["aceita"])
    assert await store.interaction("none") is None
