"""Remembers which category a language model gave to which entities: bounded, and only for a while."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from cestas.model import Entities
from deployments.recommender.answers import CategoryAnswer
from deployments.recommender.settings import CategoryCacheSettings

CacheKey = tuple[str, tuple[frozenset[str], ...]]
"""Model, and the names of each kind: all that the question holds."""


def key_of(model: str, entities: Entities) -> CacheKey:
    """The question about `entities` to `model`, whatever the order in which they were named."""
    named = (
        entities.medicines,
        entities.in_use,
        entities.articles,
        entities.contexts,
        entities.symptoms,
        entities.diseases,
        entities.situations,
    )
    return model, tuple(frozenset(names) for names in named)


@dataclass(slots=True)
class _Entry:
    answer: CategoryAnswer
    until_s: float


class CategoryCache:
    """Least recently used entries go first. `clock` gives monotonic seconds."""

    def __init__(self, settings: CategoryCacheSettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._entries: OrderedDict[CacheKey, _Entry] = OrderedDict()
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def questions(self) -> int:
        """How often it was asked."""
        return self.hits + self.misses

    def get(self, key: CacheKey) -> CategoryAnswer | None:
        """The answer to the same question, unless it is too old; every call counts as a hit or a miss."""
        entry = self._entries.get(key)
        if entry is not None and entry.until_s <= self._clock():
            del self._entries[key]
            entry = None
        if entry is None:
            self.misses += 1
            return None
        self._entries.move_to_end(key)
        self.hits += 1
        return entry.answer

    def put(self, key: CacheKey, answer: CategoryAnswer) -> None:
        """Remember an answer that a model gave."""
        if self._settings.entries_max == 0:
            return
        self._entries[key] = _Entry(answer, self._clock() + self._settings.ttl_s)
        self._entries.move_to_end(key)
        while len(self._entries) > self._settings.entries_max:
            self._entries.popitem(last=False)
