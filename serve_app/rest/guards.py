"""Who may use a route: every route names one `Rule`, and what is not named is for nobody."""

# No `from __future__ import annotations` in this package: FastAPI reads the real annotations.
import hmac
import re
from enum import Enum
from typing import Annotated, Any, Final, Protocol
from urllib.parse import urlsplit

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.routing import RouteContext, iter_route_contexts
from starlette.datastructures import Headers
from starlette.routing import WebSocketRoute

from deployments.telemetry.errors import StoreUnavailable
from deployments.telemetry.records import Client, Counter
from serve_app.access import NOBODY, Access, Principal
from serve_app.door import Door
from serve_app.stages import StageError

COOKIE: Final = "balto_sessao"
SECURE_COOKIE: Final = "__Host-balto_sessao"
"""The prefix has browsers refuse it from any other host and without TLS."""
CSRF_HEADER: Final = "x-balto-csrf"
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_ADDRESS: Final = re.compile(r"[0-9a-fA-F.:]{2,45}")


class Rule(str, Enum):
    """Who may use a route."""

    PUBLIC = "publico"
    """Anybody."""
    REGISTRATION = "cadastro"
    """The administrator; anybody where `open_registration` is on."""
    SIGNED_IN = "sessao"
    """The administrator, who sees everything, or a client, who sees what is its own."""
    CLIENT = "cliente"
    """A signed-in client."""
    ADMINISTRATOR = "administrador"
    """The administrator, by token or by session."""
    TOKEN = "token"  # noqa: S105 - the name of it
    """The administrator's token alone: a stolen session must not be enough."""


class Replica(Protocol):
    """What the routes reach of the replica that they run in."""

    door: Door
    access: Access

    async def health(self) -> dict[str, Any]:
        """What the stages say of themselves."""


def replica_of(request: Request) -> Replica:
    """The replica that serves this request."""
    replica: Replica = request.app.state.replica()
    return replica


class Allows:
    """The dependency that holds a route to its rule; gives the route who asks."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule

    async def __call__(self, request: Request) -> Principal:
        """Raises HTTPException 401 (sign in first), 403 (signed in, but not for this), 503 (no token is set)."""
        access = replica_of(request).access
        if self.rule is Rule.PUBLIC or (self.rule is Rule.REGISTRATION and access.settings.open_registration):
            return NOBODY
        who = await principal_of(request)
        if who.role is None:
            raise HTTPException(401, _how_to_sign_in(access), {"WWW-Authenticate": 'Bearer realm="balto"'})
        if not self._admits(who):
            raise HTTPException(403, "esta conta não tem acesso a isto")
        return who

    def _admits(self, who: Principal) -> bool:
        if self.rule is Rule.CLIENT:
            return who.role == "cliente"
        if self.rule is Rule.TOKEN:
            return who.is_administrator and who.ticket is None
        return who.is_administrator or self.rule is Rule.SIGNED_IN


def _how_to_sign_in(access: Access) -> str:
    if access.settings.admin_secret is None:
        return "entre primeiro (POST /admin/login); para programas, defina ADMIN_SECRET no ambiente do servidor"
    return "entre primeiro (POST /admin/login ou /cliente/login), ou apresente Authorization: Bearer …"


ReplicaHere = Annotated[Replica, Depends(replica_of)]
Anybody = Annotated[Principal, Depends(Allows(Rule.PUBLIC))]
Registrar = Annotated[Principal, Depends(Allows(Rule.REGISTRATION))]
SignedInPerson = Annotated[Principal, Depends(Allows(Rule.SIGNED_IN))]
SignedInClient = Annotated[Principal, Depends(Allows(Rule.CLIENT))]
Administrator = Annotated[Principal, Depends(Allows(Rule.ADMINISTRATOR))]
TokenHolder = Annotated[Principal, Depends(Allows(Rule.TOKEN))]


async def principal_of(request: Request) -> Principal:
    """Who asks, by token or cookie. Raises HTTPException 403 for an order that a foreign page may have forged."""
    access = replica_of(request).access
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return access.by_token(token.strip())
    cookie = request.cookies.get(SECURE_COOKIE if is_secure(request) else COOKIE)
    if cookie is None:
        return NOBODY
    who = await access.by_cookie(cookie)
    if who.role is not None and request.method not in SAFE_METHODS and not _repeats_csrf(request, who):
        raise HTTPException(403, "falta o cabeçalho X-Balto-CSRF desta sessão (GET /api/eu diz qual é)")
    return who


def _repeats_csrf(request: Request, who: Principal) -> bool:
    return hmac.compare_digest(request.headers.get(CSRF_HEADER, "").encode(), who.csrf.encode())


def is_foreign(headers: Headers, host: str) -> bool:
    """True when a browser says that a page of another host sends this."""
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc.lower() != host.lower()


def is_secure(request: Request) -> bool:
    """False only for plain HTTP to this very machine, where a Secure cookie would never come back."""
    return is_tls(request.url.scheme, request.headers) or (request.url.hostname or "") not in LOOPBACK


def is_tls(scheme: str, headers: Headers) -> bool:
    """Whether the browser's end of the connection is TLS, as far as the proxy in front says."""
    return scheme in ("https", "wss") or headers.get("x-forwarded-proto", "").lower() == "https"


