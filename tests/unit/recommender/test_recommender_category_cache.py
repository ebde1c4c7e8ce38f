"""The memory of categories: bounded, believed only for a while, indifferent to the order of names."""

from __future__ import annotations

from recommender_fakes import FakeClock

from cestas.model import Entities
from deployments.recommender.answers import CategoryAnswer
from deployments.recommender.category_cache import CategoryCache, key_of
from deployments.recommender.settings import CategoryCacheSettings

PAIN = CategoryAnswer(macro="DOR_FEBRE_INFLAMACAO", micro=None, confidence=0.9)
AZIA, TOSSE, FEBRE = (key_of("m", Entities(symptoms=(name,))) for name in ("azia", "tosse", "febre"))


def cache(clock: FakeClock | None = None, **kind: float) -> CategoryCache:
    return CategoryCache(CategoryCacheSettings.model_validate(kind), clock or FakeClock())


def test_what_was_put_in_is_found_again_and_every_question_counts() -> None:
    memory = cache()
    assert memory.get(AZIA) is None
    memory.put(AZIA, PAIN)
    assert memory.get(AZIA) == PAIN
    assert (memory.hits, memory.misses, memory.questions, len(memory)) == (1, 1, 2, 1)


def test_the_order_of_names_makes_no_difference_but_who_it_is_for_and_the_model_do() -> None:
    both = Entities(symptoms=("febre", "tosse"))
    assert key_of("m", both) == key_of("m", Entities(symptoms=("tosse", "febre")))
    assert key_of("m", both) != key_of("m", Entities(symptoms=("febre", "tosse"), situations=("crianca",)))
    assert key_of("m", both) != key_of("other", both)
    asked_for, taken = Entities(medicines=("losartana",)), Entities(medicines=("losartana",), in_use=("losartana",))
    assert key_of("m", asked_for) != key_of("m", taken)


def test_the_entry_not_asked_for_longest_goes() -> None:
    memory = cache(entries_max=2)
    memory.put(AZIA, PAIN)
    memory.put(TOSSE, PAIN)
    memory.get(AZIA)
    memory.put(FEBRE, PAIN)
    assert memory.get(TOSSE) is None
    assert memory.get(AZIA) == memory.get(FEBRE) == PAIN


def test_an_old_answer_is_not_believed() -> None:
    clock = FakeClock()
    memory = cache(clock, ttl_s=60.0)
    memory.put(AZIA, PAIN)
    clock.now_s += 59.0
    assert memory.get(AZIA) == PAIN
    clock.now_s += 1.0
    assert memory.get(AZIA) is None
    assert len(memory) == 0


def test_with_room_for_nothing_nothing_is_remembered() -> None:
    memory = cache(entries_max=0)
    memory.put(AZIA, PAIN)
    assert memory.get(AZIA) is None
