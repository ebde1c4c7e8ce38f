"""What recognition and language models cost, by client and day."""

from datetime import datetime, timedelta, timezone
from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel

from serve_app.rest.fields import Filter, Instant
from serve_app.rest.guards import ReplicaHere, SignedInPerson

router = APIRouter(prefix="/api", tags=["dados"])

DAYS: Final = 31


class DayCost(BaseModel):
    """One client's day, in US dollars at list prices; the day is Brasília's unless the settings say otherwise."""

    cliente: str
    dia: str
    interacoes: int
    audio_s: float
    tokens_entrada: int
    tokens_saida: int
    custo_stt_usd: float
    custo_llm_usd: float


class Costs(BaseModel):
    """Oldest day first."""

    gastos: list[DayCost]
    total_usd: float


@router.get("/data/gastos")
async def costs(who: SignedInPerson, here: ReplicaHere, inicio: Instant = None, cliente: Filter = None) -> Costs:
    """What was spent from `inicio` on (without it: the last 31 days); a client sees its own."""
    spending = here.door.settings.spending
    now = datetime.now(timezone.utc)
    today = datetime.fromtimestamp(spending.day_began_unix_s(now.timestamp()), timezone.utc)
    since = inicio or today - timedelta(days=DAYS - 1)
    found = await here.door.records.costs(since, spending.day_begins_utc_h, who.client_id or cliente or "")
    days = [
        DayCost(
            cliente=cost.client_id,
            dia=cost.day,
            interacoes=cost.interactions,
            audio_s=cost.audio_s,
            tokens_entrada=cost.tokens_in,
            tokens_saida=cost.tokens_out,
            custo_stt_usd=round(cost.stt_usd, 9),
            custo_llm_usd=round(cost.llm_usd, 9),
        )
        for cost in found
    ]
    return Costs(gastos=days, total_usd=round(sum(cost.usd for cost in found), 9))
