"""`python -m bench.console`: how long the console takes with a million interactions, and how far behind it is."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shutil
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, cast

import asyncpg
import httpx
from pydantic import SecretStr

from bench.simulated.server import LoopbackServer
from deployments.metrics import NoMetrics
from deployments.telemetry import embedded, schema
from deployments.telemetry.errors import StoreUnavailable
from deployments.telemetry.records import Interaction
from deployments.telemetry.settings import TelemetrySettings
from deployments.telemetry.stage import Telemetry
from serve_app.access import Access, AccessSettings
from serve_app.door import Door, DoorSettings
from serve_app.routes import create_app
from serve_app.stages import Records, Stages

TOKEN = "bench"
CLIENTS, COUNTERS_EACH, DAYS = 5, 8, 90
LOT = 50_000
BAR_MS, LIVE_BAR_MS = 1_000.0, 200.0

INTERACTIONS = """
INSERT INTO interacoes (interaction_id, client_id, counter_id, session_id, utterance_id, node, software_version,
  outcome, origin, happened_at, recorded_at, audio_received_at, speech_ended_at, segment_emitted_at, voice_sent_at,
  voice_ready_at, stt_sent_at, stt_ready_at, advice_asked_at, advice_ready_at, sent_to_counter_at, duration_s, snr_db,
  gate_settings, stt_provider, stt_model, stt_cost_usd, advisor_cost_usd, simulated, text, entities, cesta, ordering,
  suggestion_id, items, blocked)
SELECT 'i-' || n, 'k-' || n % $3, 'b-' || n % ($3 * $4), 's-' || n / 400, 'u-' || n, 'no-1', '4.0.0', outcome, 'audio',
  t, t + interval '1 second', t - interval '2 seconds', t, t + interval '440 ms', t + interval '441 ms',
  t + interval '450 ms', t + interval '451 ms', t + interval '750 ms', t + interval '752 ms', t + interval '755 ms',
  CASE WHEN outcome = 'sugerido' THEN t + (300 + 1500 * power(random(), 3)) * interval '1 ms' END,
  1 + 4 * random(), 10 + 20 * random(), '{"margin_db": 4.0, "silence_ms": 600}'::jsonb, 'elevenlabs', 'scribe_v2',
  0.0004, CASE WHEN outcome = 'sugerido' THEN 0.0006 END, FALSE,
  (ARRAY['estou com dor de cabeça desde ontem', 'meu filho está com febre e diarreia', 'quero um protetor solar',
   'tem remédio para azia', 'bom dia', 'quanto custa este sabonete', 'minha garganta está irritada e com tosse seca',
   'preciso de fralda tamanho M'])[1 + n % 8] || ' ' || (n % 997),
  '{"complaints": ["dor de cabeça"], "medicines": []}'::jsonb,
  CASE WHEN outcome = 'sugerido' THEN 'CESTA ' || (n / 7) % 60 ELSE '' END,
  CASE WHEN outcome = 'sugerido' THEN (ARRAY['', 'mantida', 'aprendida', 'aprendida'])[1 + (n / 11) % 4] ELSE '' END,
  CASE WHEN outcome = 'sugerido' THEN 'g-' || n END,
  CASE WHEN outcome = 'sugerido' THEN '[{"id": "soro", "sugestao": "Soro de reidratação", "explicacao": "Repõe água."}]'
    ::jsonb END,
  CASE WHEN n % 13 = 0 THEN '[{"item_id": "aas", "rule_id": "dengue"}]'::jsonb END
FROM (SELECT n, CASE WHEN n % 4 = 0 THEN 'sugerido' ELSE (ARRAY['nada', 'vazio', 'descartado', 'nada', 'bloqueado',
    'alerta', 'prazo'])[1 + (n / 4) % 7] END AS outcome,
  date_trunc('day', now()) - (n::bigint * $5::bigint % $6) * interval '1 day' + interval '11 hours'
    + (n % 43200) * interval '1 second' AS t
  FROM generate_series($1::bigint, $2::bigint) AS n) AS made WHERE t < now()
"""
REPORTS = """
INSERT INTO retornos (feedback_id, suggestion_id, item_id, result, counter_id, session_id, reported_at, recorded_at)
SELECT 'f-' || suggestion_id, suggestion_id, 'soro', (ARRAY['aceita', 'vendida', 'recusada', 'ignorada'])[1 + n % 4],
  counter_id, session_id, happened_at, recorded_at FROM (SELECT *, substr(interaction_id, 3)::bigint / 4 AS n
  FROM interacoes WHERE suggestion_id IS NOT NULL) s WHERE n % 5 < 2
