"""Budgets: what counts as spent today, when the operator is told, and what is given up for it."""

import asyncio
from dataclasses import replace

import pytest
from pydantic import ValidationError

from deployments.recommender.port import AdviceRequest
from deployments.speech_to_text.port import TranscriptionRequest
from deployments.telemetry.costs import Cost
from deployments.telemetry.errors import StoreUnavailable
from serve_app.purse import Purse, ThriftyStages
from serve_app.spending import EVERYBODY, Budget, Level, Spending, SpendingSettings
from tests.support.doors import ScriptedStages, StrictMetrics, advice, heard

NOON_S = 1_795_365_600.0
"""2026-11-22 16:40 UTC: the day in Brasília began at 03:00 UTC."""
MIDNIGHT_S = NOON_S - 13 * 3600 - 40 * 60


def spending(**changes):
    return Spending(SpendingSettings(**changes))


def test_without_budgets_nothing_is_ever_given_up():
    purse = spending()
    purse.spent("drogaria", 1e6, NOON_S)
    assert purse.level("drogaria", NOON_S) is Level.WITHIN


def test_a_client_goes_through_the_levels_of_its_budget_and_others_do_not():
    day = spending(client=Budget(soft_usd_per_day=1, hard_usd_per_day=2))
    levels = []
    for _ in range(4):
        day.spent("drogaria", 0.5, NOON_S)
        levels.append(day.level("drogaria", NOON_S))
    assert levels == [Level.WITHIN, Level.SOFT, Level.SOFT, Level.RULES_ONLY]
    assert day.level("outra", NOON_S) is Level.WITHIN


def test_shortly_before_the_hard_limit_the_cheapest_provider_is_asked_first():
    day = spending(client=Budget(hard_usd_per_day=2))
    day.spent("drogaria", 1.8, NOON_S)
    assert day.level("drogaria", NOON_S) is Level.ECONOMICAL


def test_everybodys_budget_binds_every_client():
    day = spending(overall=Budget(hard_usd_per_day=2))
    day.spent("drogaria", 1.0, NOON_S)
    day.spent("outra", 1.0, NOON_S)
    assert day.level("terceira", NOON_S) is Level.RULES_ONLY


def test_a_client_may_have_a_budget_of_its_own():
    day = spending(client=Budget(hard_usd_per_day=1), by_client={"rede": Budget(hard_usd_per_day=10)})
    day.spent("rede", 5.0, NOON_S)
    assert day.level("rede", NOON_S) is Level.WITHIN


def test_what_the_database_counts_is_not_counted_twice_and_what_it_cannot_have_yet_is_counted():
    day = spending()
    day.spent("drogaria", 1.0, NOON_S - 60)
    day.spent("drogaria", 0.25, NOON_S - 2)
    day.read({"drogaria": 3.0, "outra": 0.5}, NOON_S)
    assert day.today_usd("drogaria", NOON_S) == pytest.approx(3.25)
    assert day.today_usd(EVERYBODY, NOON_S) == pytest.approx(3.75)
    day.read({"drogaria": 3.25, "outra": 0.5}, NOON_S + 60)
    assert day.today_usd("drogaria", NOON_S + 60) == pytest.approx(3.25)


def test_a_new_day_begins_at_midnight_in_brasilia():
    day = spending(client=Budget(hard_usd_per_day=1))
    day.spent("drogaria", 1.5, MIDNIGHT_S - 1)
    assert day.level("drogaria", MIDNIGHT_S - 1) is Level.RULES_ONLY
    assert day.level("drogaria", MIDNIGHT_S) is Level.WITHIN


def test_a_day_without_the_database_stays_small_and_complete():
    day = spending()
    for second in range(20_000):
        day.spent("drogaria", 0.001, MIDNIGHT_S + second)
    assert day.today_usd("drogaria", MIDNIGHT_S + 20_000) == pytest.approx(20.0)
    assert len(day._since["drogaria"]) <= 64


