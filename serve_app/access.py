"""Who may do what over REST: signing in and out, passwords, the administrator's token, and the log of acts."""

from __future__ import annotations

import hmac
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from deployments.metrics import Metrics
from deployments.telemetry.access import AccessStore, Act, Standing
from deployments.telemetry.errors import StoreUnavailable
from deployments.telemetry.records import Client
from serve_app.passwords import Passwords, digest
from serve_app.stages import StageError
from serve_app.throttle import Limit, Throttle
from serve_app.ticket import Role, Ticket, csrf_token, new_ticket, seal, unseal

log = logging.getLogger("balto.access")

ADMINISTRATOR: Final = "administrador"
"""Account id of the administrator's password; clients' are their client ids."""
SIGNING_KEY: Final = "assinatura"
SETUP_SECRET: Final = "senha_inicial"  # noqa: S105 - the name of it


class AccessSettings(BaseModel):
    """Who may administer, and for how long. The secret comes from `ADMIN_SECRET`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    admin_secret: SecretStr | None = None
    """A bearer token with all of the administrator's rights, for programs. None: only the password signs in."""
    open_registration: bool = False
    """Development only: anybody may register clients and counters."""
    session_h: float = Field(12.0, gt=0, le=24 * 31)
    """How long a signed-in session lasts."""
    standing_cache_s: float = Field(3.0, ge=0, le=60)
    """A session that was ended, or whose password was changed, stops working on every replica within this time."""
    standing_cache_max: int = Field(10_000, ge=1)
    setup_secret_h: float = Field(24.0, gt=0, le=24 * 31)
    """How long the one-time secret works with which the administrator's password is set."""
    failures_window_s: float = Field(900.0, gt=0, le=86_400)
    failures_from_address_max: int = Field(30, ge=1)
    """Wrong passwords, codes and secrets from one address within the window, on one replica."""
    failures_at_account_max: int = Field(10, ge=1)
    """The same at one account from one address; ten times as many from all addresses together."""
    forwarded_hops: int = Field(0, ge=0, le=5)
    """How many proxies of ours append to `X-Forwarded-For`: 1 behind the nginx of `ops/`. With 0 the header is not
    believed, and requests that carry it count as one address."""
    body_max_bytes: int = Field(65_536, ge=1024)
    """Of any request but those that bring audio."""
    trial_audio_max_bytes: int = Field(4_000_000, ge=32_000)
    """Of audio for `/api/test/…`, as it is sent and as it is decoded: 4,000,000 is 125 s of PCM."""
    trials_per_minute_max: int = Field(30, ge=1)
    """Calls of `/api/test/…` by one account on one replica: they cost money where a provider's key is set."""
    export_max_rows: int = Field(100_000, ge=1)


class AccessRefused(Exception):
    """What was presented is not right; the text says so in Portuguese, and nothing of what was presented."""


class TooManyFailures(Exception):
    """Too many wrong tries."""

    def __init__(self, wait_s: float = 0.0) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s
        """Seconds after which another try is looked at."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. Nobody has no role; `ticket` is None for the token, which needs no protection against forged forms."""

    role: Role | None = None
    account_id: str = ""
    ticket: Ticket | None = None
    csrf: str = ""

    @property
    def is_administrator(self) -> bool:
        """True for the administrator, by token or by session."""
        return self.role == "administrador"

    @property
    def client_id(self) -> str:
        """The client that the view is held to; empty for the administrator."""
        return self.account_id if self.role == "cliente" else ""

    @property
    def name(self) -> str:
        """What the log of acts calls them."""
        if self.role is None:
            return "ninguém"
        if self.is_administrator:
            return "administrador" if self.ticket is not None else "administrador (token)"
        return f"cliente {self.account_id}"


NOBODY: Final = Principal()


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A new session: its cookie's value, how long it lasts, and what pages repeat in `X-Balto-CSRF`."""

    cookie: str
    max_age_s: int
    principal: Principal


