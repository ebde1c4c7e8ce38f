"""What became of suggestions, counted by both databases alike."""

from datetime import datetime, timedelta, timezone

import pytest

from cestas.ordering import Tally
from deployments.telemetry.records import Feedback, Interaction
from deployments.telemetry.rows import encode
from deployments.telemetry.sqlite import SqliteStore
from tests.support.databases import new_database, postgres_server, postgres_store

NOW = datetime.now(timezone.utc)


def suggestion(number, *items, client="rede", cesta="DOR/CABECA", ordering="", days_ago=1, **given):
    values = {
        "interaction_id": f"i{number}",
        "client_id": client,
        "counter_id": "balcao",
        "session_id": "s",
        "utterance_id": f"u{number}",
        "node": "n",
        "software_version": "4",
        "outcome": "sugerido",
        "speech_ended_at": NOW - timedelta(days=days_ago),
        "cesta": cesta,
        "ordering": ordering,
        "suggestion_id": f"sug{number}",
        "items": [{"id": item, "suggestion": item} for item in items],
    }
    return Interaction(**{**values, **given})


def outcome(number, item, result="aceita", counter="balcao", again=""):
    return Feedback(f"f{number}{item}{result}{again}", f"sug{number}", item, result, counter, "s", NOW)


async def written(store, *records):
    await store.write([encode(record, NOW) for record in records])


@pytest.fixture(scope="module")
def server():
    with postgres_server() as url:
        yield url


@pytest.fixture(params=["postgres", "sqlite"])
async def store(request, tmp_path, server):
    if request.param == "sqlite":
        opened = SqliteStore(tmp_path / "balto.sqlite")
    else:
        opened = postgres_store(await new_database(server))
    yield opened
    await opened.close()


async def test_items_are_counted_as_shown_and_as_taken_once_by_their_own_counter(store):
    await written(
        store,
        suggestion(1, "agua", "cha"),
        suggestion(2, "agua", "gel"),
        suggestion(3, "agua", client="outra"),
        suggestion(4, "agua", days_ago=40),
        suggestion(5, "agua", simulated=True),
        suggestion(6, "agua", suggestion_id=None),
        outcome(1, "agua"),
        outcome(1, "agua", "vendida"),
        outcome(1, "cha", "recusada"),
        outcome(2, "agua", counter="de outro balcao"),
        outcome(2, "gel", "vendida"),
        outcome(2, ""),
    )
    assert await store.item_tallies("rede", NOW - timedelta(days=30)) == {
        "DOR/CABECA": {"agua": Tally(2, 1), "cha": Tally(1, 0), "gel": Tally(1, 1)}
    }
    assert await store.item_tallies("nenhuma", NOW - timedelta(days=30)) == {}


async def test_the_learned_order_is_compared_with_the_kept_one_within_each_cesta(store):
    learned = [suggestion(n, "a", "b", ordering="aprendida") for n in range(40)]
    kept = [suggestion(100 + n, "b", "a", ordering="mantida") for n in range(10)]
    unlearned = [suggestion(200 + n, "a", ordering="") for n in range(5)]
    taken = [outcome(n, "a") for n in range(20)] + [outcome(n, "b") for n in range(10)] + [outcome(100, "a")]
    await written(store, *learned, *kept, *unlearned, *taken)
    found = await store.order_uplift(NOW - timedelta(days=30))
    assert found is not None
    assert (found.learned, found.kept, found.suggestions) == (pytest.approx(30 / 40), pytest.approx(0.1), 50)
    assert found.difference == pytest.approx(0.65)
    assert found.low < found.difference < found.high
    assert await store.order_uplift(NOW - timedelta(days=30), "outra") is None
