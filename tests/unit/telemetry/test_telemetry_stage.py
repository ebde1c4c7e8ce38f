"""The stage records without the database, and says plainly when it cannot answer."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError
from telemetry_fakes import NOW, FakeStore, feedback, interaction

from deployments.telemetry import errors
from deployments.telemetry.errors import OutboxFailed, OutboxFull, StoreUnavailable
from deployments.telemetry.records import Counter, SessionState, Turn
from deployments.telemetry.settings import TelemetrySettings
from deployments.telemetry.stage import Telemetry
from deployments.telemetry.store import SessionRows

KEY = "ab" * 32


class Counting:
    def __init__(self) -> None:
        self.counts: dict[str, float] = {}

    def count(self, name: str, value: float = 1.0, **labels: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + value

    def observe_ms(self, name: str, value_ms: float, **labels: str) -> None:
        return None

    def gauge(self, name: str, value: float, **labels: str) -> None:
        return None


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def metrics() -> Counting:
    return Counting()


@pytest.fixture
async def telemetry(tmp_path: Path, store: FakeStore, metrics: Counting) -> AsyncIterator[Telemetry]:
    settings = TelemetrySettings(
        database_url=SecretStr("postgresql://nowhere/x"), state_dir=tmp_path, outbox_max_mb=1, flush_interval_ms=10
    )
    telemetry = Telemetry(settings, metrics, make_store=lambda _: store)
    yield telemetry
    await telemetry.close()


async def test_rows_are_recorded_while_the_database_is_away_and_arrive_when_it_is_back(
    telemetry: Telemetry, store: FakeStore
):
    store.away = True
    assert await telemetry.record([interaction(1), feedback(1)]) == 2
    health = await telemetry.health()
    assert (health["database_up"], health["outbox_rows"]) == (False, 2)
    store.away = False
    await telemetry.close()
    assert set(store.rows) == {"interaction:i-1", "feedback:f-1"}


async def test_nothing_to_record_is_nothing_recorded(telemetry: Telemetry):
    assert await telemetry.record([]) == 0
    assert (await telemetry.health())["outbox_rows"] == 0


async def test_a_full_outbox_is_a_counted_refusal(telemetry: Telemetry, store: FakeStore, metrics: Counting):
    store.away = True
    await telemetry.record([interaction(n, text="x" * 1000) for n in range(400)])
    with pytest.raises(OutboxFull):
        await telemetry.record([interaction(n, text="x" * 1000) for n in range(400, 900)])
    assert metrics.counts["telemetry_outbox_full"] == 500
    assert (await telemetry.health())["outbox_rows"] == 400


async def test_known_counters_connect_while_the_database_is_away_and_unknown_ones_hear_that_it_is(
    telemetry: Telemetry, store: FakeStore
):
    store.counters[KEY] = Counter("b-1", "c-1", "Balcão 1", KEY)
    assert await telemetry.find_counter(KEY) == store.counters[KEY]
    store.away = True
    assert (await telemetry.find_counter(KEY)) == Counter("b-1", "c-1", "Balcão 1", KEY)
    with pytest.raises(StoreUnavailable):
        await telemetry.find_counter("cd" * 32)


async def test_a_revoked_counter_is_not_remembered_as_a_good_one(telemetry: Telemetry, store: FakeStore):
    store.counters[KEY] = Counter("b-1", "c-1", "Balcão 1", KEY)
    await telemetry.find_counter(KEY)
    await telemetry.revoke_counter("b-1")
    store.away = True
    with pytest.raises(StoreUnavailable):
        await telemetry.find_counter(KEY)


async def test_a_counter_that_is_gone_is_forgotten(telemetry: Telemetry, store: FakeStore):
    store.counters[KEY] = Counter("b-1", "c-1", "Balcão 1", KEY)
    await telemetry.find_counter(KEY)
    store.counters.clear()
    assert await telemetry.find_counter(KEY) is None
    store.away = True
    with pytest.raises(StoreUnavailable):
        await telemetry.find_counter(KEY)


async def test_memory_for_counters_is_bounded(tmp_path: Path, store: FakeStore):
    settings = TelemetrySettings(state_dir=tmp_path, store="sqlite", known_counters_max=2)
    telemetry = Telemetry(settings, make_store=lambda _: store)
    for n in range(3):
        store.counters[str(n)] = Counter(f"b-{n}", "c-1", "", str(n))
        await telemetry.find_counter(str(n))
    store.away = True
    assert (await telemetry.find_counter("2")) is not None
    with pytest.raises(StoreUnavailable):
        await telemetry.find_counter("0")
    await telemetry.close()


async def test_a_resumed_session_sees_rows_that_are_still_on_their_way(telemetry: Telemetry, store: FakeStore):
    stored = {
        "interaction_id": "i-1",
        "counter_id": "b-1",
        "first_sample": 0,
        "end_sample": 16000,
        "suggestion_id": "sg-1",
        "items": [{"id": "soro"}],
        "text": "meu filho está com diarreia",
        "happened_at": NOW,
    }
    store.session = SessionRows([stored], [stored], [stored])
    store.answering.clear()  # the database takes no rows for now
    later = NOW.replace(second=30)
    await telemetry.record(
        [
            interaction(
                2,
                first_sample=20000,
                end_sample=48000,
                suggestion_id="sg-2",
                items=[{"id": "soro"}, {"id": "vitamina"}],
                text="e quero vitamina",
                speech_ended_at=later,
            ),
            interaction(3, outcome="descartado", first_sample=50000, end_sample=52000, speech_ended_at=later),
        ]
    )
    assert await telemetry.session_state("s-1") == SessionState(
        counter_id="b-1",
        last_end_sample=52000,
        utterances=((0, 16000), (20000, 48000), (50000, 52000)),
        suggestion_ids=("sg-1", "sg-2"),
        item_ids=("soro", "vitamina"),
        recent_texts=("meu filho está com diarreia", "e quero vitamina"),
        turns=(
            Turn("meu filho está com diarreia", 0.0, 1.0, ("soro",)),
            Turn("e quero vitamina", 1.25, 3.0, ("soro", "vitamina")),
        ),
    )
    store.answering.set()


async def test_an_unknown_session_is_empty(telemetry: Telemetry):
    assert await telemetry.session_state("s-unknown") == SessionState()


async def test_two_replicas_of_a_node_keep_apart_and_a_session_is_found_across_them(tmp_path: Path):
    settings = TelemetrySettings(store="sqlite", state_dir=tmp_path)
    stores = [FakeStore(), FakeStore()]
    for store in stores:
        store.answering.clear()
    one, other = (Telemetry(settings, make_store=lambda _, s=store: s) for store in stores)
    await one.record([interaction(1, end_sample=100, first_sample=0)])
    await other.record([interaction(2, end_sample=200, first_sample=100)])
    assert (await one.session_state("s-1")).last_end_sample == 200
    assert (await other.session_state("s-1")).utterances == ((0, 100), (100, 200))
    for store in stores:
        store.answering.set()
    await asyncio.gather(one.close(), other.close())


async def test_after_closing_nothing_is_accepted(telemetry: Telemetry, store: FakeStore):
    await telemetry.start()
    await telemetry.close()
    await telemetry.close()
    assert store.closed
    with pytest.raises(OutboxFailed):
        await telemetry.record([interaction(1)])


def test_every_error_crosses_processes():
    kinds = [e for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.TelemetryError)]
    assert len(kinds) == 12
    for kind in kinds:
        back = pickle.loads(pickle.dumps(kind("why")))
        assert (type(back), str(back)) == (kind, "why")


def test_settings_that_leave_the_database_to_nobody_are_refused():
    with pytest.raises(ValidationError, match="database_url"):
        TelemetrySettings(embedded_owner=False)
    with pytest.raises(ValidationError, match="outbox_max"):
        TelemetrySettings(outbox_max=3)  # type: ignore[call-arg]


def test_the_databases_password_is_not_shown():
    settings = TelemetrySettings(database_url=SecretStr("postgresql://u:segredo@h/d"))
    assert "segredo" not in repr(settings)
