"""The order of items as outcomes teach it, inside the stage: counts are fetched beside the way."""

import asyncio

from cestas.model import Item
from cestas.ordering import Tally
from deployments.metrics import NoMetrics
from deployments.recommender.learned_order import LearnedOrder
from deployments.recommender.settings import OrderingSettings

ITEMS = tuple(Item(f"item-{number}", f"Item {number}", "Porque ajuda.") for number in range(4))
POPULAR_LAST = {"DOR": {item.id: Tally(300, 3 + 60 * (item is ITEMS[3])) for item in ITEMS}}
LEARN = OrderingSettings(kept_share=0.01, refresh_s=60)


class Counts:
    """Outcomes that answer when they are told to, or never."""

    def __init__(self, tallies=None, *, fails=False):
        self.tallies, self.fails, self.asked = tallies or {}, fails, []
        self.answering = asyncio.Event()
        self.answering.set()

    async def item_tallies(self, client_id, window_days):
        self.asked.append((client_id, window_days))
        await self.answering.wait()
        if self.fails:
            raise ConnectionError("down")
        return self.tallies


class Clock:
    now_s = 1000.0

    def __call__(self):
        return self.now_s


async def settled():
    for _ in range(5):
        await asyncio.sleep(0)


def leaders(learned, count=50, client="c"):
    return [learned.arrange(client, "DOR", ITEMS, f"utterance {n}")[0][0].id for n in range(count)]


async def test_the_first_suggestion_waits_for_no_counts_and_the_next_ones_have_them():
    learned = LearnedOrder(LEARN, Counts(POPULAR_LAST), NoMetrics(), Clock())
    assert learned.arrange("c", "DOR", ITEMS, "u") == (ITEMS, "")
    await settled()
    assert leaders(learned).count("item-3") > 40
    await learned.close()


async def test_counts_are_asked_for_again_when_they_are_old():
    counts, clock = Counts(POPULAR_LAST), Clock()
    learned = LearnedOrder(LEARN, counts, NoMetrics(), clock)
    leaders(learned)
    await settled()
    clock.now_s += 59
    leaders(learned)
    assert counts.asked == [("c", 180)]
    clock.now_s += 1
    leaders(learned)
    await settled()
    assert counts.asked == [("c", 180)] * 2
    await learned.close()


async def test_what_was_learned_stays_while_the_database_is_away():
    counts, clock = Counts(POPULAR_LAST), Clock()
    learned = LearnedOrder(LEARN, counts, NoMetrics(), clock)
    leaders(learned)
    await settled()
    counts.fails = True
    clock.now_s += 100
    leaders(learned)
    await settled()
    assert leaders(learned).count("item-3") > 40
    await learned.close()


async def test_a_slow_database_is_asked_for_few_clients_at_once_and_let_go_of_at_the_end():
    counts = Counts(POPULAR_LAST)
    counts.answering.clear()
    learned = LearnedOrder(LEARN, counts, NoMetrics(), Clock())
    for number in range(20):
        assert learned.arrange(f"client {number}", "DOR", ITEMS, "u") == (ITEMS, "")
    await settled()
    assert len(counts.asked) == 2
    await asyncio.wait_for(learned.close(), 1)


async def test_one_clients_customers_do_not_order_anothers_shelves():
    learned = LearnedOrder(LEARN, Counts({}), NoMetrics(), Clock())
    leaders(learned, client="another")
    await settled()
    assert set(leaders(learned, client="another")) == {"item-0"}
    await learned.close()


async def test_switched_off_it_asks_nothing():
    counts = Counts(POPULAR_LAST)
    learned = LearnedOrder(OrderingSettings(enabled=False), counts, NoMetrics(), Clock())
    leaders(learned)
    await settled()
    assert counts.asked == []
    assert set(leaders(learned)) == {"item-0"}
