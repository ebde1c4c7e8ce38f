"""What lies on a disk opens with its key only, keys can be changed, and nothing is lost while a key is away."""

from __future__ import annotations

import base64
import sqlite3
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError
from telemetry_fakes import NOW, FakeStore, interaction

from deployments.metrics import NoMetrics
from deployments.telemetry.errors import SealBroken
from deployments.telemetry.outbox import Outbox
from deployments.telemetry.rows import encode
from deployments.telemetry.sealing import Seal, parse_keys
from deployments.telemetry.settings import TelemetrySettings
from deployments.telemetry.stage import Telemetry

OLD, NEW = base64.b64encode(b"o" * 32).decode(), base64.b64encode(b"n" * 32).decode()
SAID = "estou com dor de cabeça"


def row(number: int = 1):
    return encode(interaction(number, text=SAID), NOW)


def on_disk(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.iterdir())


def test_a_sealed_row_hides_what_was_said_and_opens_with_its_key():
    seal = Seal(parse_keys(OLD))
    sealed = seal.seal_row(row())
    assert "cabe" not in sealed.payload
    assert sealed.payload != seal.seal_row(row()).payload
    assert seal.open_row(sealed) == row()


def test_keys_are_changed_by_putting_the_new_one_in_front():
    sealed = Seal(parse_keys(OLD)).seal_row(row())
    changed = Seal(parse_keys(f"{NEW}, {OLD}"))
    assert changed.open_row(sealed) == row()
    with pytest.raises(SealBroken, match="BALTO_STORAGE_KEY"):
        Seal(parse_keys(OLD)).open_row(changed.seal_row(row()))


def test_rows_kept_before_there_was_a_key_can_still_be_read():
    assert Seal(parse_keys(OLD)).open_row(row()) == row()
    assert Seal().seal_row(row()) == row()


def test_a_row_put_in_anothers_place_does_not_open():
    seal = Seal(parse_keys(OLD))
    swapped = row(2).__class__(row(2).row_id, "interaction", "s-1", 0, seal.seal_row(row(1)).payload)
    with pytest.raises(SealBroken):
        seal.open_row(swapped)


@pytest.mark.parametrize("key", ["", " , ", "short", base64.b64encode(b"x" * 31).decode(), "not base64 äöü"])
def test_a_key_that_is_none_is_refused_with_what_to_do_and_not_quoted(key: str):
    with pytest.raises(ValidationError) as caught:
        TelemetrySettings(store="sqlite", storage_key=SecretStr(key))
    assert "openssl rand -base64 32" in str(caught.value)
    assert key.strip(" ,") == "" or key not in str(caught.value)


@pytest.fixture
async def directory(tmp_path: Path) -> Path:
    outbox = Outbox(tmp_path, 1_000_000, NoMetrics(), Seal(parse_keys(OLD)))
    await outbox.open()
    await outbox.record([row(1), row(2)])
    assert [waiting.row for waiting in await outbox.batch(10, 1 << 62)] == [row(1), row(2)]
    assert await outbox.of_session("s-1") == [row(1), row(2)]
    await outbox.close()
    return tmp_path


async def test_the_outbox_lies_sealed_on_the_disk(directory: Path):
    assert b"cabe" not in on_disk(directory)
    with sqlite3.connect(directory / "outbox-0.sqlite") as db:
        assert {payload[:3] for (payload,) in db.execute("SELECT payload FROM waiting")} == {"s1:"}


async def test_without_the_key_the_rows_wait_and_with_it_they_are_shipped(directory: Path):
    keyless = Outbox(directory, 1_000_000, NoMetrics())
    await keyless.open()
    with pytest.raises(SealBroken, match="put that key"):
        await keyless.batch(10, 1 << 62)
    assert (await keyless.stats()).waiting == 2
    await keyless.close()
    keyed = Outbox(directory, 1_000_000, NoMetrics(), Seal(parse_keys(f"{NEW},{OLD}")))
    await keyed.open()
    assert len(await keyed.batch(10, 1 << 62)) == 2
    await keyed.close()


async def test_the_stage_seals_by_its_setting_and_ships_what_it_sealed(tmp_path: Path):
    store = FakeStore()
    store.away = True
    settings = TelemetrySettings(store="sqlite", state_dir=tmp_path, storage_key=SecretStr(OLD), flush_interval_ms=10)
    stage = Telemetry(settings, make_store=lambda _: store)
    await stage.record([interaction(1, text=SAID)])
    assert b"cabe" not in on_disk(settings.outbox_dir)
    store.away = False
    await stage.close()
    assert SAID in store.rows["interaction:i-1"].payload
