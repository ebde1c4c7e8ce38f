"""Whether an utterance asks for anything at all: a linear judgement over its words with the names masked."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from cestas.data_files import DATA_DIR, read_json
from cestas.entities import extract, reading_of
from cestas.intent import asks, cues_of, is_personal
from cestas.lexicon import Lexicon
from cestas.matching import Hit
from cestas.text import BREAK, Words

_MASKS = {"sintoma": "#queixa", "doenca": "#queixa", "pedido": "#pedido", "contexto": "#ocasiao"}
_STEMMED_FROM = 5
"""Letters from which a word counts by its stem; shorter ones ("tem", "tomo", "quer") say most as they stand."""
_LENGTH_STEP, _LENGTHS = 4, 5
_MOST_COMPLAINTS, _MOST_MEDICINES = 4, 2


@dataclass(frozen=True)
class Speaker:
    """Weights of a logistic model; `threshold` is the least probability at which it is worth speaking."""

    weights: Mapping[str, float]
    bias: float
    threshold: float

    def probability(self, features: frozenset[str]) -> float:
        """How likely somebody who says this wants something, 0..1."""
        known = [self.weights[name] for name in features if name in self.weights]
        return 1 / (1 + math.exp(-max(-30.0, min(30.0, self.bias + sum(known) / math.sqrt(len(known) + 1)))))


@lru_cache(maxsize=1)
def shipped() -> Speaker:
    """The model of `speak.json`, which `python -m cestas.train` writes."""
    data = read_json(DATA_DIR / "speak.json")
    return Speaker(data["weights"], data["bias"], data["threshold"])


def is_worth_speaking(text: str, lexicon: Lexicon) -> bool:
    """True when `text` sounds like a need of somebody here, rather than talk, a question or a refusal."""
    speaker = shipped()
    return speaker.probability(features(text, lexicon)) >= speaker.threshold


def features(text: str, lexicon: Lexicon) -> frozenset[str]:
    """Words, pairs, and triples around a name, where names of products and complaints are masked; cues and counts."""
    reading = reading_of(text, lexicon)
    words, entities = reading.words, extract(text, lexicon)
    tokens = list(_tokens(words, reading.things, reading.troubles, lexicon))
    found = {*tokens, *(f"{a} {b}" for a, b in pairwise(tokens))}
    triples = zip(tokens, tokens[1:], tokens[2:], strict=False)
    found.update(f"{a} {b} {c}" for a, b, c in triples if "#" in a + b + c)
    found.update(f"@{name}" for name in cues_of(words))
    found.add(f"@queixas={min(_MOST_COMPLAINTS, len(entities.symptoms) + len(entities.diseases))}")
    found.add(f"@remedios={min(_MOST_MEDICINES, len(entities.medicines))}")
    found.add(f"@palavras={min(_LENGTHS, len(words.words) // _LENGTH_STEP)}")
    flags = {"@pessoal": is_personal(words), "@pede": asks(words), "@situacao": bool(entities.situations)}
    found.update(name for name, holds in flags.items() if holds)
    return frozenset(found)


def _tokens(words: Words, things: Sequence[Hit], troubles: Sequence[Hit], lexicon: Lexicon) -> Iterator[str]:
    masks: dict[int, str] = {}
    for hit in troubles:
        _cover(masks, words, hit, _MASKS[lexicon.complaints[hit.name].kind])
    for hit in things:
        _cover(masks, words, hit, "#artigo" if lexicon.products[hit.name].kind == "artigo" else "#remedio")
    last = "^"
    yield last
    for at, word in enumerate(words.words):
        token = masks.get(at) or _plain(words, at, word)
        if token != last:
            yield token
        last = token
    yield "$"


def _cover(masks: dict[int, str], words: Words, hit: Hit, mask: str) -> None:
    for at in range(words.content[hit.first], words.content[hit.last] + 1):
        masks[at] = mask


def _plain(words: Words, at: int, word: str) -> str:
    if word == BREAK:
        return "?" if words.quote(at, at) == "?" else BREAK
    if word.isdigit():
        return "0"
    return words.stems[at] if len(word) >= _STEMMED_FROM else word


Example = tuple[frozenset[str], bool]

_SEEN_AT_LEAST = 2
"""Examples in which a feature has to occur to be weighed."""
_EPOCHS, _RATE, _DECAY = 25, 0.3, 0.005
_STRIDE = 7919
"""A prime: examples are taken in leaps of it, so that neighbours in a file are not learned one after the other."""


def fit(examples: Sequence[Example], threshold: float, silence_weight: float = 1.5) -> Speaker:
    """Learn by AdaGrad on the logistic loss; an example of silence counts `silence_weight` times."""
    seen = Counter(name for found, _ in examples for name in found)
    weights = dict.fromkeys((name for name, count in seen.items() if count >= _SEEN_AT_LEAST), 0.0)
    squares = dict.fromkeys(weights, 1e-8)
    bias, bias_squares = 0.0, 1e-8
    known = [(sorted(found & weights.keys()), wanted) for found, wanted in examples]
    for epoch in range(_EPOCHS):
        for at in range(len(known)):
            found, wanted = known[(at * _STRIDE + epoch) % len(known)]
            share = 1 / math.sqrt(len(found) + 1)
            total = bias + sum(weights[name] for name in found) * share
            slope = 1 / (1 + math.exp(-max(-30.0, min(30.0, total)))) - wanted
            slope *= 1.0 if wanted else silence_weight
            bias_squares += slope * slope
            bias -= _RATE * slope / math.sqrt(bias_squares)
            for name in found:
                step = slope * share + _DECAY * weights[name]
                squares[name] += step * step
                weights[name] -= _RATE * step / math.sqrt(squares[name])
    return Speaker(weights, bias, threshold)
