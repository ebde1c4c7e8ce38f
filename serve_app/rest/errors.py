"""Every error is `{"error": "…"}` with the right status, in Portuguese for whoever reads it on a screen."""

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException

from audio.errors import AudioInvalid, VadSettingsInvalid
from deployments.telemetry.errors import (
    EmailTaken,
    KeyTaken,
    StoreRefused,
    StoreUnavailable,
    TelemetryError,
    UnknownClient,
    UnknownCounter,
)
from serve_app.access import AccessRefused, TooManyFailures
from serve_app.rest.guards import methods_at
from serve_app.stages import StageError


class Error(BaseModel):
    """What went wrong and what to do."""

    error: str


RESPONSES: dict[int | str, dict[str, object]] = {
    status: {"model": Error, "description": text}
    for status, text in {
        400: "o pedido não pode ser lido",
        401: "entre primeiro, ou o que foi apresentado não confere",
        403: "esta conta não tem acesso a isto, ou a página não é nossa",
        404: "não existe, ou é de outro cliente",
        409: "já existe",
        413: "grande demais",
        422: "um campo não serve; o texto diz qual",
        429: "tentativas demais; Retry-After diz quando tentar de novo",
        503: "o banco de dados ou uma parte do serviço está fora do ar",
    }.items()
}
"""Of every route, for the OpenAPI document."""

_FIXED: dict[type[Exception], tuple[int, str]] = {
    EmailTaken: (409, "já existe um cliente com este e-mail"),
    KeyTaken: (409, "já existe um balcão com esta chave"),
    UnknownClient: (404, "nenhum cliente tem este código"),
    UnknownCounter: (404, "nenhum balcão tem este id"),
    StoreRefused: (422, "o banco de dados não aceita estes valores"),
    StoreUnavailable: (503, "o banco de dados está fora do ar; tente de novo em instantes"),
    TelemetryError: (503, "o registro está fora do ar; tente de novo em instantes"),
    StageError: (503, "uma parte do serviço não respondeu; tente de novo em instantes"),
}
_SPOKEN: dict[type[Exception], int] = {AccessRefused: 401, AudioInvalid: 422, VadSettingsInvalid: 422}
"""Errors whose own text is meant for people."""


def add_error_handlers(app: FastAPI) -> None:
    """Translate every error that routes raise."""
    for kind in (*_FIXED, *_SPOKEN):
        app.add_exception_handler(kind, _known)
    app.add_exception_handler(StarletteHTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(TooManyFailures, _throttled)


async def _known(_: Request, exc: Exception) -> JSONResponse:
    for kind in type(exc).__mro__:
        if kind in _SPOKEN:
            return answer(_SPOKEN[kind], str(exc))
        if kind in _FIXED:
            return answer(*_FIXED[kind])
    raise exc


async def _http(request: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, StarletteHTTPException)
    if exc.status_code == 405:  # the router names the methods of the first route at this path only
        return answer(405, "método não permitido aqui", {"Allow": ", ".join(methods_at(request.app, request.url.path))})
    text = "não existe" if str(exc.detail) == "Not Found" else str(exc.detail)
    return answer(exc.status_code, text, exc.headers)


async def _invalid(_: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, RequestValidationError)
    first = exc.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return answer(422, f"{where}: {first['msg']}".encode("utf-8", "replace").decode())


async def _throttled(_: Request, exc: Exception) -> JSONResponse:
    assert isinstance(exc, TooManyFailures)
    wait_s = max(1, int(exc.wait_s + 0.999))
    return answer(429, f"tentativas demais; tente de novo em {wait_s} s", {"Retry-After": str(wait_s)})


def answer(status: int, text: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error as it goes out."""
    return JSONResponse({"error": text}, status, headers)
