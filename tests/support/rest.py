"""The REST surface over a real database: an administrator, two clients, a counter each, and ways to be each of them."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from deployments.metrics import NoMetrics
from deployments.telemetry import schema
from deployments.telemetry.records import Client, Counter
from deployments.telemetry.settings import TelemetrySettings
from deployments.telemetry.stage import Telemetry
from serve_app.access import ADMINISTRATOR, Access
from serve_app.accounts import hash_of
from serve_app.door import DoorSettings
from serve_app.passwords import Passwords
from serve_app.rest.guards import COOKIE, CSRF_HEADER
from serve_app.settings import AccessSettings
from serve_app.ticket import csrf_token, new_ticket, seal, unseal
from tests.support.doors import OpenDoor, ScriptedStages, open_door

TOKEN = "segredo-do-administrador"
PASSWORD = "uma frase comprida"


def quick() -> Passwords:
    """Hashes that cost next to nothing."""
    return Passwords(memory_kib=8, rounds=1)


@dataclass
class Rest:
    """A running REST surface and what was registered in it."""

    at: OpenDoor
    http: httpx.AsyncClient
    records: Telemetry
    signing_key: bytes
    clients: dict[str, Client] = field(default_factory=dict)
    counters: dict[str, Counter] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)

    async def session(self, who: str) -> dict[str, str]:
        """The headers of a fresh session of `administrador`, or of client `a` or `b`."""
        if who == "administrador":
            answer = await self.http.post("/admin/login", json={"password": PASSWORD})
        else:
            body = {"email": self.clients[who].email, "password": PASSWORD}
            answer = await self.http.post("/cliente/login", json=body)
        assert answer.status_code == 200, answer.text
        return self._headers(answer.cookies[COOKIE], answer.json()["csrf"])

    async def expired(self, who: str) -> dict[str, str]:
        """The headers of a session whose time is over, sealed with the right key."""
        ticket = unseal((await self.session(who))["Cookie"].partition("=")[2], self.signing_key, 0.0)
        assert ticket is not None
        old = replace(ticket, expires_at_s=1_000)
        return self._headers(seal(old, self.signing_key), csrf_token(old, self.signing_key))

    def forged(self) -> dict[str, str]:
        """The headers of an administrator's session that somebody sealed with a key of their own."""
        ticket = new_ticket("administrador", ADMINISTRATOR, 1, 4_000_000_000)
        return self._headers(seal(ticket, b"x" * 32), csrf_token(ticket, b"x" * 32))

    def _headers(self, cookie: str, csrf: str) -> dict[str, str]:
        self.http.cookies.clear()
        return {"Cookie": f"{COOKIE}={cookie}", CSRF_HEADER: csrf}


def migrated_file(folder: Path) -> Path:
    """An empty SQLite database with the newest schema in `folder`."""
    return Path(shutil.copy(_migrated(), folder / "balto.sqlite"))


@cache
def _migrated() -> Path:
    path = Path(tempfile.mkdtemp(prefix="balto-test-")) / "balto.sqlite"
    schema.ensure_sqlite(path)
    return path


@contextlib.asynccontextmanager
async def rest(
    tmp_path: Path,
    settings: DoorSettings | None = None,
    stages: ScriptedStages | None = None,
    **access: Any,
) -> AsyncIterator[Rest]:
    """A REST surface whose accounts and rows are in a SQLite database of its own."""
    migrated_file(tmp_path)
    records = Telemetry(TelemetrySettings(store="sqlite", state_dir=tmp_path, flush_interval_ms=10))
    secret = SecretStr(TOKEN)
    chosen = AccessSettings(**{"admin_secret": secret, "trials_per_minute_max": 1000, **access})
    async with open_door(stages, records, settings, chosen, quick()) as at, httpx.AsyncClient(base_url=at.http) as http:  # type: ignore[arg-type]
        served = Rest(at, http, records, bytes.fromhex(await records.secret("assinatura", "11" * 32)))
        await _register(served)
        yield served
    await records.close()


async def _register(served: Rest) -> None:
    desk = Access(AccessSettings(), served.records, NoMetrics(), passwords=quick())
    await desk.set_administrator_password(await desk.new_setup_secret(), PASSWORD, "")
    for name in ("a", "b"):
        client = await served.records.create_client(f"{name}@farmacia.example", f"Farmácia {name.upper()}", "11 5555")
        await desk.set_client_password(client.email, client.code, PASSWORD, "")
        served.clients[name] = client
        served.keys[name] = f"bk_{name}"
        key_hash = hash_of(served.keys[name])
        served.counters[name] = await served.records.create_counter(client.code, f"Balcão {name}", key_hash)
