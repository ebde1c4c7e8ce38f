"""What became of suggestions: how often each item was shown and taken, and what the learned order is worth."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime
from typing import Any, Protocol

from cestas.ordering import ArmCount, Tally, Uplift, uplift

SUGGESTIONS_MAX = 20_000
"""The latest suggestions of a client that are counted: a busy chain's window would otherwise be millions of rows."""
_TAKEN = "result IN ('aceita', 'vendida')"


class OutcomeStore(Protocol):
    """The owner's questions about suggestions. Every method may raise StoreUnavailable."""

    async def item_tallies(self, client_id: str, since: datetime) -> dict[str, dict[str, Tally]]:
        """How often each item was shown and taken at a client's counters: cesta → item id → counts."""

    async def order_uplift(self, since: datetime, client_id: str = "") -> Uplift | None:
        """The learned order against the pharmacist's, of one client or of all; None: not known yet."""


class OutcomeQueries(ABC):
    """The questions, on top of what each database brings. What the demonstration recogniser led to is left out."""

    @abstractmethod
    async def _fetch(self, sql: str, *args: Any) -> list[dict[str, Any]]:
        """Rows of a query. Raises StoreUnavailable."""

    @abstractmethod
    def _instant(self, instant: datetime) -> Any:
        """An aware instant as the database takes it."""

    @abstractmethod
    def _ids_of(self, column: str) -> tuple[str, str]:
        """SQL that goes through a column's list of structures one by one, and the id of one of them."""

    async def item_tallies(self, client_id: str, since: datetime) -> dict[str, dict[str, Tally]]:
        """See OutcomeStore; of the latest SUGGESTIONS_MAX suggestions. An outcome counts from its own counter only."""
        elements, item = self._ids_of("s.items")
        rows = await self._fetch(
            "WITH s AS (SELECT suggestion_id, counter_id, cesta, items FROM interacoes "  # noqa: S608 - our own names
            "WHERE client_id = $1 AND happened_at >= $2 AND suggestion_id IS NOT NULL AND cesta <> '' "
            f"AND NOT simulated ORDER BY happened_at DESC LIMIT {SUGGESTIONS_MAX}), "
            "t AS (SELECT DISTINCT r.suggestion_id, r.item_id FROM retornos r JOIN s "
            f"ON s.suggestion_id = r.suggestion_id AND s.counter_id = r.counter_id WHERE r.{_TAKEN}) "
            f"SELECT s.cesta, {item} AS item_id, count(*) AS shown, count(t.item_id) AS taken FROM s "
            f"CROSS JOIN {elements} LEFT JOIN t ON t.suggestion_id = s.suggestion_id AND t.item_id = {item} "
            "GROUP BY 1, 2",
            client_id,
            self._instant(since),
        )
        found: dict[str, dict[str, Tally]] = {}
        for row in rows:
            found.setdefault(row["cesta"], {})[row["item_id"]] = Tally(int(row["shown"]), int(row["taken"]))
        return found

    async def order_uplift(self, since: datetime, client_id: str = "") -> Uplift | None:
        """See OutcomeStore; each client's cestas are compared within themselves."""
        args = [self._instant(since)]
        condition = "happened_at >= $1 AND ordering <> '' AND suggestion_id IS NOT NULL AND NOT simulated"
        if client_id:
            args.append(client_id)
            condition += " AND client_id = $2"
        rows = await self._fetch(
            "WITH s AS (SELECT suggestion_id, counter_id, client_id, cesta, ordering FROM interacoes "  # noqa: S608
            f"WHERE {condition}), t AS (SELECT DISTINCT r.suggestion_id, r.item_id FROM retornos r JOIN s "
            f"ON s.suggestion_id = r.suggestion_id AND s.counter_id = r.counter_id WHERE r.{_TAKEN} "
            "AND r.item_id <> ''), "
            "n AS (SELECT s.client_id, s.cesta, s.ordering, s.suggestion_id, count(t.item_id) AS taken FROM s "
            "LEFT JOIN t ON t.suggestion_id = s.suggestion_id GROUP BY 1, 2, 3, 4) "
            "SELECT client_id, cesta, ordering, count(*) AS suggestions, sum(taken) AS taken, "
            "sum(taken * taken) AS taken_squared FROM n GROUP BY 1, 2, 3",
            *args,
        )
        arms = {
            (row["client_id"], row["cesta"], row["ordering"]): ArmCount(
                int(row["suggestions"]), int(row["taken"]), int(row["taken_squared"])
            )
            for row in rows
        }
        nothing = ArmCount(0, 0, 0)
        places = sorted({(client, cesta) for client, cesta, _ in arms})
        return uplift((arms.get((*at, "aprendida"), nothing), arms.get((*at, "mantida"), nothing)) for at in places)
