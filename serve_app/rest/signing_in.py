"""Signing in and out, and setting passwords."""

from typing import Literal

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import BaseModel

from serve_app.access import AccessRefused, SignedIn
from serve_app.rest.fields import Body, Code, Email, NewPassword, Secret
from serve_app.rest.guards import (
    COOKIE,
    SECURE_COOKIE,
    AddressHere,
    Anybody,
    ReplicaHere,
    SignedInClient,
    SignedInPerson,
    TokenHolder,
    is_secure,
    principal_of,
)

router = APIRouter(tags=["acesso"])


class Password(Body):
    """The administrator's password."""

    password: Secret


class EmailAndPassword(Body):
    """A client's e-mail and password."""

    email: Email
    password: Secret


class NewAdministratorPassword(Body):
    """A new password, and the one-time secret or the present password as proof."""

    segredo: Secret
    senha: NewPassword


class FirstPassword(Body):
    """A client's first password, with its registration code as proof."""

    email: Email
    codigo: Code
    senha: NewPassword


class ChangedPassword(Body):
    """A client's new password, with the present one as proof."""

    senha_atual: Secret
    senha: NewPassword


class Session(BaseModel):
    """A new session; its cookie comes beside it."""

    papel: Literal["administrador", "cliente"]
    csrf: str
    """To be repeated in the header `X-Balto-CSRF` of every POST, PUT, PATCH and DELETE."""
    expira_em_s: int


class Done(BaseModel):
    """It was done."""

    status: Literal["ok"] = "ok"


class SetupSecret(BaseModel):
    """The one-time secret, shown this once."""

    segredo: str
    vale_h: float


class Me(BaseModel):
    """Who asks."""

    papel: Literal["administrador", "cliente", "ninguem"]
    por: Literal["token", "sessao", ""]
    nome: str = ""
    email: str = ""
    codigo: str = ""
    csrf: str = ""
    expira_em: int | None = None
    """Seconds since 1970."""
    senha_definida: bool | None = None
    """For the administrator's token: whether the administrator's password is set."""


@router.post("/admin/login")
async def sign_in_administrator(
    given: Password, request: Request, response: Response, _: Anybody, here: ReplicaHere, address: AddressHere
) -> Session:
    """The administrator signs in with a password."""
    signed_in = await here.access.sign_in_administrator(given.password, address)
    await here.access.act(signed_in.principal, "entrar", "", address)
    return _begin(signed_in, request, response)


@router.post("/cliente/login")
async def sign_in_client(
    given: EmailAndPassword, request: Request, response: Response, _: Anybody, here: ReplicaHere, address: AddressHere
) -> Session:
    """A client signs in with e-mail and password."""
    signed_in = await here.access.sign_in_client(given.email, given.password, address)
    await here.access.act(signed_in.principal, "entrar", "", address)
    return _begin(signed_in, request, response)


@router.post("/sair")
async def sign_out(request: Request, response: Response, who: SignedInPerson, here: ReplicaHere) -> Done:
    """End this session on every replica."""
    await here.access.sign_out(who)
    response.delete_cookie(_cookie_name(request), path="/", secure=is_secure(request), httponly=True, samesite="strict")
    return Done()


@router.post("/admin/segredo")
async def new_setup_secret(who: TokenHolder, here: ReplicaHere, address: AddressHere) -> SetupSecret:
    """A one-time secret with which the administrator's password is set: at the first start, or when it was lost."""
    await here.access.act(who, "criar segredo inicial", "", address)
    secret = await here.access.new_setup_secret()
    return SetupSecret(segredo=secret, vale_h=here.access.settings.setup_secret_h)


@router.post("/admin/senha")
async def set_administrator_password(
    given: NewAdministratorPassword, who: Anybody, here: ReplicaHere, address: AddressHere
) -> Done:
    """Set the administrator's password; every session of before ends."""
    await here.access.set_administrator_password(given.segredo, given.senha, address)
    await here.access.act(who, "definir senha do administrador", "", address)
    return Done()


@router.post("/cliente/senha")
async def set_client_password(given: FirstPassword, who: Anybody, here: ReplicaHere, address: AddressHere) -> Done:
    """Set a client's first password with its registration code."""
    client = await here.access.set_client_password(given.email, given.codigo, given.senha, address)
    await here.access.act(who, "definir senha do cliente", client.client_id, address)
    return Done()


@router.put("/cliente/senha")
async def change_client_password(
    given: ChangedPassword, who: SignedInClient, here: ReplicaHere, address: AddressHere
) -> Done:
    """A signed-in client changes its password; every session of before ends."""
    try:
        await here.access.change_client_password(who.account_id, given.senha_atual, given.senha, address)
    except AccessRefused as exc:
        raise HTTPException(403, str(exc)) from None
    await here.access.act(who, "mudar senha", "", address)
    return Done()


@router.get("/api/eu")
async def me(request: Request, _: Anybody, here: ReplicaHere) -> Me:
    """Who asks; nobody is an answer too."""
    who = await principal_of(request)
    if who.role is None:
        return Me(papel="ninguem", por="")
    expires_at = who.ticket.expires_at_s if who.ticket is not None else None
    found = Me(papel=who.role, por="token" if who.ticket is None else "sessao", csrf=who.csrf, expira_em=expires_at)
    if who.ticket is None:
        found.senha_definida = not await here.access.needs_setup()
    if who.client_id:
        client = await here.door.records.find_client_by_id(who.client_id)
        if client is not None:
            found.nome, found.email, found.codigo = client.company, client.email, client.code
    return found


def _begin(signed_in: SignedIn, request: Request, response: Response) -> Session:
    response.set_cookie(
        _cookie_name(request),
        signed_in.cookie,
        max_age=signed_in.max_age_s,
        path="/",
        secure=is_secure(request),
        httponly=True,
        samesite="strict",
    )
    who = signed_in.principal
    return Session(papel=who.role or "cliente", csrf=who.csrf, expira_em_s=signed_in.max_age_s)


def _cookie_name(request: Request) -> str:
    return SECURE_COOKIE if is_secure(request) else COOKIE
