"""What a check is, what it may know, and how it fails."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from bench.load.deployment import Deployment

ROWS_TIMEOUT_S: Final = 30.0


class CheckFailed(Exception):
    """The deployment does not do what the protocol says; the text says what it did."""


class CheckSkipped(Exception):
    """It cannot be checked here; the text says why."""


@dataclass
class Bench:
    """The deployment, and what earlier checks made on it: a client and its counters."""

    deployment: Deployment
    email: str = field(default_factory=lambda: f"protocolo-{secrets.token_hex(5)}@balto.local")
    client_code: str = ""
    counters: dict[str, str] = field(default_factory=dict)
    """Name → id."""
    keys: dict[str, str] = field(default_factory=dict, repr=False)
    """Name → key."""
    sessions: dict[str, str] = field(default_factory=dict)
    """What the check that made it is called → id of a generation-4 session."""

    def administrator(self) -> httpx.Client:
        """REST with the token."""
        if not self.deployment.admin_secret:
            raise CheckSkipped("no --admin-secret")
        return self.deployment.http()

    def anybody(self) -> httpx.Client:
        """REST with nothing."""
        return Deployment(self.deployment.url, "").http()

    def key(self, name: str) -> str:
        """A counter's key; the counter is registered where there is none of that name yet."""
        if name not in self.keys:
            with self.administrator() as http:
                made = expect(http.post("/cadastro/balcao", json=self.counter(name)), 200)
            self.counters[name], self.keys[name] = made["balcao_id"], made["api_key"]
        return self.keys[name]

    def counter(self, name: str) -> dict[str, str]:
        """The body that registers a counter."""
        if not self.client_code:
            raise CheckSkipped("no client could be registered")
        return {"nome_balcao": name, "user_codigo": self.client_code}

    def rows(
        self, name: str, enough: Callable[[list[dict[str, Any]]], bool] = bool, timeout_s: float = ROWS_TIMEOUT_S
    ) -> list[dict[str, Any]]:
        """A counter's recorded rows, newest first, as soon as they are `enough`. Raises CheckFailed."""
        deadline = time.monotonic() + timeout_s
        with self.administrator() as http:
            while True:
                page = http.get("/api/data/interacoes", params={"balcao": self.counters[name], "limite": 1000})
                rows: list[dict[str, Any]] = expect(page, 200)["interacoes"]
                if enough(rows):
                    return rows
                if time.monotonic() > deadline:
                    raise CheckFailed(f"{len(rows)} rows after {timeout_s:.0f} s, and not those that were expected")
                time.sleep(0.5)


Check = Callable[[Bench], str]
"""Its docstring is what it checks; it returns what was found."""


def expect(response: httpx.Response, status: int) -> Any:
    """The JSON of an answer of that status. Raises CheckFailed."""
    if response.status_code != status:
        raise CheckFailed(
            f"{response.request.method} {response.request.url.path}: {response.status_code}, not {status}"
        )
    try:
        return response.json()
    except ValueError:
        raise CheckFailed(f"{response.request.url.path}: no JSON") from None


def expect_error(response: httpx.Response, *status: int) -> str:
    """That the answer is an error of one of these statuses in the documented form. Raises CheckFailed."""
    if response.status_code not in status:
        raise CheckFailed(
            f"{response.request.method} {response.request.url.path}: {response.status_code}, not {status}"
        )
    body = response.json()
    if not isinstance(body, dict) or not isinstance(body.get("error"), str):
        raise CheckFailed(f"{response.request.url.path}: an error without `error`")
    return f"{response.status_code}"


def expect_fields(found: Mapping[str, Any], **kinds: type | tuple[type, ...]) -> None:
    """That the fields are there, of these types. Raises CheckFailed."""
    for name, kind in kinds.items():
        if not isinstance(found.get(name), kind):
            raise CheckFailed(f"field {name}: {type(found.get(name)).__name__}")
