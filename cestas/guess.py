"""A linear guess at the complaint where the lexicon is silent: weights over words and their pieces, with abstention."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cestas.text import BREAK, Words, words_of

NOTHING = ""
"""The class of what is about no complaint."""

_PIECE = 4
"""Letters of a piece of a word; whole words count by themselves and more."""
_WORD_WEIGHT = 2.0


def features(words: Words) -> Counter[str]:
    """What a text consists of, to the model: stems of its content words and their pieces of four letters."""
    counted: Counter[str] = Counter()
    for at in words.content:
        stem = words.stems[at]
        if stem == BREAK or stem.isdigit():
            continue
        counted[f"={stem}"] += 1
        padded = f"^{stem}$"
        for start in range(max(1, len(padded) - _PIECE + 1)):
            counted[padded[start : start + _PIECE]] += 1
    return counted


@dataclass(frozen=True)
class Guesser:
    """One weight vector of unit length per class (nearest centroid by cosine, tf-idf); immutable.

    `sure` is the least cosine, `ahead` the least lead over the second class; both were chosen by cross-validation on
    the development labels (`python -m cestas.train` prints the figures).
    """

    weights: Mapping[str, Sequence[tuple[int, float]]]
    """Feature → (class, weight) pairs."""
    rarity: Mapping[str, float]
    """Feature → inverse document frequency."""
    classes: Sequence[str]
    sure: float
    ahead: float

    def guess(self, words: Words) -> str:
        """The canonical complaint that `words` are most likely about; `NOTHING` when that is not sure enough."""
        ranked = self.ranked(words)
        if not ranked:
            return NOTHING
        best, score = ranked[0]
        second = ranked[1][1] if len(ranked) > 1 else 0.0
        return best if score >= self.sure and score - second >= self.ahead else NOTHING

    def ranked(self, words: Words) -> list[tuple[str, float]]:
        """Classes by cosine with `words`, highest first, at most three; empty when no word is known."""
        vector = dict(weighted(features(words), self.rarity))
        scores = [0.0] * len(self.classes)
        for name, value in vector.items():
            for index, weight in self.weights.get(name, ()):
                scores[index] += value * weight
        best = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)[:3]
        return [(self.classes[index], scores[index]) for index in best if scores[index] > 0]


def weighted(counted: Mapping[str, int], rarity: Mapping[str, float]) -> Iterator[tuple[str, float]]:
    """Features with tf-idf weights, scaled to unit length; unknown ones weigh as the rarest and so lower the rest."""
    rarest = max(rarity.values(), default=1.0)
    raw = {
        name: (1 + math.log(count)) * rarity.get(name, rarest) * (_WORD_WEIGHT if name[0] == "=" else 1.0)
        for name, count in counted.items()
    }
    length = math.sqrt(sum(value * value for value in raw.values())) or 1.0
    return ((name, value / length) for name, value in raw.items())


def fit(examples: Sequence[tuple[str, str]], sure: float, ahead: float) -> Guesser:
    """Learn from (text, class) pairs: each class becomes the scaled sum of its texts."""
    counted = [(features(words_of(text)), name) for text, name in examples]
    spread = Counter(feature for features_, _ in counted for feature in features_)
    rarity = {name: math.log(1 + len(counted) / count) for name, count in spread.items()}
    sums: dict[str, Counter[str]] = {}
    for features_, name in counted:
        for feature, value in weighted(features_, rarity):
            sums.setdefault(name, Counter())[feature] += value  # type: ignore[assignment]
    classes = sorted(sums)
    weights: dict[str, list[tuple[int, float]]] = {}
    for index, name in enumerate(classes):
        length = math.sqrt(sum(value * value for value in sums[name].values())) or 1.0
        for feature, value in sums[name].items():
            weights.setdefault(feature, []).append((index, round(value / length, 4)))
    return Guesser(weights, {name: round(value, 3) for name, value in rarity.items()}, classes, sure, ahead)