"""
WORDS_INDEX = "SELECT indexdef FROM pg_indexes WHERE indexname = 'interacoes_palavras'"
BEFORE = ("ALTER TABLE interacoes DISABLE TRIGGER USER", "ALTER TABLE retornos DISABLE TRIGGER USER")
AFTER = (
    "ALTER TABLE interacoes ENABLE TRIGGER USER",
    "ALTER TABLE retornos ENABLE TRIGGER USER",
    "INSERT INTO painel_pendentes SELECT DISTINCT client_id, date_trunc('hour', happened_at, 'UTC'), FALSE "
    "FROM interacoes",
    "VACUUM ANALYZE interacoes",  # as autovacuum does after so many new rows
    "VACUUM ANALYZE retornos",
    "CHECKPOINT",
)
"""A million rows at once: the marks of changed hours are made as the migration makes them, the index is built after."""
PAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "summary, 7 days": ("/api/console/resumo", {"dias": 7}),
    "summary, 90 days": ("/api/console/resumo", {"dias": 90}),
    "summary, 90 days, one counter": ("/api/console/resumo", {"dias": 90, "balcao": "b-3"}),
    "suggestions, 30 days": ("/api/console/sugestoes", {"dias": 30}),
    "suggestions, 90 days": ("/api/console/sugestoes", {"dias": 90}),
    "suggestions, 90 days, one client": ("/api/console/sugestoes", {"dias": 90, "cliente": "k-2"}),
    "blocks, 90 days": ("/api/console/bloqueios", {"dias": 90}),
    "live list": ("/api/console/vivo", {}),
    "search, no words": ("/api/console/busca", {}),
    "search, a common word, 30 days": ("/api/console/busca", {"texto": "dor"}),
    "search, a rare word, 90 days": ("/api/console/busca", {"texto": "garganta 991", "inicio": "{begin}"}),
    "search, a word that nobody said, 90 days": ("/api/console/busca", {"texto": "xilofone", "inicio": "{begin}"}),
    "search, words + counter + outcome, 90 days": (
        "/api/console/busca",
        {"texto": "dor cabe", "balcao": "b-8", "desfecho": "sugerido", "inicio": "{begin}"},
    ),
    "search, a rare outcome, 90 days": ("/api/console/busca", {"desfecho": "prazo", "inicio": "{begin}"}),
    "one interaction": ("/api/console/interacao/i-400", {}),
    "clients": ("/api/admin/clientes", {}),
    "counters": ("/api/admin/balcoes", {}),
    "audit log": ("/api/admin/auditoria", {}),
    "one session": ("/api/data/sessao/s-10", {"limite": 1}),
}


@dataclass
class Service:
    """The REST surface over real telemetry, without the stages that hear and advise."""

    door: Door
    access: Access

    async def health(self) -> dict[str, Any]:
        """Nothing to say."""
        return {"estado": "ok"}


async def fill(url: str, count: int) -> float:
    """Write `count` synthetic interactions over DAYS days, and outcomes of two suggestions in five; returns seconds."""
    begun = time.monotonic()
    connection = await asyncpg.connect(url, command_timeout=600)
    await connection.execute("SET synchronous_commit = off")
    for client in range(CLIENTS):
        await connection.execute(
            "INSERT INTO clientes VALUES ($1, $1, $1 || '@farmacia.example', 'Farmácia ' || $1, '1', now())",
            f"k-{client}",
        )
    for counter in range(CLIENTS * COUNTERS_EACH):
        await connection.execute(
            "INSERT INTO balcoes (counter_id, client_id, name, key_hash, revoked, created_at) "
            "VALUES ($1, $2, 'Balcão ' || $1, $1, FALSE, now())",
            f"b-{counter}",
            f"k-{counter % CLIENTS}",
        )
    words_index = await connection.fetchval(WORDS_INDEX)
    await connection.execute("DROP INDEX interacoes_palavras")
    for statement in BEFORE:
        await connection.execute(statement)
    for first in range(1, count + 1, LOT):
        last = min(first + LOT - 1, count)
        await connection.execute(INTERACTIONS, first, last, CLIENTS, COUNTERS_EACH, 7919, DAYS)
    await connection.execute(REPORTS)
    await connection.execute(words_index)
    for statement in AFTER:
        await connection.execute(statement)
    await connection.close()
    return time.monotonic() - begun


async def counted(telemetry: Telemetry) -> float:
    """Wait until the stage's own job has counted every hour; returns seconds."""
    begun = time.monotonic()
    while True:
        await asyncio.sleep(0.5)
        with contextlib.suppress(StoreUnavailable):  # a lot that took too long, which is tried again
            if not await telemetry.figures_behind():
                return time.monotonic() - begun


