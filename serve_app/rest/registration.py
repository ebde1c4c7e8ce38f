"""Registering chains and their counters."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel

from serve_app.rest.fields import Body, Code, Email, Name, Phone
from serve_app.rest.guards import AddressHere, Registrar, ReplicaHere

router = APIRouter(tags=["cadastro"])


class NewClient(Body):
    """A chain or a pharmacy."""

    email: Email
    razao_social: Name
    telefone: Phone


class NewCounter(Body):
    """A counter of the client with this code."""

    nome_balcao: Name
    user_codigo: Code


class RegisteredClient(BaseModel):
    """The code with which the client's counters are registered and its first password is set."""

    codigo: str


class RegisteredCounter(BaseModel):
    """A counter's key, shown this once."""

    api_key: str
    balcao_id: str
    status: Literal["registered"] = "registered"


@router.post("/cadastro/cliente", status_code=201)
async def register_client(new: NewClient, who: Registrar, here: ReplicaHere, address: AddressHere) -> RegisteredClient:
    """Register a chain; its code registers counters."""
    await here.access.act(who, "cadastrar cliente", new.email, address)
    client = await here.door.accounts.register_client(new.email, new.razao_social, new.telefone)
    return RegisteredClient(codigo=client.code)


@router.post("/cadastro/balcao")
async def register_counter(
    new: NewCounter, who: Registrar, here: ReplicaHere, address: AddressHere
) -> RegisteredCounter:
    """Register a counter; its key is shown this once."""
    await here.access.act(who, "cadastrar balcão", new.user_codigo, address, nome=new.nome_balcao)
    counter, key = await here.door.accounts.register_counter(new.user_codigo, new.nome_balcao)
    return RegisteredCounter(api_key=key, balcao_id=counter.counter_id)
