"""The rows that the demonstration's sessions left behind, read over REST."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import httpx

from audio.utterance import SAMPLE_RATE_HZ


class RowsUnavailable(Exception):
    """The rows could not be fetched; the text says why."""


class Rows:
    """The rows of the demonstration's sessions, placed in the sample's time; holds what was fetched last."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._bases: dict[str, int] = {}
        self._known: set[str] = set()
        self.latest: list[dict[str, Any]] = []

    def connected(self, session_id: str, base_sample: int) -> None:
        """A session whose sample 0 is the stream's `base_sample`."""
        self._bases[session_id] = base_sample

    async def fetch(self) -> list[dict[str, Any]]:
        """Fetch again, in order of time; returns the rows not seen before. Raises RowsUnavailable."""
        rows = [row for session, base in self._bases.items() for row in await self._of_session(session, base)]
        self.latest = sorted(rows, key=lambda row: row["start_s"])
        new = [row for row in self.latest if row.get("interaction_id") not in self._known]
        self._known |= {str(row.get("interaction_id")) for row in new}
        return new

    async def _of_session(self, session_id: str, base_sample: int) -> list[dict[str, Any]]:
        try:
            answer = await self._http.get("/api/data/interacoes", params={"sessao": session_id, "limite": 100})
            answer.raise_for_status()
            rows = answer.json()["interacoes"]
        except httpx.HTTPStatusError as exc:
            raise RowsUnavailable(f"the rows cannot be read: HTTP {exc.response.status_code}") from exc
        except (httpx.HTTPError, ValueError, KeyError) as exc:
            raise RowsUnavailable(f"the rows cannot be read: {type(exc).__name__}") from exc
        return [{**row, **_placed(row, base_sample)} for row in rows]


def _placed(row: Mapping[str, Any], base_sample: int) -> dict[str, float]:
    first, end = row.get("first_sample") or 0, row.get("end_sample") or 0
    return {"start_s": (base_sample + first) / SAMPLE_RATE_HZ, "end_s": (base_sample + end) / SAMPLE_RATE_HZ}
