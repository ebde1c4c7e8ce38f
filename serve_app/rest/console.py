"""The owner's console: its page, and the figures, lists and single interactions that the page shows."""

import asyncio
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel

from deployments.telemetry.console_queries import ROWS_MAX, Search, View
from deployments.telemetry.rollups import OUTCOMES
from serve_app.access import Principal
from serve_app.console import by_slot, per_suggestion, period, quantile_ms, waterfall, wilson, words_of
from serve_app.pages import ASK_AGAIN, answer, page
from serve_app.rest.console_live import LiveFeed
from serve_app.rest.fields import PRINTABLE, Filter, Identity, Instant, Zone
from serve_app.rest.guards import Anybody, Replica, ReplicaHere, SignedInPerson

router = APIRouter(prefix="/api/console", tags=["painel"])
page_router = APIRouter(include_in_schema=False)

PAGE: Final = "admin/index.html"
EVENT_STREAM: Final = "text/event-stream"
LONGEST_DAYS: Final = 400

Days = Annotated[int, Query(ge=1, le=LONGEST_DAYS, description="quantos dias, o de hoje incluído")]
Text = Annotated[str, Query(max_length=200, pattern=PRINTABLE, description="começos de palavras")]
OutcomeName = Literal[
    "", "sugerido", "nada", "bloqueado", "alerta", "descartado", "vazio", "stt_falhou", "llm_falhou", "prazo", "perdido"
]
Cursor = Annotated[str, Query(max_length=128, pattern=PRINTABLE, description="o `antes` da página anterior")]


class Share(BaseModel):
    """A share of suggestions, with its 95 % interval after Wilson."""

    taxa: float
    baixo: float
    alto: float


class Delays(BaseModel):
    """End of speech → suggestion on the counter's socket, in ms, exact to 10 ms below a second."""

    amostras: int
    p50_ms: float | None
    p95_ms: float | None


class Summary(BaseModel):
    """A period: one figure for each instant (seconds since 1970, where a step of `passo_s` begins), and totals."""

    passo_s: int
    instantes: list[int]
    interacoes: list[float]
    sugestoes: list[float]
    p50_ms: list[float | None]
    p95_ms: list[float | None]
    custo_usd: list[float]
    custo_por_sugestao_usd: list[float | None]
    por_desfecho: dict[str, int]
    atraso: Delays
    audio_s: float
    custo_stt_usd: float
    custo_llm_usd: float
    total_por_sugestao_usd: float | None
    horas_por_contar: int
    """Hours whose figures are still being brought up to date."""


class Results(BaseModel):
    """What became of suggestions of a cesta, a counter (`id`, `nome`) or an hour of the day."""

    id: str
    nome: str
    mostradas: int
    aceitas: int
    vendidas: int
    recusadas: int
    aceitacao: Share | None
    venda: Share | None


class Gain(BaseModel):
    """Items taken a suggestion: learned order, pharmacist's order, and the difference with its 95 % interval."""

    aprendida: float
    mantida: float
    diferenca: float
    baixo: float
    alto: float
    sugestoes: int


class Suggestions(BaseModel):
    """What became of suggestions; accepted includes sold."""

    total: Results
    por_cesta: list[Results]
    por_balcao: list[Results]
    por_hora: list[Results]
    ganho: Gain | None


class Block(BaseModel):
    """How often a rule of the safety gate held an item back."""

    regra: str
    item: str
    vezes: int


class Blocks(BaseModel):
    """What the safety gate held back, most often first."""

    bloqueios: list[Block]


class Found(BaseModel):
    """Interactions, newest first; `antes` asks for the next page, null at the end."""

    interacoes: list[dict[str, Any]]
    antes: str | None


class Step(BaseModel):
    """An instant of an interaction; `ms` counts from the end of speech."""

    nome: str
    instante: datetime
    ms: float


class Whole(BaseModel):
    """One interaction: every column, what the counter reported of it, and its instants in order."""

    interacao: dict[str, Any]
    etapas: list[Step]


class Latest(BaseModel):
    """The newest interactions."""

    interacoes: list[dict[str, Any]]


