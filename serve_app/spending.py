"""What was spent today, by client and by all, and what a budget does about it: pure, fed with sums and with time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

EVERYBODY: Final = ""
"""Name of the budget that all clients share."""
SETTLE_S: Final = 15.0
"""A row may take that long from its end into the database. What was spent later before a reading is counted beside it:
twice for a minute rather than not at all."""
STEP_S: Final = 5.0
STEPS_MAX: Final = 64
"""What is not in the database yet is kept in steps of 5 s; beyond so many of a client, its oldest become one."""
DAY_S: Final = 86_400.0


class Level(IntEnum):
    """What a budget does; each step includes those before it."""

    WITHIN = 0
    SOFT = 1
    """The operator is told."""
    ECONOMICAL = 2
    """The cheapest provider of speech recognition comes first; nothing is overtaken, and nobody listens along."""
    RULES_ONLY = 3
    """No language model is asked."""


class Budget(BaseModel):
    """Limits of a day in US dollars; null: none. Sums of list prices: a provider's invoice may know discounts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    soft_usd_per_day: float | None = Field(None, gt=0)
    """Beyond it the operator is told."""
    hard_usd_per_day: float | None = Field(None, gt=0)
    """Beyond it rules answer alone, and speech goes to the cheapest provider."""

    @model_validator(mode="after")
    def _soft_comes_first(self) -> Budget:
        if self.soft_usd_per_day and self.hard_usd_per_day and self.soft_usd_per_day > self.hard_usd_per_day:
            raise ValueError("soft_usd_per_day must not be above hard_usd_per_day")
        return self


class SpendingSettings(BaseModel):
    """Budgets. Prices are with their providers (`speech_to_text.*.cost_usd_per_hour`, `recommender.*`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    overall: Budget = Budget()
    """Of all clients together."""
    client: Budget = Budget()
    """Of each client that `by_client` does not name."""
    by_client: dict[str, Budget] = {}
    """Client id → its own budget."""
    economical_from_share: float = Field(0.9, gt=0, le=1)
    """Of a hard limit: the part from which on the cheapest provider is asked first, so that the limit comes later."""
    day_begins_utc_h: int = Field(3, ge=0, le=23)
    """The hour in UTC at which a day begins; 3 is midnight in Brasília."""
    refresh_s: float = Field(60.0, ge=1, le=3600)
    """How often the sum of the day is read from the database. What other replicas spend is known after so long."""

    def budget_of(self, client_id: str) -> Budget:
        """The budget of a client, or of EVERYBODY."""
        return self.overall if client_id == EVERYBODY else self.by_client.get(client_id, self.client)

    def day_began_unix_s(self, now_unix_s: float) -> float:
        """When the day of `now_unix_s` began."""
        begins_s = self.day_begins_utc_h * 3600.0
        return math.floor((now_unix_s - begins_s) / DAY_S) * DAY_S + begins_s


@dataclass(slots=True)
class _Step:
    """What was spent from `at_s` on for some seconds."""

    at_s: float
    usd: float


@dataclass(frozen=True, slots=True)
class Change:
    """A budget has come to another level. `client_id` may be EVERYBODY."""

    client_id: str
    level: Level
    before: Level
    usd: float


@dataclass(slots=True)
class Spending:
    """The day's spending as one replica knows it: the database's sum, and what it spent itself since.

    Every instant is in seconds since the epoch. `spent` for whatever is billed, `read` when the database was asked.
    """

    settings: SpendingSettings = field(default_factory=SpendingSettings)
    read_at_s: float = field(init=False, default=0.0)
    """When the database was asked last; 0: never."""
    _sums: dict[str, float] = field(init=False, default_factory=dict)
    _since: dict[str, list[_Step]] = field(init=False, default_factory=dict)
    _levels: dict[str, Level] = field(init=False, default_factory=dict)
    _day_s: float = field(init=False, default=0.0)

    def spent(self, client_id: str, usd: float, now_s: float) -> None:
        """Something was billed for a client."""
        if usd <= 0 or not math.isfinite(usd):
            return
        self._turn_day(now_s)
        steps = self._since.setdefault(client_id, [])
        if steps and now_s - steps[-1].at_s < STEP_S:
            steps[-1].usd += usd
            return
        steps.append(_Step(now_s, usd))
        if len(steps) > STEPS_MAX:
            steps[1].usd += steps.pop(0).usd

    def read(self, sums: Mapping[str, float], asked_at_s: float) -> None:
        """What the database says of the day that `asked_at_s` is in, by client."""
        self._turn_day(asked_at_s)
        self._sums, self.read_at_s = dict(sums), asked_at_s
        for client_id, steps in list(self._since.items()):
            self._since[client_id] = [step for step in steps if step.at_s > asked_at_s - SETTLE_S]
            if not self._since[client_id]:
                del self._since[client_id]

    def today_usd(self, client_id: str, now_s: float) -> float:
        """What a client, or EVERYBODY, has spent today."""
        self._turn_day(now_s)
        if client_id == EVERYBODY:
            new = math.fsum(step.usd for steps in self._since.values() for step in steps)
            return math.fsum(self._sums.values()) + new
        return self._sums.get(client_id, 0.0) + math.fsum(step.usd for step in self._since.get(client_id, ()))

    def level(self, client_id: str, now_s: float) -> Level:
        """What is in force for a client: its own budget or everybody's, whichever is further gone."""
        return max(self._level_of(client_id, now_s), self._level_of(EVERYBODY, now_s))

    def changes(self, now_s: float) -> list[Change]:
        """The budgets whose level is another one than when this was asked last."""
        changed = []
        known = {EVERYBODY, *self._sums, *self._since, *self._levels}
        for client_id in sorted(known):
            level, before = self._level_of(client_id, now_s), self._levels.get(client_id, Level.WITHIN)
            if level != before:
                changed.append(Change(client_id, level, before, self.today_usd(client_id, now_s)))
            if level is Level.WITHIN:
                self._levels.pop(client_id, None)
            else:
                self._levels[client_id] = level
        return changed

    def beyond(self) -> dict[str, Level]:
        """The budgets that were not within their limits when `changes` was asked last."""
        return dict(self._levels)

    def _level_of(self, client_id: str, now_s: float) -> Level:
        budget = self.settings.budget_of(client_id)
        soft, hard = budget.soft_usd_per_day, budget.hard_usd_per_day
        if soft is None and hard is None:
            return Level.WITHIN
        usd = self.today_usd(client_id, now_s)
        if hard is not None and usd >= hard:
            return Level.RULES_ONLY
        if hard is not None and usd >= hard * self.settings.economical_from_share:
            return Level.ECONOMICAL
        return Level.SOFT if soft is not None and usd >= soft else Level.WITHIN

    def _turn_day(self, now_s: float) -> None:
        """At the day's turn nothing has been spent."""
        day_s = self.settings.day_began_unix_s(now_s)
        if day_s > self._day_s:
            self._day_s = day_s
            self._sums.clear()
            self._since.clear()
