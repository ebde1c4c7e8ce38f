"""Builds the demonstration recogniser's dictionary and language model from its vocabulary."""

from __future__ import annotations

import itertools
import json
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.speech_to_text.portuguese import pronunciations

DATA = Path(__file__).parent / "demonstration_data"
VOCABULARY = DATA / "vocabulary.json"
DICTIONARY = DATA / "counter.dict"
LANGUAGE_MODEL = DATA / "counter.arpa"

START, END = "<s>", "</s>"
BIGRAM_MASS = 0.7
"""Share of probability that a bigram seen in the sentences keeps; the rest goes to any word, by its unigram."""
TERM_MASS = 0.4
"""Share of the unigrams' probability that terms have together; fillers have the rest."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Terms and fillers by class, and the sentences of counter talk in which `{class}` stands for any of its words."""

    terms: Mapping[str, tuple[str, ...]]
    fillers: Mapping[str, tuple[str, ...]]
    sentences: tuple[str, ...]

    @property
    def all_terms(self) -> frozenset[str]:
        """Every term, as written."""
        return frozenset(term for group in self.terms.values() for term in group)

    @property
    def words(self) -> tuple[str, ...]:
        """Every term and filler, as written, sorted."""
        groups = [*self.terms.values(), *self.fillers.values()]
        return tuple(sorted({word for group in groups for word in group}))

    def members(self, symbol: str) -> tuple[str, ...]:
        """The words that `symbol` of a sentence stands for: those of a `{class}`, or the word itself."""
        if symbol.startswith("{"):
            name = symbol[1:-1]
            return self.terms[name] if name in self.terms else self.fillers[name]
        return (symbol,)


def load(path: Path = VOCABULARY) -> Vocabulary:
    """Read a vocabulary file; raises ValueError when a sentence uses a word or a class that it does not have."""
    raw: dict[str, Any] = json.loads(path.read_text("utf-8"))
    vocabulary = Vocabulary(
        {name: tuple(words) for name, words in raw["terms"].items()},
        {name: tuple(words) for name, words in raw["fillers"].items()},
        tuple(raw["sentences"]),
    )
    for sentence in vocabulary.sentences:
        list(symbols(sentence, vocabulary))
    return vocabulary


def token(word: str) -> str:
    """A word of the vocabulary as one token of the recogniser: `dor de cabeça` → `dor_de_cabeça`."""
    return word.replace(" ", "_")


def written(token: str) -> str:
    """The inverse of `token`, and without the mark of a pronunciation variant: `oi(2)` → `oi`."""
    return token.split("(")[0].replace("_", " ")


def symbols(sentence: str, vocabulary: Vocabulary) -> Iterator[str]:
    """The classes and words of `sentence`, longest words first; raises ValueError on an unknown one."""
    known = set(vocabulary.words) | {f"{{{name}}}" for name in [*vocabulary.terms, *vocabulary.fillers]}
    pieces = sentence.split()
    while pieces:
        length = next((n for n in range(len(pieces), 0, -1) if " ".join(pieces[:n]) in known), 0)
        if not length:
            raise ValueError(f"the sentence {sentence!r} uses {pieces[0]!r}, which the vocabulary does not have")
        yield " ".join(pieces[:length])
        pieces = pieces[length:]


def dictionary(vocabulary: Vocabulary) -> str:
    """Every token with its pronunciations, in the format of CMUdict."""
    lines = []
    for word in vocabulary.words:
        for number, phones in enumerate(pronunciations(word), 1):
            mark = f"({number})" if number > 1 else ""
            lines.append(f"{token(word)}{mark} {phones}")
    return "\n".join(lines) + "\n"


def bigrams(vocabulary: Vocabulary) -> dict[str, dict[str, float]]:
    """Probability of each word after another, as the sentences have it, with classes spread evenly over their words."""
    counts: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for sentence in vocabulary.sentences:
        path = [START, *symbols(sentence, vocabulary), END]
        for before, after in itertools.pairwise(path):
            for first in vocabulary.members(before):
                successors = vocabulary.members(after)
                for second in successors:
                    counts[first][second] += 1 / len(successors)
    return {
        first: {second: count / sum(after.values()) for second, count in sorted(after.items())}
        for first, after in sorted(counts.items())
    }


def unigrams(vocabulary: Vocabulary) -> dict[str, float]:
    """Probability of each word anywhere: terms share `TERM_MASS` evenly, fillers and the sentence's end the rest."""
    terms = vocabulary.all_terms
    fillers = [word for word in vocabulary.words if word not in terms]
    each_term, each_filler = TERM_MASS / len(terms), (1 - TERM_MASS) / (len(fillers) + 1)
    return {END: each_filler, **{word: each_term if word in terms else each_filler for word in vocabulary.words}}


def language_model(vocabulary: Vocabulary) -> str:
    """A bigram model with back-off, in the ARPA format (probabilities and weights as log10)."""
    one, two = unigrams(vocabulary), bigrams(vocabulary)
    lines = ["\\data\\", f"ngram 1={len(one) + 1}", f"ngram 2={sum(map(len, two.values()))}", "", "\\1-grams:"]
    lines.append(f"-99 {START} {_back_off(two[START], one):.3f}")
    for word, share in sorted(one.items()):
        weight = f" {_back_off(two[word], one):.3f}" if word in two else ""
        lines.append(f"{math.log10(share):.3f} {token(word)}{weight}")
    lines += ["", "\\2-grams:"]
    for first, after in two.items():
        for second, share in after.items():
            lines.append(f"{math.log10(BIGRAM_MASS * share):.3f} {token(first)} {token(second)}")
    return "\n".join([*lines, "", "\\end\\", ""])


def _back_off(after: Mapping[str, float], one: Mapping[str, float]) -> float:
    unseen = 1 - sum(one[word] for word in after)
    return math.log10((1 - BIGRAM_MASS) / unseen)


def write(folder: Path = DATA) -> None:
    """Regenerate the dictionary and the language model that ship with the package."""
    vocabulary = load()
    (folder / DICTIONARY.name).write_text(dictionary(vocabulary), "utf-8")
    (folder / LANGUAGE_MODEL.name).write_text(language_model(vocabulary), "utf-8")


if __name__ == "__main__":
    write()
