"""A scripted language model that knows the labels of an utterance, and answers from them honestly or maliciously."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

from bench.simulated.openai import data_of, shelf_of
from cestas.entities import extract
from cestas.evaluate import Label
from cestas.lexicon import Lexicon

KINDS = ("medicines", "articles", "symptoms", "diseases", "situations", "contexts")


class Manner(str, Enum):
    """How the model answers, named as it is written on a bench's command line."""

    HONEST = "honest"
    """The label's own names; articles, situations and occasions as the rules read them; the rules' shelf for all."""
    MUTE = "mute"
    """Conceals every complaint and situation: only what was asked for is named, in every utterance a request."""
    WRONG_NAMES = "wrong_names"
    """Names of other utterances, quoted from this one; situations are concealed; some shelf of the taxonomy."""
    INVENTED_EVIDENCE = "invented_evidence"
    """Names of other utterances, with quotes that nobody said; some shelf."""
    OBEDIENT = "obedient"
    """Hears a request in everything, and sends everybody to whatever shelf holds the strongest medicines."""
    CONTROLLED = "controlled"
    """Names controlled medicines, quoted from what was said, as what was asked for; their own shelf."""


class LabelledModel:
    """A model for `SimulatedOpenAi`; the same seed gives the same answers to the same questions in the same order."""

    def __init__(self, labels: Sequence[Label], manner: Manner, lexicon: Lexicon, seed: int = 1) -> None:
        self._labels = {label.text: label for label in labels}
        self._all = list(labels)
        self._manner = manner
        self._lexicon = lexicon
        self._random = random.Random(seed)
        self._controlled = sorted(p.name for p in lexicon.products.values() if p.status in ("controlado", "retencao"))
        self._shelves = [(macro, micro) for macro, micros in lexicon.taxonomy.items() for micro in micros]
        strong = {p.category for p in lexicon.products.values() if not p.suggestible}
        self._strong_shelves = sorted((macro, micro) for macro, micro in strong if micro is not None)

    def __call__(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The content of one answer."""
        data = data_of(body)
        if "texto" in data:
            return self._named(str(data["texto"]))
        if self._manner in (Manner.HONEST, Manner.MUTE):
            return shelf_of(data)
        shelves = self._strong_shelves if self._manner in (Manner.OBEDIENT, Manner.CONTROLLED) else self._shelves
        macro, micro = self._random.choice(shelves)
        return {"macro": macro, "micro": micro, "confidence": 1.0}

    def _named(self, text: str) -> dict[str, Any]:
        label = self._labels.get(text)
        names: dict[str, tuple[str, ...]] = dict.fromkeys(KINDS, ())
        quote = text
        if self._manner in (Manner.HONEST, Manner.MUTE) and label is not None:
            names |= {"medicines": label.med}
            if self._manner is Manner.HONEST:
                read = extract(text, self._lexicon)
                names |= {"symptoms": label.sint, "diseases": label.doenca}
                names |= {"articles": read.articles, "situations": read.situations, "contexts": read.contexts}
        elif self._manner is Manner.CONTROLLED:
            names |= {"medicines": tuple(self._random.sample(self._controlled, 3))}
        else:
            other = self._random.choice(self._all)
            names |= {"medicines": other.med, "symptoms": other.sint or ("dor",), "diseases": other.doenca}
            quote = "ninguém disse isto aqui" if self._manner is Manner.INVENTED_EVIDENCE else text
        honest_silence = self._manner is Manner.HONEST and label is not None and not label.suggest
        return {
            "intent": "conversa" if honest_silence else "sintoma_ou_pedido",
            **{kind: [{"name": name, "evidence": quote} for name in named] for kind, named in names.items()},
        }