@page_router.get("/admin")
async def console_page(request: Request, _: Anybody, here: ReplicaHere) -> Response:
    """The owner's console; it holds nothing of anybody's until somebody signs in."""
    here.door.metrics.count("pages", page="painel")
    return answer(request, page(PAGE), ASK_AGAIN)


@router.get("/resumo")
async def summary(
    who: SignedInPerson,
    here: ReplicaHere,
    dias: Days = 7,
    fuso: Zone = "America/Sao_Paulo",
    balcao: Filter = None,
    cliente: Filter = None,
) -> Summary:
    """Volume, delay and cost over time."""
    days = period(dias, fuso, _now())
    view = _view(who, days.since, days.before, balcao, cliente)
    records = here.door.records
    rows, delays, behind = await asyncio.gather(
        records.volume(view, days.step_s), records.delays(view, days.step_s), records.figures_behind()
    )
    shown = by_slot(rows, "sugerido", days.slots)
    stt, llm = by_slot(rows, "stt_usd", days.slots), by_slot(rows, "llm_usd", days.slots)
    costs = [one + other for one, other in zip(stt, llm, strict=True)]
    each: list[dict[int, int]] = [{} for _ in range(days.slots)]
    whole: dict[int, int] = {}
    for row in delays:
        for buckets in (each[min(row["slot"], days.slots - 1)], whole):
            buckets[row["bucket_ms"]] = buckets.get(row["bucket_ms"], 0) + row["n"]
    return Summary(
        passo_s=days.step_s,
        instantes=days.instants(),
        interacoes=by_slot(rows, "interactions", days.slots),
        sugestoes=shown,
        p50_ms=[quantile_ms(buckets, 0.5) for buckets in each],
        p95_ms=[quantile_ms(buckets, 0.95) for buckets in each],
        custo_usd=costs,
        custo_por_sugestao_usd=per_suggestion(costs, shown),
        por_desfecho={name: sum(row[name] for row in rows) for name in OUTCOMES},
        atraso=Delays(amostras=sum(whole.values()), p50_ms=quantile_ms(whole, 0.5), p95_ms=quantile_ms(whole, 0.95)),
        audio_s=sum(row["audio_s"] for row in rows),
        custo_stt_usd=sum(stt),
        custo_llm_usd=sum(llm),
        total_por_sugestao_usd=sum(costs) / sum(shown) if sum(shown) else None,
        horas_por_contar=behind,
    )


@router.get("/sugestoes")
async def suggestions(
    who: SignedInPerson,
    here: ReplicaHere,
    dias: Days = 30,
    fuso: Zone = "America/Sao_Paulo",
    balcao: Filter = None,
    cliente: Filter = None,
) -> Suggestions:
    """Shown → accepted → sold, by cesta, counter and hour of the day, and what the learned order is worth."""
    days = period(dias, fuso, _now())
    tables = await here.door.records.suggestions(_view(who, days.since, days.before, balcao, cliente))
    gain = tables.uplift
    names = ("shown", "accepted", "sold", "refused")
    return Suggestions(
        total=_results("", "", {name: sum(row[name] for row in tables.by_hour) for name in names}),
        por_cesta=[_results(row["cesta"], row["cesta"], row) for row in tables.by_cesta],
        por_balcao=[_results(row["counter_id"], row["name"], row) for row in tables.by_counter],
        por_hora=[_results(str(row["hour"]), f"{row['hour']}h", row) for row in tables.by_hour],
        ganho=None
        if gain is None
        else Gain(
            aprendida=gain.learned,
            mantida=gain.kept,
            diferenca=gain.difference,
            baixo=gain.low,
            alto=gain.high,
            sugestoes=gain.suggestions,
        ),
    )


@router.get("/bloqueios")
async def blocks(
    who: SignedInPerson,
    here: ReplicaHere,
    dias: Days = 30,
    fuso: Zone = "America/Sao_Paulo",
    balcao: Filter = None,
    cliente: Filter = None,
) -> Blocks:
    """What the safety gate held back, by rule and item."""
    days = period(dias, fuso, _now())
    rows = await here.door.records.blocks(_view(who, days.since, days.before, balcao, cliente))
    return Blocks(bloqueios=[Block(regra=row["rule_id"], item=row["item_id"], vezes=row["n"]) for row in rows])


