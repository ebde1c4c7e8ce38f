"""The learned order of a cesta's items, and how its worth is measured."""

import random

from hypothesis import given
from hypothesis import strategies as st

from cestas.model import Item
from cestas.ordering import ArmCount, OrderingRule, Tally, order, posterior, uplift

ITEMS = tuple(Item(f"item-{number}", f"Item {number}", "Porque ajuda.") for number in range(6))
RULE = OrderingRule()
ALWAYS = OrderingRule(kept_share=0.0)


def tallies(*taken: int, shown: int = 200) -> dict[str, Tally]:
    return {item.id: Tally(shown, count) for item, count in zip(ITEMS, taken, strict=True)}


def test_the_pharmacists_order_stands_until_a_cesta_was_shown_often_enough():
    few = {ITEMS[5].id: Tally(shown=RULE.least_shown - 1, taken=RULE.least_shown - 1)}
    assert order(ITEMS, few, "s", RULE) == (ITEMS, "")
    assert order(ITEMS, {}, "s", RULE) == (ITEMS, "")


def test_what_customers_take_comes_first_once_it_is_known():
    known = tallies(2, 4, 2, 4, 60, 50)
    first = [order(ITEMS, known, f"suggestion {n}", ALWAYS)[0][0].id for n in range(200)]
    assert {"item-4", "item-5"} >= set(first)
    assert first.count("item-4") > 120


def test_an_item_hardly_shown_is_still_tried():
    known = {**tallies(10, 10, 10, 10, 10, 10), ITEMS[3].id: Tally(shown=3, taken=0)}
    leading = [order(ITEMS, known, f"suggestion {n}", ALWAYS)[0][0].id for n in range(300)]
    assert leading.count("item-3") > 10


def test_about_a_fifth_keeps_the_pharmacists_order_and_says_so():
    known = tallies(2, 4, 2, 4, 60, 50)
    orders = [order(ITEMS, known, f"suggestion {n}", RULE) for n in range(1000)]
    kept = [items for items, arm in orders if arm == "mantida"]
    assert set(kept) == {ITEMS}
    assert 160 < len(kept) < 240
    assert {arm for _, arm in orders} == {"mantida", "aprendida"}


def test_a_repeated_suggestion_is_in_the_same_order():
    known = tallies(9, 8, 9, 8, 9, 8)
    assert order(ITEMS, known, "same", ALWAYS) == order(ITEMS, known, "same", ALWAYS)
    assert len({order(ITEMS, known, f"other {n}", ALWAYS)[0] for n in range(30)}) > 1


@given(
    count=st.integers(0, 6),
    shown=st.lists(st.integers(0, 500), min_size=6, max_size=6),
    share=st.floats(0, 1),
    seed=st.text(max_size=8),
)
def test_it_permutes_and_does_nothing_else(count, shown, share, seed):
    known = {item.id: Tally(n, int(n * share)) for item, n in zip(ITEMS, shown, strict=True)}
    ordered, _ = order(ITEMS[:count], known, seed, RULE)
    assert sorted(item.id for item in ordered) == [item.id for item in ITEMS[:count]]


def test_outcomes_of_more_than_was_shown_do_not_break_the_draw():
    odd = {item.id: Tally(shown=20, taken=25) for item in ITEMS}
    ordered, arm = order(ITEMS, odd, "s", ALWAYS)
    assert (len(ordered), arm) == (6, "aprendida")


def test_an_item_never_shown_is_expected_to_be_like_its_cesta():
    a, b = posterior(0, 0, 990, 149, 10.0)
    assert (a + b, a / (a + b)) == (10.0, 0.15)


def suggestions(rng: random.Random, count: int, chance: float) -> ArmCount:
    taken = [sum(rng.random() < chance for _ in range(3)) for _ in range(count)]
    return ArmCount(count, sum(taken), sum(n * n for n in taken))


def test_a_difference_within_cestas_is_found_and_one_between_cestas_is_not():
    rng = random.Random(5)
    # Ten times as popular a cesta began to learn late: pooled, the kept order would look far better than it is.
    pairs = [
        (suggestions(rng, 4000, 0.03), suggestions(rng, 1000, 0.02)),
        (suggestions(rng, 400, 0.25), suggestions(rng, 2000, 0.20)),
    ]
    found = uplift(pairs)
    assert found is not None
    assert found.low > 0
    assert found.low < found.difference < found.high
    same = uplift([(suggestions(rng, 4000, 0.1), suggestions(rng, 1000, 0.1))])
    assert same is not None
    assert same.low < 0 < same.high


def test_nothing_is_said_of_an_uplift_before_both_orders_were_offered():
    assert uplift([]) is None
    assert uplift([(ArmCount(50, 5, 5), ArmCount(0, 0, 0))]) is None