class Access:
    """One replica's judgement. Sessions are signed with a key that lies in the database, so every replica knows them
    and they outlive a restart; they end early when signed out or when the password changes."""

    def __init__(
        self,
        settings: AccessSettings,
        store: AccessStore,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
        passwords: Passwords | None = None,
    ) -> None:
        self.settings = settings
        self.store = store
        self._metrics = metrics
        self._clock = clock
        self._passwords = passwords or Passwords()
        self._key: bytes | None = None
        self._standings: OrderedDict[str, tuple[Standing, float]] = OrderedDict()
        window_s = settings.failures_window_s
        self._by_address = Throttle(Limit(settings.failures_from_address_max, window_s))
        self._by_account = Throttle(Limit(settings.failures_at_account_max, window_s))
        self._by_account_anywhere = Throttle(Limit(10 * settings.failures_at_account_max, window_s))
        self._trials = Throttle(Limit(settings.trials_per_minute_max, 60.0))

    def by_token(self, token: str) -> Principal:
        """The administrator if this is the token, else nobody."""
        secret = self.settings.admin_secret
        if secret is None or not hmac.compare_digest(_bytes(token), _bytes(secret.get_secret_value())):
            return NOBODY
        return Principal("administrador", ADMINISTRATOR)

    async def by_cookie(self, cookie: str) -> Principal:
        """Who signed in with this cookie; nobody where it is forged, expired, signed out or of an older password.

        Raises StoreUnavailable or StageError while the database is away, save for sessions that it knew before.
        """
        key = await self._signing_key()
        ticket = unseal(cookie, key, self._clock())
        if ticket is None:
            return NOBODY
        standing = await self._standing(ticket)
        if standing.ended or standing.version != ticket.version:
            return NOBODY
        return Principal(ticket.role, ticket.account_id, ticket, csrf_token(ticket, key))

    async def sign_in_administrator(self, password: str, address: str) -> SignedIn:
        """A session for the administrator's password. Raises AccessRefused, TooManyFailures."""
        tried = self._try(ADMINISTRATOR, address)
        return await self._sign_in("administrador", ADMINISTRATOR, password, tried, "senha errada")

    async def sign_in_client(self, email: str, password: str, address: str) -> SignedIn:
        """A session for a client. Raises AccessRefused, TooManyFailures."""
        tried = self._try(email, address)
        client = await self.store.find_client_by_email(email)
        account_id = client.client_id if client is not None else ""
        return await self._sign_in("cliente", account_id, password, tried, "e-mail ou senha errados")

    async def sign_out(self, principal: Principal) -> None:
        """End the session on every replica, within `standing_cache_s`."""
        if principal.ticket is not None:
            expires_at = datetime.fromtimestamp(principal.ticket.expires_at_s, timezone.utc)
            await self.store.end_session(principal.ticket.session_id, expires_at)
            self._standings.pop(principal.ticket.session_id, None)

    async def needs_setup(self) -> bool:
        """True until the administrator's password is set."""
        return not (await self.store.credential(ADMINISTRATOR)).password_hash

    async def new_setup_secret(self) -> str:
        """A secret with which the administrator's password is set once; an earlier one is void."""
        secret = secrets.token_urlsafe(18)
        expires_at = datetime.now(timezone.utc) + timedelta(hours=self.settings.setup_secret_h)
        await self.store.put_one_time(SETUP_SECRET, digest(secret), expires_at)
        return secret

    async def set_administrator_password(self, proof: str, password: str, address: str) -> None:
        """Set the password; `proof` is the one-time secret or the present password. Raises AccessRefused."""
        tried = self._try(ADMINISTRATOR, address)
        credential = await self.store.credential(ADMINISTRATOR)
        right = await self._passwords.right(credential.password_hash, proof)
        if not right and not await self.store.take_one_time(SETUP_SECRET, digest(proof)):
            raise self._refused("o segredo não confere; peça outro no terminal do servidor")
        await self._set_password(ADMINISTRATOR, password, credential.version, tried)

    async def set_client_password(self, email: str, code: str, password: str, address: str) -> Client:
        """Set a client's first password with its registration code. Raises AccessRefused where one is set already."""
        tried = self._try(email, address)
        client = await self.store.find_client_by_email(email)
        if client is None or not hmac.compare_digest(_bytes(client.code), _bytes(code.strip())):
            raise self._refused("e-mail ou código errados")
        credential = await self.store.credential(client.client_id)
        if credential.password_hash:
            raise AccessRefused("este cliente já tem senha; quem a perdeu pede ao administrador que a apague")
        await self._set_password(client.client_id, password, credential.version, tried)
        return client

    async def change_client_password(self, client_id: str, present: str, password: str, address: str) -> None:
        """Change a client's password. Raises AccessRefused."""
        tried = self._try(client_id, address)
        credential = await self.store.credential(client_id)
        if not await self._passwords.right(credential.password_hash, present):
            raise self._refused("senha atual errada")
        await self._set_password(client_id, password, credential.version, tried)

    async def clear_client_password(self, client_id: str) -> None:
        """Take a client's password away: its sessions end, and its code sets a new one."""
        credential = await self.store.credential(client_id)
        if credential.version and not await self.store.set_password(client_id, "", credential.version):
            raise AccessRefused("a senha acabou de ser mudada por outra pessoa; tente de novo")
        self._standings.clear()

    async def act(self, who: Principal, action: str, target: str, address: str, **details: Any) -> None:
        """Log what is about to be done; where that cannot be written, it is not done. Raises StoreUnavailable."""
        now = datetime.fromtimestamp(self._clock(), timezone.utc)
        await self.store.write_act(Act(who.name, action, target, address, now, details or None))

    def take_trial(self, who: Principal) -> None:
        """Count a call that may cost money. Raises TooManyFailures."""
        self._refuse_if(self._trials.wait_s(who.account_id, self._clock()))
        self._trials.count(who.account_id, self._clock())

    async def _sign_in(self, role: Role, account_id: str, password: str, tried: _Try, wrong: str) -> SignedIn:
        credential = await self.store.credential(account_id)
        right = await self._passwords.right(credential.password_hash, password)
        self._metrics.count("sign_ins", role=role, result="aceito" if right else "recusado")
        if not right:
            raise self._refused(wrong)
        self._forgive(tried)
        max_age_s = int(self.settings.session_h * 3600)
        ticket = new_ticket(role, account_id, credential.version, int(self._clock()) + max_age_s)
        key = await self._signing_key()
        return SignedIn(seal(ticket, key), max_age_s, Principal(role, account_id, ticket, csrf_token(ticket, key)))

    async def _set_password(self, account_id: str, password: str, version: int, tried: _Try) -> None:
        if not await self.store.set_password(account_id, await self._passwords.hash(password), version):
            raise AccessRefused("a senha acabou de ser mudada por outra pessoa; tente de novo")
        self._standings.clear()
        self._forgive(tried)

    async def _signing_key(self) -> bytes:
        if self._key is None:
            self._key = bytes.fromhex(await self.store.secret(SIGNING_KEY, secrets.token_hex(32)))
        return self._key

    async def _standing(self, ticket: Ticket) -> Standing:
        known = self._standings.get(ticket.session_id)
        if known is not None and self._clock() - known[1] < self.settings.standing_cache_s:
            return known[0]
        try:
            standing = await self.store.standing(ticket.account_id, ticket.session_id)
        except (StoreUnavailable, StageError):
            if known is None:
                raise
            return known[0]
        self._standings[ticket.session_id] = (standing, self._clock())
        self._standings.move_to_end(ticket.session_id)
        while len(self._standings) > self.settings.standing_cache_max:
            self._standings.popitem(last=False)
        return standing

    def _try(self, account: str, address: str) -> _Try:
        """Count a try before it is looked at: those that come at once must not slip by together."""
        tried = _Try(address, account.strip().lower())
        now = self._clock()
        self._refuse_if(max(throttle.wait_s(name, now) for throttle, name in self._names(tried)))
        for throttle, name in self._names(tried):
            throttle.count(name, now)
        return tried

    def _forgive(self, tried: _Try) -> None:
        """A right try counts no more; wrong ones before it still do, save those at this account from this address."""
        for throttle, name in self._names(tried):
            throttle.take_back(name)
        self._by_account.forgive(tried.account_there)

    def _names(self, tried: _Try) -> tuple[tuple[Throttle, str], ...]:
        return (
            (self._by_address, tried.address),
            (self._by_account, tried.account_there),
            (self._by_account_anywhere, tried.account),
        )

    def _refuse_if(self, wait_s: float) -> None:
        if wait_s > 0:
            self._metrics.count("access_throttled")
            raise TooManyFailures(wait_s)

    def _refused(self, text: str) -> AccessRefused:
        self._metrics.count("access_proofs_refused")
        log.warning("proof_refused")
        return AccessRefused(text)


@dataclass(frozen=True, slots=True)
class _Try:
    address: str
    account: str

    @property
    def account_there(self) -> str:
        return f"{self.address} {self.account}"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "replace")