def address_of(request: Request) -> str:
    """Where a request comes from, for the throttle and the log of acts; `desconhecido` where that cannot be told.

    Behind `forwarded_hops` proxies of ours it is the entry that the outermost of them wrote. A header that nobody of
    ours wrote is not believed: the server in front of the application may already have taken the address from it.
    """
    hops = replica_of(request).access.settings.forwarded_hops
    forwarded = [entry.strip() for entry in ",".join(request.headers.getlist("x-forwarded-for")).split(",")]
    if hops:
        address = forwarded[-hops] if len(forwarded) >= hops else ""
    else:
        address = "" if any(forwarded) or request.client is None else request.client.host
    return address if _ADDRESS.fullmatch(address) else "desconhecido"


AddressHere = Annotated[str, Depends(address_of)]


async def is_administrator(request: Request) -> bool:
    """Whether the administrator asks; False too where that cannot be told now."""
    try:
        return (await principal_of(request)).is_administrator
    except (StoreUnavailable, StageError):
        return False


async def own_counter(replica: Replica, who: Principal, counter_id: str) -> Counter:
    """The counter, if the asker may see it. Raises HTTPException 404, the same whether it is missing or another's."""
    counter = await replica.door.records.find_counter_by_id(counter_id)
    if counter is None or who.client_id not in ("", counter.client_id):
        raise HTTPException(404, "nenhum balcão tem este id")
    return counter


async def own_client(replica: Replica, who: Principal, code: str) -> Client:
    """The client of this code, if the asker may see it. Raises HTTPException 404."""
    client = await replica.door.records.find_client(code)
    if client is None or who.client_id not in ("", client.client_id):
        raise HTTPException(404, "nenhum cliente tem este código")
    return client


def http_routes(app: FastAPI) -> list[RouteContext]:
    """Every HTTP route of the application, those of its routers too."""
    return [route for route in iter_route_contexts(app.routes) if not isinstance(route.route, WebSocketRoute)]


def methods_at(app: FastAPI, path: str) -> list[str]:
    """Every method that some route takes at this path."""
    here = [route for route in http_routes(app) if route.path_regex.match(path)]
    return sorted({method for route in here for method in route.methods or ()})


def rule_of(route: RouteContext) -> Rule | None:
    """The rule that a route is held to; None where it has none, or more than one, which no route of ours may."""
    dependant = getattr(route, "dependant", None)
    calls = [] if dependant is None else [dependency.call for dependency in dependant.dependencies]
    rules = [call.rule for call in calls if isinstance(call, Allows)]
    return rules[0] if len(rules) == 1 else None
