"""What is kept of one session: given out, and erased, as the law on personal data lets people ask."""

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from pydantic import BaseModel

from serve_app.access import Principal
from serve_app.rest.fields import Identity, Offset
from serve_app.rest.guards import AddressHere, Replica, ReplicaHere, SignedInPerson

router = APIRouter(prefix="/api/data/sessao", tags=["privacidade"])

Rows = Annotated[int, Query(ge=1, le=5_000)]


class Gone(BaseModel):
    """How much was erased: rows in the database, rows on their way to it, files of audio."""

    interacoes: int
    retornos: int
    na_fila: int
    audios: int


@router.get("/{sessao_id}")
async def export(
    sessao_id: Identity,
    who: SignedInPerson,
    here: ReplicaHere,
    address: AddressHere,
    limite: Rows = 1_000,
    deslocamento: Offset = 0,
) -> dict[str, Any]:
    """Everything kept of a session; `mais` says whether there is more than `limite` rows."""
    await _own_session(here, who, sessao_id)
    await here.access.act(who, "exportar sessão", sessao_id, address)
    return await here.door.records.export_session(sessao_id, limite, deslocamento)


@router.delete("/{sessao_id}")
async def erase(sessao_id: Identity, who: SignedInPerson, here: ReplicaHere, address: AddressHere) -> Gone:
    """Erase everything kept of a session. It cannot be undone; backups keep it until they are replaced."""
    await _own_session(here, who, sessao_id)
    await here.access.act(who, "apagar sessão", sessao_id, address)
    erased = asdict(await here.door.records.erase_session(sessao_id))
    return Gone(
        interacoes=erased["interactions"],
        retornos=erased["feedback"],
        na_fila=erased["waiting"],
        audios=erased["audio"],
    )


async def _own_session(here: Replica, who: Principal, session_id: str) -> None:
    """Raises HTTPException 404 where a client asks for a session that is not its own, or that nothing is kept of."""
    if who.is_administrator:
        return
    state = await here.door.records.session_state(session_id)
    counter = await here.door.records.find_counter_by_id(state.counter_id) if state.counter_id else None
    if counter is None or counter.client_id != who.client_id:
        raise HTTPException(404, "nada está guardado desta sessão")