@asynccontextmanager
async def serving(telemetry: Telemetry) -> AsyncIterator[httpx.AsyncClient]:
    """An administrator's HTTP client of the console."""
    door = Door(DoorSettings(), cast("Stages", None), cast("Records", telemetry), NoMetrics())
    access = Access(AccessSettings(admin_secret=SecretStr(TOKEN)), telemetry, NoMetrics())
    service = Service(door, access)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    async with LoopbackServer(create_app(lambda: service)) as server:
        async with httpx.AsyncClient(base_url=server.base_url, headers=headers, timeout=30) as http:
            yield http
        await door.close()


async def timed(http: httpx.AsyncClient, path: str, parameters: dict[str, Any], times: int) -> list[float]:
    """Milliseconds of each of `times` requests. Raises httpx.HTTPStatusError."""
    begin = (datetime.now(timezone.utc) - timedelta(days=DAYS)).isoformat()
    given = {name: begin if value == "{begin}" else value for name, value in parameters.items()}
    took = []
    for _ in range(times):
        begun = time.perf_counter()
        answer = await http.get(path, params=given)
        took.append(1000 * (time.perf_counter() - begun))
        answer.raise_for_status()
    return took


async def live_lag(http: httpx.AsyncClient, telemetry: Telemetry, times: int) -> list[float]:
    """Milliseconds from an interaction's hand-over to telemetry to its line on the live stream."""
    took = []
    async with http.stream("GET", "/api/console/vivo", headers={"Accept": "text/event-stream"}) as stream:
        lines = stream.aiter_lines()
        async for line in lines:
            if line.startswith("data:"):
                break
        for _ in range(times):
            await asyncio.sleep(0.37)
            id_ = str(uuid.uuid4())
            begun = time.perf_counter()
            now = datetime.now(timezone.utc)
            row = Interaction(id_, "k-0", "b-0", "live", id_, "n", "4", "nada", speech_ended_at=now)
            await telemetry.record([row])
            async for line in lines:
                if id_ in line:
                    break
            took.append(1000 * (time.perf_counter() - begun))
    return took


async def measure(url: str, state: Path, count: int, times: int) -> dict[str, Any]:
    """Everything, as it is reported."""
    await schema.ensure_postgres(url, 30.0)
    filled_s = await fill(url, count)
    print(f"{count:,} interactions written in {filled_s:.0f} s", file=sys.stderr, flush=True)
    telemetry = Telemetry(TelemetrySettings(database_url=SecretStr(url), state_dir=state, figures_every_s=1.0))
    await telemetry.start()
    try:
        counted_s = await counted(telemetry)
        print(f"figures counted in {counted_s:.0f} s", file=sys.stderr, flush=True)
        async with serving(telemetry) as http:
            pages = {name: await timed(http, *what, times) for name, what in PAGES.items()}
            lag = await live_lag(http, telemetry, 30)
    finally:
        await telemetry.close()
    return {
        "interactions": count,
        "filled_s": round(filled_s, 1),
        "counted_s": round(counted_s, 1),
        "pages_ms": {
            n: {"first": took[0], "median": statistics.median(took), "max": max(took)} for n, took in pages.items()
        },
        "live_ms": {"median": statistics.median(lag), "p95": sorted(lag)[int(0.95 * len(lag))], "max": max(lag)},
    }


def printed(report: dict[str, Any]) -> bool:
    """Print the report; whether every figure is within its bar."""
    print(f"{report['interactions']:,} interactions; figures counted from nothing in {report['counted_s']} s")
    for name, took in report["pages_ms"].items():
        print(f"{name:45} first {took['first']:7.1f} ms   median {took['median']:7.1f}   max {took['max']:7.1f}")
    live = report["live_ms"]
    name = "recorded → on the live stream"
    print(f"{name:45} median {live['median']:.0f} ms   p95 {live['p95']:.0f}   max {live['max']:.0f}")
    return bool(max(took["max"] for took in report["pages_ms"].values()) <= BAR_MS and live["p95"] <= LIVE_BAR_MS)


def main() -> int:
    """Exit status 0 when every page takes at most a second and the live list is at most 200 ms behind (p95)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--interactions", type=int, default=1_000_000)
    parser.add_argument("--times", type=int, default=5, help="requests of each page")
    parser.add_argument("--json", type=Path, help="also write the report here")
    given = parser.parse_args()
    root = Path(tempfile.mkdtemp(prefix="balto-console-", dir="/tmp"))
    root.chmod(0o755)  # as root, PostgreSQL runs as another user, who must reach its data
    try:
        url = embedded.start(root / "pgdata")
        report = asyncio.run(measure(url, root / "state", given.interactions, given.times))
    finally:
        embedded.stop(root / "pgdata")
        shutil.rmtree(root)
    if given.json is not None:
        given.json.write_text(json.dumps(report, indent=1))
    return 0 if printed(report) else 1


if __name__ == "__main__":
    sys.exit(main())
