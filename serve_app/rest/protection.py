"""What every answer carries and no request may exceed: security headers, sizes, and no orders from foreign pages."""

import json
import logging
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.access import AccessSettings
from serve_app.rest.guards import SAFE_METHODS, is_foreign, is_tls

log = logging.getLogger("balto.routes")

TRIAL_PATHS: Final = ("/api/test/segmentar", "/api/test/transcrever")
MULTIPART_OVERHEAD_BYTES: Final = 4096
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "media-src 'self' blob:; worker-src 'self'; font-src 'self'; manifest-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=(), payment=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
HSTS: Final = "max-age=31536000; includeSubDomains"
TOO_LARGE: Final = "o corpo do pedido passa do limite de {limit} bytes"


class Protection:
    """ASGI middleware around the application's HTTP side; WebSockets pass as they are."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; a fault of ours is a 500 that tells nothing but that."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        answer = _Answer(send, is_tls(scope.get("scheme", "http"), headers))
        limit = self._limit(scope)
        refusal = _refusal(scope["method"], headers, limit)
        if refusal is not None:
            await answer.error(*refusal)
            return
        try:
            await self._app(scope, _Counted(receive, limit), answer)
        except Exception as exc:  # the rim: whatever it is, the asker learns no more than that it failed
            log.error("request_failed error=%s at=%s", type(exc).__name__, _where(exc))
            if answer.started:
                raise
            await answer.error(500, "erro interno; foi registrado")

    def _limit(self, scope: Scope) -> int:
        settings: AccessSettings = scope["app"].state.replica().access.settings
        if scope["path"] in TRIAL_PATHS:
            return settings.trial_audio_max_bytes + MULTIPART_OVERHEAD_BYTES
        return settings.body_max_bytes


def _refusal(method: str, headers: Headers, limit: int) -> tuple[int, str] | None:
    length = headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()):
        return 400, "Content-Length inválido"
    if len(length) > 15 or int(length) > limit:
        return 413, TOO_LARGE.format(limit=limit)
    if method not in SAFE_METHODS and is_foreign(headers, headers.get("host", "")):
        return 403, "pedido de uma página de outro endereço"
    return None


class _Counted:
    """A request's body, which ends in 413 where it grows beyond the limit, whatever it said of its length."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self._receive = receive
        self._limit = limit
        self._left = limit

    async def __call__(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._left -= len(message.get("body", b""))
            if self._left < 0:
                raise HTTPException(413, TOO_LARGE.format(limit=self._limit))
        return message


class _Answer:
    """Sends an answer with the security headers on it."""

    def __init__(self, send: Send, tls: bool) -> None:
        self._send = send
        self._tls = tls
        self.started = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-store")
            if self._tls:
                headers["Strict-Transport-Security"] = HSTS
        await self._send(message)

    async def error(self, status: int, text: str) -> None:
        """An answer of our own, before or instead of the application's."""
        body = json.dumps({"error": text}, ensure_ascii=False).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await self({"type": "http.response.start", "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": body})


def _where(exc: BaseException) -> str:
    """Where an exception was raised, without its text, which may carry what somebody said."""
    frame = exc.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    return "?" if frame is None else f"{frame.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{frame.tb_lineno}"
