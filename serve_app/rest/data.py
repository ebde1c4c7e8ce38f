"""What was recorded: a page of it, all of it as a file, a counter's figures."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from typing import Any, Final
from zoneinfo import ZoneInfo

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

from deployments.telemetry.rows import TABLES
from serve_app.rest.fields import Filter, Identity, Instant, Limit, Offset, Zone
from serve_app.rest.guards import AddressHere, Replica, ReplicaHere, SignedInPerson, own_counter
from serve_app.spreadsheet import Lot, comma_separated, xlsx

router = APIRouter(prefix="/api", tags=["dados"])

LOT_ROWS: Final = 500
XLSX_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
COLUMNS: Final = TABLES["interaction"].columns


class Interactions(BaseModel):
    """A page of interactions, newest first, with every column that is recorded."""

    interacoes: list[dict[str, Any]]


class Delay(BaseModel):
    """End of speech → suggestion on the counter's socket, in ms; null where nothing was suggested."""

    amostras: int
    p50_ms: float | None
    p95_ms: float | None
    max_ms: float | None


class Figures(BaseModel):
    """A counter's figures."""

    balcao_id: str
    interacoes: int
    por_desfecho: dict[str, int]
    atraso: Delay
    custo_stt_usd: float
    custo_llm_usd: float
    audio_s: float
    retornos: dict[str, int]


@router.get("/data/interacoes")
async def interactions(
    who: SignedInPerson,
    here: ReplicaHere,
    limite: Limit = 100,
    deslocamento: Offset = 0,
    sessao: Filter = None,
    balcao: Filter = None,
    inicio: Instant = None,
    fim: Instant = None,
) -> Interactions:
    """What was recorded from `inicio` on and before `fim`, newest first."""
    filters = _only(who.client_id, balcao, sessao, inicio, fim)
    rows = await here.door.records.interactions(limit=limite, offset=deslocamento, **filters)
    return Interactions(interacoes=rows)


@router.get("/data/balcao/{balcao_id}/metricas")
async def figures(balcao_id: Identity, who: SignedInPerson, here: ReplicaHere, inicio: Instant = None) -> Figures:
    """A counter's figures from `inicio` on."""
    counter = await own_counter(here, who, balcao_id)
    return Figures.model_validate(await here.door.records.counter_metrics(counter.counter_id, inicio))


@router.get(
    "/export/xlsx",
    response_class=StreamingResponse,
    responses={200: {"content": {XLSX_TYPE: {"schema": {"type": "string", "format": "binary"}}}}},
)
async def export_xlsx(
    who: SignedInPerson,
    here: ReplicaHere,
    address: AddressHere,
    balcao: Filter = None,
    inicio: Instant = None,
    fim: Instant = None,
    fuso: Zone = "UTC",
) -> StreamingResponse:
    """Interactions, newest first, as a spreadsheet, instants in `fuso`; at most `export_max_rows`."""
    await here.access.act(who, "exportar xlsx", balcao or "", address)
    lots = await _begun(_lots(here, _only(who.client_id, balcao, None, inicio, fim), fuso))
    return _file(xlsx(COLUMNS, lots, asyncio.to_thread), XLSX_TYPE, "xlsx")


@router.get(
    "/export/csv",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def export_csv(
    who: SignedInPerson,
    here: ReplicaHere,
    address: AddressHere,
    balcao: Filter = None,
    inicio: Instant = None,
    fim: Instant = None,
    fuso: Zone = "UTC",
) -> StreamingResponse:
    """Interactions, newest first, as comma-separated values, instants in `fuso`; at most `export_max_rows`."""
    await here.access.act(who, "exportar csv", balcao or "", address)
    lots = await _begun(_lots(here, _only(who.client_id, balcao, None, inicio, fim), fuso))
    return _file(comma_separated(COLUMNS, lots, asyncio.to_thread), "text/csv; charset=utf-8", "csv")


def _only(
    client_id: str, counter_id: str | None, session_id: str | None, since: datetime | None, before: datetime | None
) -> dict[str, Any]:
    """Filters of `Records.interactions`; a client's view is held to its own rows here, whatever else is asked."""
    given = {"client_id": client_id, "counter_id": counter_id, "session_id": session_id}
    filters: dict[str, Any] = {name: value for name, value in given.items() if value}
    return {**filters, **({"since": since} if since else {}), **({"before": before} if before else {})}


async def _lots(here: Replica, filters: dict[str, Any], zone: str) -> AsyncIterator[Lot]:
    """Rows in lots, instants in `zone`, from the newest back. The next lot begins where the last one ended, not at an
    offset: what is recorded meanwhile moves nothing."""
    left = here.access.settings.export_max_rows
    before = filters.pop("before", None) or datetime.now(timezone.utc)
    seen: set[str] = set()
    there = ZoneInfo(zone)
    while left > 0:
        rows = await here.door.records.interactions(limit=LOT_ROWS, before=before, **filters)
        fresh = [row for row in rows if row["interaction_id"] not in seen][:left]
        if fresh:
            yield [[_local(row.get(column), there) for column in COLUMNS] for row in fresh]
        if len(rows) < LOT_ROWS or not fresh:
            return
        left -= len(fresh)
        last = rows[-1]["happened_at"]
        seen = {row["interaction_id"] for row in rows if row["happened_at"] == last}
        before = last + timedelta(microseconds=1)


def _local(value: Any, zone: ZoneInfo) -> Any:
    return value.astimezone(zone) if isinstance(value, datetime) else value


async def _begun(lots: AsyncIterator[Lot]) -> AsyncIterator[Lot]:
    """`lots` with the first one fetched: a database that is away is an error of the request, not a broken file."""
    first = await anext(lots, None)

    async def all_of_them() -> AsyncIterator[Lot]:
        if first is not None:
            yield first
        async for lot in lots:
            yield lot

    return all_of_them()


def _file(pieces: AsyncIterator[bytes], kind: str, ending: str) -> StreamingResponse:
    name = f"interacoes-{datetime.now(timezone.utc):%Y%m%d-%H%M}.{ending}"
    return StreamingResponse(pieces, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})
