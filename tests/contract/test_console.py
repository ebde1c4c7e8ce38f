"""The owner's console over REST: whose figures, in whose days, how sure, and as they come."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from deployments.metrics import NoMetrics
from deployments.telemetry.errors import StoreUnavailable
from deployments.telemetry.records import Feedback, Interaction
from serve_app.access import AccessSettings
from serve_app.console import ConsoleSettings
from serve_app.door import DoorSettings
from serve_app.rest.console_live import LiveFeed
from tests.support.doors import MemoryRecords, open_door
from tests.support.rest import TOKEN, Rest, rest

ADMIN = {"Authorization": f"Bearer {TOKEN}"}
STREAM = {"Accept": "text/event-stream"}
NOW = datetime.now(timezone.utc)
QUICK = DoorSettings(console=ConsoleSettings(live_every_ms=20, watchers_max=2, stream_s=2))


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[Rest]:
    async with rest(tmp_path, QUICK) as served:
        yield served


def said(served: Rest, who: str, number: int, **given) -> Interaction:
    counter = served.counters[who]
    ids = (f"{who}-{number}", counter.client_id, counter.counter_id, f"s-{who}", f"u-{number}", "n-1", "4.0.0")
    return Interaction(*ids, **{"outcome": "nada", "speech_ended_at": NOW, **given})


def shown(served: Rest, who: str, number: int, **given) -> Interaction:
    sent = {"sent_to_counter_at": NOW + timedelta(milliseconds=42), "stt_cost_usd": 0.002, "advisor_cost_usd": 0.001}
    what = {"outcome": "sugerido", "suggestion_id": f"g-{who}-{number}", "cesta": "FEBRE"}
    return said(served, who, number, **{**sent, **what, **given})


async def record(served: Rest, *rows: Interaction | Feedback) -> None:
    """Until the database and the figures have them."""
    await served.records.record(rows)
    store = await served.records._store()
    for _ in range(500):
        if not (await served.records.health())["outbox_rows"]:
            while await store.refresh_figures():
                pass
            return
        await asyncio.sleep(0.01)
    raise AssertionError("the rows did not reach the database within 5 s")


async def get(served: Rest, path: str, headers: dict[str, str], **params) -> dict:
    answer = await served.http.get(f"/api/console/{path}", headers=headers, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_a_client_sees_its_own_figures_whatever_it_asks_for(served):
    told = Feedback("f-1", "g-a-1", "soro", "vendida", served.counters["a"].counter_id, "s-a", NOW)
    held = [{"item_id": "aas", "rule_id": "dengue"}]
    await record(served, shown(served, "a", 1), said(served, "a", 2, blocked=held), shown(served, "b", 1), told)
    mine = await served.session("a")
    theirs = {"cliente": served.clients["b"].client_id}
    for params in ({}, theirs):
        summary = await get(served, "resumo", mine, **params)
        assert (sum(summary["interacoes"]), summary["por_desfecho"]["sugerido"]) == (2, 1)
        assert summary["total_por_sugestao_usd"] == pytest.approx(0.003)
        assert summary["atraso"] == {"amostras": 1, "p50_ms": 45.0, "p95_ms": 45.0}
        found = await get(served, "sugestoes", mine, **params)
        assert [(row["id"], row["mostradas"], row["vendidas"]) for row in found["por_cesta"]] == [("FEBRE", 1, 1)]
        assert [row["nome"] for row in found["por_balcao"]] == ["Balcão a"]
        assert [row["regra"] for row in (await get(served, "bloqueios", mine, **params))["bloqueios"]] == ["dengue"]
        assert {row["client_id"] for row in (await get(served, "busca", mine, **params))["interacoes"]} == {
            served.clients["a"].client_id
        }
    assert sum((await get(served, "resumo", ADMIN))["interacoes"]) == 3
    assert sum((await get(served, "resumo", ADMIN, **theirs))["interacoes"]) == 1


async def test_a_share_comes_with_its_interval(served):
    rows = [shown(served, "a", n) for n in range(10)]
    counter = served.counters["a"].counter_id
    told = [Feedback(f"f-{n}", f"g-a-{n}", "soro", "aceita", counter, "s-a", NOW) for n in range(3)]
    await record(served, *rows, *told)
    share = (await get(served, "sugestoes", ADMIN))["total"]["aceitacao"]
    assert share["taxa"] == 0.3
    assert (round(share["baixo"], 4), round(share["alto"], 4)) == (0.1078, 0.6032)  # Wilson's, of 3 of 10


async def test_search_goes_back_page_by_page_and_refuses_a_cursor_of_somebody_elses_making(served):
    rows = [
        said(served, "a", n, text=f"dor de cabeça {n}", speech_ended_at=NOW - timedelta(minutes=n)) for n in range(5)
    ]
    await record(served, *rows)
    first = await get(served, "busca", ADMIN, texto="Cabeça, dor!", limite=3)
    second = await get(served, "busca", ADMIN, texto="Cabeça, dor!", limite=3, antes=first["antes"])
    assert [row["text"][-1] for row in first["interacoes"] + second["interacoes"]] == list("01234")
    assert second["antes"] is None
    assert (await get(served, "busca", ADMIN, texto="!?"))["interacoes"] == []
    for wrong in ("ontem x", "2026-11-20 x", "0001-01-01T00:00:00+14:00 x"):
        answer = await served.http.get("/api/console/busca", headers=ADMIN, params={"antes": wrong})
        assert answer.status_code == 422, wrong


async def test_one_interaction_shows_its_instants_in_order_and_is_nobody_elses(served):
    early = NOW - timedelta(seconds=2)
    await record(served, shown(served, "a", 1, audio_received_at=early, stt_ready_at=NOW + timedelta(milliseconds=30)))
    found = await get(served, "interacao/a-1", await served.session("a"))
    assert [(step["nome"], step["ms"]) for step in found["etapas"]] == [
        ("áudio recebido", -2000.0),
        ("fim da fala", 0.0),
        ("transcrição: pronta", 30.0),
        ("enviada ao balcão", 42.0),
    ]
    other = await served.http.get("/api/console/interacao/a-1", headers=await served.session("b"))
    assert other.status_code == 404


async def test_an_unknown_time_zone_is_told_so(served):
    for zone in ("Lua/Base", "../../etc/passwd", "America"):
        for path in ("/api/console/resumo", "/api/export/csv"):
            answer = await served.http.get(path, headers=ADMIN, params={"fuso": zone})
            assert answer.status_code == 422, (zone, path)


async def test_a_file_holds_instants_in_the_askers_time_zone(served):
    await record(served, said(served, "a", 1, speech_ended_at=datetime(2026, 11, 20, 1, 30, tzinfo=timezone.utc)))
    text = (await served.http.get("/api/export/csv?fuso=America/Sao_Paulo", headers=ADMIN)).text
    [row] = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    assert row["happened_at"] == "2026-11-19T22:30:00-03:00"


async def events(served: Rest, headers: dict[str, str], until: str, within_s: float = 5.0) -> list[dict]:
    """The rows that a live stream brings, up to the one with this id."""
    got: list[dict] = []

    async def read() -> None:
        async with served.http.stream("GET", "/api/console/vivo", headers={**headers, **STREAM}) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            async for line in stream.aiter_lines():
                if line.startswith("data: "):
                    got.extend(json.loads(line.removeprefix("data: ")))
                if got and got[-1]["interaction_id"] == until:
                    return

    await asyncio.wait_for(read(), within_s)
    return got


async def test_the_live_list_brings_each_interaction_once_and_only_the_askers(served):
    watching = asyncio.create_task(events(served, await served.session("a"), "a-3"))
    await asyncio.sleep(0.2)
    for row in (said(served, "a", 1), said(served, "b", 2), said(served, "a", 3)):
        await served.records.record([row])
        await asyncio.sleep(0.05)
    assert [row["interaction_id"] for row in await watching] == ["a-1", "a-3"]


async def test_without_an_event_stream_the_newest_come_as_json(served):
    await record(served, said(served, "a", 1), said(served, "b", 2))
    found = await get(served, "vivo", await served.session("b"))
    assert [row["interaction_id"] for row in found["interacoes"]] == ["b-2"]


async def test_one_live_list_too_many_is_told_so(served):
    streams = [asyncio.create_task(events(served, ADMIN, "never")) for _ in range(2)]
    await asyncio.sleep(0.3)
    answer = await served.http.get("/api/console/vivo", headers={**ADMIN, **STREAM})
    assert (answer.status_code, set(answer.json())) == (429, {"error"})
    for stream in streams:
        await stream  # the server ends them after stream_s
    assert (await served.http.get("/api/console/vivo", headers=ADMIN)).status_code == 200


async def test_a_live_list_says_when_the_database_is_away_and_when_it_is_back():
    asked = 0

    async def latest(_: datetime, __: int) -> list[dict]:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise StoreUnavailable("away")
        return []

    feed = LiveFeed(latest, QUICK.console, NoMetrics())
    got = [event async for event in feed.events("")]
    assert [event.split("data: ")[1].strip() for event in got if "event: estado" in event] == ["fora", "ok"]
    looked = asked
    await asyncio.sleep(0.1)
    assert asked == looked  # nobody watches


async def test_a_database_that_is_away_is_an_error():
    class Away(MemoryRecords):
        async def volume(self, *_):
            raise StoreUnavailable("away")

        delays = figures_behind = volume

    access = AccessSettings(admin_secret=SecretStr(TOKEN))
    async with open_door(access=access, records=Away()) as at, httpx.AsyncClient(base_url=at.http) as http:
        answer = await http.get("/api/console/resumo", headers=ADMIN)
    assert (answer.status_code, set(answer.json())) == (503, {"error"})


async def test_the_page_loads_nothing_from_elsewhere_and_is_small(served):
    page = await served.http.get("/admin")
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    root = Path(__file__).parents[2] / "serve_app" / "web"
    ours = [path.read_text() for path in (root / "admin").rglob("*.*")]
    assert [text for text in ours if "innerHTML" in text or "https://" in text] == []
