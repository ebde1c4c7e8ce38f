"""The order of a cesta's items as each client's outcomes teach it: counts fetched beside the way, never waited for."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from cestas.model import Item
from cestas.ordering import Arm, OrderingRule, Tally, order
from deployments.metrics import Metrics
from deployments.recommender.settings import OrderingSettings

log = logging.getLogger("balto.recommender")

Tallies = Mapping[str, Mapping[str, Tally]]
"""Cesta → item id → how often it was shown and taken."""

FETCHES_AT_ONCE = 2


class Outcomes(Protocol):
    """Where counts of what became of suggestions are kept (the telemetry stage)."""

    async def item_tallies(self, client_id: str, window_days: int) -> Tallies:
        """A client's counts of the last `window_days` days; raises whatever hinders it."""


@dataclass
class _Known:
    asked_at_s: float
    tallies: Tallies = field(default_factory=dict)


class LearnedOrder:
    """Orders items by a client's outcomes. What is not known yet is the pharmacist's order; nobody waits for counts."""

    def __init__(
        self,
        settings: OrderingSettings,
        outcomes: Outcomes,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._rule = OrderingRule(settings.kept_share, settings.least_shown, settings.prior_strength)
        self._outcomes = outcomes
        self._metrics = metrics
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._fetching: set[asyncio.Task[None]] = set()

    def arrange(
        self, client_id: str, cesta: str, items: tuple[Item, ...], utterance_id: str
    ) -> tuple[tuple[Item, ...], Arm]:
        """`items` of one cesta in the order in which this utterance's suggestion offers them, and whose order it is."""
        if not self._settings.enabled or not client_id or len(items) < 2:
            return items, ""
        known = self._known.get(client_id)
        if known is None or self._clock() - known.asked_at_s >= self._settings.refresh_s:
            known = self._ask(client_id, known)
        arranged, arm = order(items, known.tallies.get(cesta, {}), utterance_id, self._rule)
        if arm:
            self._metrics.count("ordered_suggestions_total", arm=arm)
        return arranged, arm

    async def close(self) -> None:
        """Stop fetching."""
        for task in self._fetching:
            task.cancel()
        await asyncio.gather(*self._fetching, return_exceptions=True)

    def _ask(self, client_id: str, known: _Known | None) -> _Known:
        """What is known now; newer counts are fetched for the next utterances, a few clients at a time."""
        if len(self._fetching) >= FETCHES_AT_ONCE:
            return known or _Known(0.0)
        known = self._known[client_id] = _Known(self._clock(), known.tallies if known else {})
        self._known.move_to_end(client_id)
        while len(self._known) > self._settings.clients_max:
            self._known.popitem(last=False)
        task = asyncio.create_task(self._fetch(client_id, known))
        self._fetching.add(task)
        task.add_done_callback(self._fetching.discard)
        return known

    async def _fetch(self, client_id: str, known: _Known) -> None:
        try:
            known.tallies = await self._outcomes.item_tallies(client_id, self._settings.window_days)
        except Exception as error:  # the counts it has still order; any way of not getting newer ones is the same
            self._metrics.count("ordering_fetch_failures_total")
            log.warning("ordering_fetch_failed error=%s", type(error).__name__)
