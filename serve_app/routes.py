"""HTTP and WebSocket routes of the door, on Starlette and FastAPI; knows nothing of Ray."""

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from serve_app import __version__, pages
from serve_app.rest import administration, console, costs, data, document, registration, sessions, signing_in, trial
from serve_app.rest.errors import RESPONSES, add_error_handlers
from serve_app.rest.guards import Anybody, Replica, ReplicaHere, is_administrator
from serve_app.rest.protection import Protection

ROUTERS = (
    signing_in.router,
    registration.router,
    data.router,
    costs.router,
    sessions.router,
    administration.router,
    administration.operating,
    trial.router,
    console.router,
    console.page_router,
)
"""Each of their routes names its rule (`rest/guards.py`); a test holds every route of the application to that."""


def create_app(replica: Callable[[], Replica]) -> FastAPI:
    """The ASGI application; `replica` gives the replica that a request is served by."""
    app = FastAPI(title="Balto", version=__version__, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.replica = replica

    async def counter_socket(socket: WebSocket) -> None:
        await replica().door.counter(socket)

    app.router.routes.append(WebSocketRoute("/ws", counter_socket))
    pages.add_to(app)
    app.include_router(document.router)
    app.include_router(_health_router(), responses=RESPONSES)
    for router in ROUTERS:
        app.include_router(router, responses=RESPONSES)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]
    add_error_handlers(app)
    app.add_middleware(Protection)
    return app


def _document(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        app.openapi_schema = document.openapi_of(app)
    return app.openapi_schema


def _health_router() -> APIRouter:
    router = APIRouter(tags=["saúde"])

    @router.get("/saude")
    async def health(request: Request, _: Anybody, here: ReplicaHere) -> dict[str, Any]:
        """Alive or not, degraded or not; the details for the administrator."""
        state = await here.health()
        if await is_administrator(request):
            return state
        return {"estado": state["estado"], "versao": __version__}

    return router
