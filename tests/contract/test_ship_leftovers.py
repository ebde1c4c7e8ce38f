"""What a dead telemetry replica left on a node that has none any more reaches the database."""

import pytest

from deployments.metrics import NoMetrics
from deployments.telemetry.errors import StoreUnavailable
from deployments.telemetry.opening import close_store, open_store
from deployments.telemetry.outbox import Outbox
from deployments.telemetry.rows import encode
from deployments.telemetry.settings import TelemetrySettings
from serve_app.ship import ship_leftovers
from tests.unit.telemetry.telemetry_fakes import NOW, interaction

AWAY = "postgresql://balto@127.0.0.1:9/balto"


@pytest.fixture
def settings(tmp_path):
    return TelemetrySettings(store="sqlite", state_dir=tmp_path)


async def outbox_of(settings, *numbers):
    outbox = Outbox(settings.outbox_dir, 10_000_000, NoMetrics())
    await outbox.open()
    await outbox.record([encode(interaction(number), NOW) for number in numbers])
    return outbox


async def recorded(settings):
    store = open_store(settings)
    try:
        return len(await store.interactions(100, 0))
    finally:
        await close_store(settings, store)


async def test_what_a_dead_replica_left_is_shipped_once(settings):
    await (await outbox_of(settings, 1, 2)).close()
    assert await ship_leftovers(settings) == 2
    assert await ship_leftovers(settings) == 0
    assert await recorded(settings) == 2


async def test_a_living_replica_keeps_its_own_rows(settings):
    living = await outbox_of(settings, 1)
    try:
        assert await ship_leftovers(settings) == 0
        assert (await living.stats()).waiting == 1
    finally:
        await living.close()


async def test_without_the_database_the_rows_stay_where_they_are(tmp_path):
    settings = TelemetrySettings(database_url=AWAY, state_dir=tmp_path)
    await (await outbox_of(settings, 1, 2)).close()
    with pytest.raises(StoreUnavailable):
        await ship_leftovers(settings)
    again = await outbox_of(settings)
    assert (await again.stats()).waiting == 2
    await again.close()
