"""What was spent, by client and day: the rows' costs added up."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

DAY_BEGINS_UTC_H: Final = 3
"""Midnight in Brasília."""
COSTS_MAX: Final = 20_000
"""Rows of one answer: clients times days."""


@dataclass(frozen=True, slots=True)
class Cost:
    """One client's day. `day` is YYYY-MM-DD; audio is what was heard, in seconds; tokens are the language models'."""

    client_id: str
    day: str
    interactions: int
    audio_s: float
    tokens_in: int
    tokens_out: int
    stt_usd: float
    llm_usd: float

    @property
    def usd(self) -> float:
        """All of it, in US dollars at list prices."""
        return self.stt_usd + self.llm_usd


class CostQueries(ABC):
    """The question, on top of what each database brings."""

    @abstractmethod
    async def _fetch(self, sql: str, *args: Any) -> list[dict[str, Any]]:
        """Rows of a query. Raises StoreUnavailable."""

    @abstractmethod
    def _instant(self, instant: datetime) -> Any:
        """An aware instant as the database takes it."""

    @abstractmethod
    def _day(self, column: str, begins_utc_h: int) -> str:
        """SQL of the day (YYYY-MM-DD) that an instant is in, if days begin at that hour in UTC."""

    async def costs(self, since: datetime, day_begins_utc_h: int = DAY_BEGINS_UTC_H, client_id: str = "") -> list[Cost]:
        """What was spent since then, by client and day, oldest day first; of one client, or of all."""
        args = [self._instant(since)]
        condition = "happened_at >= $1"
        if client_id:
            args.append(client_id)
            condition += " AND client_id = $2"
        rows = await self._fetch(
            f"SELECT client_id, {self._day('happened_at', day_begins_utc_h)} AS day, count(*) AS interactions, "  # noqa: S608 - our own names
            "coalesce(sum(duration_s), 0) AS audio_s, coalesce(sum(advisor_tokens_in), 0) AS tokens_in, "
            "coalesce(sum(advisor_tokens_out), 0) AS tokens_out, coalesce(sum(stt_cost_usd), 0) AS stt_usd, "
            f"coalesce(sum(advisor_cost_usd), 0) AS llm_usd FROM interacoes WHERE {condition} "
            f"GROUP BY 1, 2 ORDER BY 2, 1 LIMIT {COSTS_MAX}",
            *args,
        )
        return [
            Cost(
                row["client_id"],
                row["day"],
                int(row["interactions"]),
                round(float(row["audio_s"]), 6),
                int(row["tokens_in"]),
                int(row["tokens_out"]),
                float(row["stt_usd"]),
                float(row["llm_usd"]),
            )
            for row in rows
        ]
