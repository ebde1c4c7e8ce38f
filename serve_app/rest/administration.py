"""Clients and counters: finding them, their gate, their keys; and the log of what was done."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import BaseModel, Field

from audio.settings import with_vad_settings
from serve_app.accounts import hash_of, new_key
from serve_app.rest.fields import PRINTABLE, Body, Filter, Identity, Limit, Listed, Offset, Search
from serve_app.rest.guards import (
    AddressHere,
    Administrator,
    ReplicaHere,
    SignedInPerson,
    own_client,
    own_counter,
)
from serve_app.rest.signing_in import Done

router = APIRouter(prefix="/api/admin", tags=["administração"])
operating = APIRouter(tags=["administração"])


class DrainOrder(Body):
    """Which node (its host name, as `/saude` says; empty: all) sends its counters elsewhere, or takes them again."""

    no: str = Field("", max_length=255, pattern=PRINTABLE)
    sair: Annotated[bool, Field(strict=True)] = True


class ClientRow(BaseModel):
    """A client as a list shows it; `balcoes` counts those whose key works."""

    cliente_id: str
    codigo: str
    email: str
    razao_social: str
    telefone: str
    criado_em: datetime
    balcoes: int


class ClientList(Listed):
    """A page of clients, by name."""

    clientes: list[ClientRow]


class CounterRow(BaseModel):
    """A counter as a list shows it."""

    balcao_id: str
    nome_balcao: str
    revogado: bool
    vad: dict[str, float] | None
    criado_em: datetime
    cliente_id: str
    codigo: str
    razao_social: str


class CounterList(Listed):
    """A page of counters, by name."""

    balcoes: list[CounterRow]


class ActRow(BaseModel):
    """One administrative act, as it was ordered."""

    instante: datetime
    quem: str
    acao: str
    alvo: str
    endereco: str
    detalhes: dict[str, Any] | None


class ActList(Listed):
    """A page of the log, newest first."""

    atos: list[ActRow]


class Gate(Body):
    """A counter's gate; null: the service's own. In force from the counter's next connection on."""

    threshold_multiplier: float | None = Field(None, ge=1, le=100, strict=True)
    min_energy: float | None = Field(None, ge=0, le=32768, strict=True)


class NewKey(BaseModel):
    """A counter's new key, shown this once; the old one is void."""

    api_key: str
    balcao_id: str
    status: Literal["rotated"] = "rotated"


@router.get("/clientes")
async def clients(
    who: Administrator, here: ReplicaHere, busca: Search = "", limite: Limit = 50, deslocamento: Offset = 0
) -> ClientList:
    """Clients by name."""
    page = await here.door.records.clients(busca, limite, deslocamento)
    rows = [
        ClientRow(
            cliente_id=row["client_id"],
            codigo=row["code"],
            email=row["email"],
            razao_social=row["company"],
            telefone=row["phone"],
            criado_em=row["created_at"],
            balcoes=row["counters"],
        )
        for row in page.rows
    ]
    return ClientList(total=page.total, clientes=rows)


@router.delete("/client/{codigo}/senha")
async def clear_client_password(codigo: Identity, who: Administrator, here: ReplicaHere, address: AddressHere) -> Done:
    """Take a client's password away: its sessions end, and its code sets a new one."""
    client = await own_client(here, who, codigo)
    await here.access.act(who, "apagar senha do cliente", client.client_id, address)
    await here.access.clear_client_password(client.client_id)
    return Done()


@router.get("/client/{codigo}/balcoes")
async def counters_of_client(codigo: Identity, who: SignedInPerson, here: ReplicaHere) -> CounterList:
    """All counters of a client, by name."""
    client = await own_client(here, who, codigo)
    page = await here.door.records.counters("", client.client_id, 10_000, 0)
    return CounterList(total=page.total, balcoes=[_counter_row(row) for row in page.rows])


@router.get("/balcoes")
async def counters(
    who: SignedInPerson,
    here: ReplicaHere,
    busca: Search = "",
    cliente: Filter = None,
    limite: Limit = 50,
    deslocamento: Offset = 0,
) -> CounterList:
    """Counters by name: a client's own, or those of all clients or of one (`cliente`: its id)."""
    client_id = who.client_id or cliente or ""
    page = await here.door.records.counters(busca, client_id, limite, deslocamento)
    return CounterList(total=page.total, balcoes=[_counter_row(row) for row in page.rows])


@router.put("/balcao/{balcao_id}/vad")
async def set_gate(
    balcao_id: Identity, gate: Gate, who: SignedInPerson, here: ReplicaHere, address: AddressHere
) -> Done:
    """Set a counter's gate."""
    counter = await own_counter(here, who, balcao_id)
    wanted = gate.model_dump(exclude_none=True)
    with_vad_settings(here.door.settings.segmenter, wanted)
    await here.access.act(who, "ajustar vad", counter.counter_id, address, **wanted)
    await here.door.records.set_vad_settings(counter.counter_id, wanted or None)
    return Done()


@router.post("/balcao/{balcao_id}/chave")
async def rotate_key(balcao_id: Identity, who: SignedInPerson, here: ReplicaHere, address: AddressHere) -> NewKey:
    """Give a counter a new key; the old one is void, and a counter connected with it is closed within seconds."""
    counter = await own_counter(here, who, balcao_id)
    await here.access.act(who, "trocar chave", counter.counter_id, address)
    key = new_key()
    await here.door.records.rotate_key(counter.counter_id, hash_of(key))
    return NewKey(api_key=key, balcao_id=counter.counter_id)


@router.delete("/balcao/{balcao_id}/chave")
async def revoke_key(balcao_id: Identity, who: SignedInPerson, here: ReplicaHere, address: AddressHere) -> Done:
    """Revoke a counter's key; a counter that is connected is closed within seconds. A new key opens it again."""
    counter = await own_counter(here, who, balcao_id)
    await here.access.act(who, "revogar chave", counter.counter_id, address)
    await here.door.records.revoke_counter(counter.counter_id)
    return Done()


@operating.post("/admin/drenar")
async def drain(order: DrainOrder, who: Administrator, here: ReplicaHere, address: AddressHere) -> Done:
    """Have the ingress replicas of a node send their counters elsewhere within seconds, before it is stopped.

    They take nobody until the order ends by itself after two minutes, or is called off (`sair: false`).
    """
    await here.access.act(who, "drenar" if order.sair else "suspender drenagem", order.no or "*", address)
    await here.door.records.order_drain(order.no, leave=order.sair)
    return Done()


@router.get("/auditoria")
async def acts(who: Administrator, here: ReplicaHere, limite: Limit = 100, deslocamento: Offset = 0) -> ActList:
    """What was ordered, by whom, from where, newest first."""
    page = await here.door.records.acts(limite, deslocamento)
    rows = [
        ActRow(
            instante=row["happened_at"],
            quem=row["actor"],
            acao=row["action"],
            alvo=row["target"],
            endereco=row["address"],
            detalhes=row["details"],
        )
        for row in page.rows
    ]
    return ActList(total=page.total, atos=rows)


def _counter_row(row: dict[str, Any]) -> CounterRow:
    return CounterRow(
        balcao_id=row["counter_id"],
        nome_balcao=row["name"],
        revogado=row["revoked"],
        vad=row["vad_settings"],
        criado_em=row["created_at"],
        cliente_id=row["client_id"],
        codigo=row["code"],
        razao_social=row["company"],
    )
