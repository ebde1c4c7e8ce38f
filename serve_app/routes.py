"""HTTP and WebSocket routes of the door, on Starlette and FastAPI; knows nothing of Ray."""

import hmac
import html
import logging
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Protocol

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from deployments.telemetry.errors import EmailTaken, StoreUnavailable, UnknownClient
from serve_app import __version__
from serve_app.door import Door
from serve_app.settings import AccessSettings
from serve_app.stages import StageError

log = logging.getLogger("balto.routes")


class Replica(Protocol):
    """What the routes reach of the replica that they run in."""

    door: Door
    access: AccessSettings

    async def health(self) -> dict[str, Any]:
        """What the stages say of themselves."""


class NewClient(BaseModel):
    """A chain or a pharmacy."""

    model_config = ConfigDict(extra="forbid")

    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$", max_length=254)
    razao_social: str = Field(min_length=1, max_length=200)
    telefone: str = Field(min_length=1, max_length=40)


class NewCounter(BaseModel):
    """A counter of the client with this code."""

    model_config = ConfigDict(extra="forbid")

    nome_balcao: str = Field(min_length=1, max_length=200)
    user_codigo: str = Field(min_length=1, max_length=64)


_PAGE: Final = """<!doctype html><html lang="pt-BR"><meta charset="utf-8"><title>Balto</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body {{ font: 1.1rem/1.6 system-ui, sans-serif; max-width: 40rem; margin: 3rem auto; padding: 0 1rem }}
code {{ background: #eee; padding: .1em .3em }}
</style>
<h1>Balto</h1><p>O serviço está no ar (versão {version}). Os balcões se conectam em <code>{socket}</code>.</p>
<ul><li><a href="/saude">Saúde do serviço</a></li><li><a href="/docs">API</a></li></ul></html>"""


def create_app(replica: Callable[[], Replica]) -> FastAPI:
    """The ASGI application; `replica` gives the replica that a request is served by."""
    app = FastAPI(title="Balto", version=__version__, redoc_url=None)

    async def counter_socket(socket: WebSocket) -> None:
        await replica().door.counter(socket)

    app.router.routes.append(WebSocketRoute("/ws", counter_socket))
    _add_error_handlers(app)
    _add_public_routes(app, replica)
    _add_admin_routes(app, replica)
    return app


def _administrator(replica: Callable[[], Replica]) -> Callable[[Request], Awaitable[None]]:
    async def administrator(request: Request) -> None:
        secret = replica().access.admin_secret
        if secret is None:
            raise HTTPException(503, "defina ADMIN_SECRET no ambiente do servidor para administrar")
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(given.encode(), secret.get_secret_value().encode()):
            raise HTTPException(401, "apresente o segredo do administrador: Authorization: Bearer …")

    return administrator


def _add_public_routes(app: FastAPI, replica: Callable[[], Replica]) -> None:
    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def page(request: Request) -> str:
        scheme = "wss" if request.url.scheme == "https" else "ws"
        return _PAGE.format(version=__version__, socket=html.escape(f"{scheme}://{request.url.netloc}/ws"))

    @app.get("/saude")
    async def health(request: Request) -> dict[str, Any]:
        """Alive or not, degraded or not; the details with the administrator's token."""
        state = await replica().health()
        try:
            await _administrator(replica)(request)
        except HTTPException:
            return {"estado": state["estado"], "versao": __version__}
        return state


def _add_admin_routes(app: FastAPI, replica: Callable[[], Replica]) -> None:
    administrator = _administrator(replica)

    async def may_register(request: Request) -> None:
        if not replica().access.open_registration:
            await administrator(request)

    @app.post("/cadastro/cliente", status_code=201, dependencies=[Depends(may_register)])
    async def register_client(new: NewClient) -> dict[str, str]:
        """Register a chain; its code registers counters."""
        client = await replica().door.accounts.register_client(new.email, new.razao_social, new.telefone)
        return {"codigo": client.code}

    @app.post("/cadastro/balcao", dependencies=[Depends(may_register)])
    async def register_counter(new: NewCounter) -> dict[str, str]:
        """Register a counter; its key is shown this once."""
        counter, key = await replica().door.accounts.register_counter(new.user_codigo, new.nome_balcao)
        return {"api_key": key, "balcao_id": counter.counter_id, "status": "registered"}

    @app.get("/api/data/interacoes", dependencies=[Depends(administrator)])
    async def interactions(
        limite: Annotated[int, Query(ge=1, le=1000)] = 100,
        deslocamento: Annotated[int, Query(ge=0)] = 0,
        sessao: Annotated[str | None, Query(max_length=64)] = None,
        balcao: Annotated[str | None, Query(max_length=64)] = None,
    ) -> dict[str, Any]:
        """What was recorded, newest first."""
        rows = await replica().door.records.interactions(
            limit=limite, offset=deslocamento, session_id=sessao, counter_id=balcao
        )
        return {"interacoes": rows}


def _add_error_handlers(app: FastAPI) -> None:
    """Every error is `{"error": "…"}` with the right status."""

    def answer(status: int, text: str) -> JSONResponse:
        return JSONResponse({"error": text}, status)

    @app.exception_handler(StarletteHTTPException)
    async def http_error(_: Request, exc: StarletteHTTPException) -> JSONResponse:
        return answer(exc.status_code, str(exc.detail))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, exc: RequestValidationError) -> JSONResponse:
        first = exc.errors()[0]
        return answer(422, f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}")

    @app.exception_handler(EmailTaken)
    async def email_taken(_: Request, exc: EmailTaken) -> JSONResponse:
        return answer(409, "já existe um cliente com este e-mail")

    @app.exception_handler(UnknownClient)
    async def unknown_client(_: Request, exc: UnknownClient) -> JSONResponse:
        return answer(404, "nenhum cliente tem este código")

    @app.exception_handler(StoreUnavailable)
    async def store_unavailable(_: Request, exc: StoreUnavailable) -> JSONResponse:
        return answer(503, "o banco de dados está fora do ar; tente de novo em instantes")

    @app.exception_handler(StageError)
    async def stage_unavailable(_: Request, exc: StageError) -> JSONResponse:
        return answer(503, "uma parte do serviço não respondeu; tente de novo em instantes")
