"""A deployment as a bench sees it: where it answers, with the administrator's token."""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Final

import httpx

from bench.path.service import BenchFailed

COUNTERS_A_CLIENT: Final = 100
"""Counters belong to chains: limits that hold for one client are not what is measured."""
PAGE: Final = 1000
ROWS_TIMEOUT_S: Final = 90.0
ROWS_QUIET_S: Final = 1.5


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where it answers (`http://…`, `https://…`), and what proves that we administer it."""

    url: str
    admin_secret: str = field(repr=False)

    @property
    def socket_url(self) -> str:
        """Where counters connect."""
        return "ws" + self.url.rstrip("/").removeprefix("http") + "/ws"

    def http(self, timeout_s: float = 30.0) -> httpx.Client:
        """A client of the REST surface with the administrator's token."""
        headers = {"Authorization": f"Bearer {self.admin_secret}"} if self.admin_secret else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=timeout_s, trust_env=False)

    def register(self, count: int) -> dict[str, str]:
        """Counter id → key of `count` new counters of new clients. Raises BenchFailed."""
        counters: dict[str, str] = {}
        with self.http() as http:
            while len(counters) < count:
                client = {"email": f"bench-{secrets.token_hex(4)}@balto.local", "razao_social": "Bench"}
                code = answer_of(http.post("/cadastro/cliente", json={**client, "telefone": "-"}))["codigo"]
                for number in range(min(COUNTERS_A_CLIENT, count - len(counters))):
                    counter = {"nome_balcao": f"Balcão {number + 1}", "user_codigo": code}
                    made = answer_of(http.post("/cadastro/balcao", json=counter))
                    counters[made["balcao_id"]] = made["api_key"]
        return counters

    def rows_of(self, counter_ids: Collection[str], since_s: float) -> dict[str, list[dict[str, Any]]]:
        """Counter id → its rows since `since_s` (seconds since the epoch), once no more come. Raises BenchFailed."""
        deadline = time.monotonic() + ROWS_TIMEOUT_S
        rows: list[dict[str, Any]] = []
        before = -1
        with self.http(60.0) as http:
            while len(rows) != before and time.monotonic() < deadline:
                before = len(rows)
                time.sleep(ROWS_QUIET_S)
                rows = self._all(http, since_s)
        by_counter: dict[str, list[dict[str, Any]]] = {counter_id: [] for counter_id in counter_ids}
        for row in rows:
            if row["counter_id"] in by_counter:
                by_counter[row["counter_id"]].append(row)
        return by_counter

    def health(self) -> dict[str, Any]:
        """What the service says of itself. Raises BenchFailed."""
        with self.http() as http:
            state: dict[str, Any] = answer_of(http.get("/saude"))
        return state

    def _all(self, http: httpx.Client, since_s: float) -> list[dict[str, Any]]:
        since = datetime.fromtimestamp(since_s, timezone.utc).isoformat()
        rows: list[dict[str, Any]] = []
        while True:
            page: dict[str, str | int] = {"limite": PAGE, "deslocamento": len(rows), "inicio": since}
            more = answer_of(http.get("/api/data/interacoes", params=page))["interacoes"]
            rows += more
            if len(more) < PAGE:
                return rows


def answer_of(response: httpx.Response) -> Any:
    """The JSON of an answer that went well. Raises BenchFailed."""
    if not response.is_success:
        raise BenchFailed(f"{response.request.url.path} answered {response.status_code}")
    return response.json()