@router.get("/busca")
async def search(
    who: SignedInPerson,
    here: ReplicaHere,
    texto: Text = "",
    desfecho: OutcomeName = "",
    balcao: Filter = None,
    cliente: Filter = None,
    inicio: Instant = None,
    fim: Instant = None,
    antes: Cursor = "",
    limite: Annotated[int, Query(ge=1, le=ROWS_MAX)] = 50,
) -> Found:
    """Interactions by the beginnings of words in their (redacted) text, counter, outcome and period; without `inicio`
    the last 30 days."""
    until = fim or _now() + timedelta(minutes=1)
    view = _view(who, inicio or until - timedelta(days=30), until, balcao, cliente)
    words = words_of(texto)
    if texto.strip() and not words:
        return Found(interacoes=[], antes=None)
    wanted = Search(words, desfecho, _older_than(antes))
    rows = await here.door.records.search(view, wanted, limite)
    last = rows[-1] if len(rows) == limite else None
    return Found(
        interacoes=rows, antes=None if last is None else f"{last['happened_at'].isoformat()} {last['interaction_id']}"
    )


@router.get("/interacao/{interacao_id}")
async def interaction(interacao_id: Identity, who: SignedInPerson, here: ReplicaHere) -> Whole:
    """One interaction and its instants."""
    row = await here.door.records.interaction(interacao_id)
    if row is None or who.client_id not in ("", row["client_id"]):
        raise HTTPException(404, "nenhuma interação tem este id")
    return Whole(interacao=row, etapas=[Step(**step) for step in waterfall(row)])


@router.get("/vivo", responses={200: {"model": Latest, "content": {EVENT_STREAM: {"schema": {"type": "string"}}}}})
async def live(request: Request, who: SignedInPerson, here: ReplicaHere) -> Response:
    """The newest interactions as JSON; as they come, for who accepts `text/event-stream`."""
    if EVENT_STREAM not in request.headers.get("accept", ""):
        now = _now()
        view = _view(who, now - timedelta(days=LONGEST_DAYS), now + timedelta(minutes=1), None, None)
        rows = await here.door.records.search(view, Search(), 50)
        return JSONResponse(Latest(interacoes=rows).model_dump(mode="json"))
    feed = _feed(request, here)
    if feed.full:
        raise HTTPException(429, "listas ao vivo demais neste servidor; a página pergunta de tempos em tempos")
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(feed.events(who.client_id), media_type=EVENT_STREAM, headers=headers)


def _feed(request: Request, here: Replica) -> LiveFeed:
    """The feed of this replica, made when first asked for."""
    feed: LiveFeed | None = getattr(request.app.state, "live_feed", None)
    if feed is None:
        feed = LiveFeed(here.door.records.latest, here.door.settings.console, here.door.metrics)
        request.app.state.live_feed = feed
    return feed


def _now() -> datetime:
    return datetime.now(timezone.utc)


def _view(who: Principal, since: datetime, before: datetime, counter_id: str | None, client_id: str | None) -> View:
    """What was asked for; a client's view is held to its own rows here, whatever else is asked."""
    return View(since, before, who.client_id or client_id or "", counter_id or "")


def _older_than(cursor: str) -> tuple[datetime, str] | None:
    """Raises HTTPException 422 for a cursor that we did not make."""
    if not cursor:
        return None
    text, _, interaction_id = cursor.partition(" ")
    try:
        instant = datetime.fromisoformat(text)
        if instant.tzinfo is None or not datetime(1970, 1, 2) <= instant.replace(tzinfo=None) <= datetime(2999, 1, 1):
            raise ValueError
    except ValueError:
        raise HTTPException(422, "antes: use o valor que a página anterior deu") from None
    return instant, interaction_id


def _results(id_: str, name: str, row: dict[str, Any]) -> Results:
    shown, accepted, sold = row["shown"], row["accepted"], row["sold"]
    return Results(
        id=id_,
        nome=name,
        mostradas=shown,
        aceitas=accepted,
        vendidas=sold,
        recusadas=row["refused"],
        aceitacao=_share(accepted, shown),
        venda=_share(sold, shown),
    )


def _share(part: int, whole: int) -> Share | None:
    found = wilson(part, whole)
    return None if found is None else Share(taxa=found[0], baixo=found[1], alto=found[2])