def test_a_change_of_level_is_told_once():
    day = spending(client=Budget(soft_usd_per_day=1))
    day.spent("drogaria", 1.0, NOON_S)
    assert [(c.client_id, c.level) for c in day.changes(NOON_S)] == [("drogaria", Level.SOFT)]
    day.spent("drogaria", 1.0, NOON_S)
    assert day.changes(NOON_S) == []
    next_day = day.changes(NOON_S + 86_400)
    assert [(c.level, c.before) for c in next_day] == [(Level.WITHIN, Level.SOFT)]
    assert day.beyond() == {}


def test_a_soft_limit_above_the_hard_one_is_refused():
    with pytest.raises(ValidationError, match="must not be above"):
        Budget(soft_usd_per_day=3, hard_usd_per_day=2)


class Ledger:
    """Tells the costs it is given, or fails."""

    def __init__(self, *costs, down=False):
        self.costs_given, self.down = costs, down

    async def costs(self, since, day_begins_utc_h, client_id=""):
        if self.down:
            raise StoreUnavailable("down")
        return list(self.costs_given)


def purse_of(records, **changes):
    return Purse(SpendingSettings(**changes), records, StrictMetrics(), clock=lambda: NOON_S)


COST = Cost("drogaria", "2026-11-22", 10, 30.0, 0, 0, stt_usd=0.5, llm_usd=1.5)


def test_beyond_the_hard_limit_rules_answer_and_the_cheapest_provider_hears():
    stages = ScriptedStages(stt=heard(cost_usd=0.001), recommender=advice(cost_usd=0.002))
    purse = purse_of(Ledger(COST), client=Budget(hard_usd_per_day=2))
    thrifty = ThriftyStages(stages, purse)

    async def said():
        await purse.look()
        await thrifty.transcribe(TranscriptionRequest("u", b"\0" * 32_000, 3.0, client_id="drogaria"))
        await thrifty.advise(AdviceRequest("u", "dor", 3.0, client_id="drogaria"))

    asyncio.run(said())
    transcription, asked = stages.asked
    assert transcription.economical
    assert not transcription.may_hedge
    assert asked.rules_only
    assert purse.describe()["degraded"]
    assert purse.describe()["clientes"] == {"rules_only": 1}


def test_within_its_budget_a_client_is_served_as_ever_and_what_it_costs_is_counted():
    stages = ScriptedStages(stt=heard(cost_usd=0.001), recommender=advice(cost_usd=0.002))
    purse = purse_of(Ledger(), client=Budget(hard_usd_per_day=2))
    thrifty = ThriftyStages(stages, purse)
    request = TranscriptionRequest("u", b"\0" * 64_000, 3.0, client_id="drogaria")

    async def said():
        await thrifty.transcribe(request)
        await thrifty.advise(AdviceRequest("u", "dor", 3.0, client_id="drogaria"))

    asyncio.run(said())
    assert stages.asked[0] == request
    assert purse.describe()["hoje_usd"] == pytest.approx(0.003)
    assert purse.given_up("drogaria", duration_s=1.0) == pytest.approx(0.0005)


def test_with_the_database_away_what_is_known_goes_on_counting():
    ledger = Ledger(COST)
    purse = purse_of(ledger, client=Budget(hard_usd_per_day=3))

    async def lived():
        await purse.look()
        ledger.down = True
        purse.spent("drogaria", 1.0, "llm")
        await purse.look()

    asyncio.run(lived())
    assert purse.level("drogaria") is Level.RULES_ONLY


def test_costs_of_several_days_add_up_by_client():
    other = replace(COST, client_id="outra", stt_usd=0.25, llm_usd=0.0)
    purse = purse_of(Ledger(COST, other), overall=Budget(soft_usd_per_day=2.25))
    asyncio.run(purse.look())
    assert purse.describe()["hoje_usd"] == pytest.approx(2.25)
    assert purse.describe()["nivel"] == "soft"
