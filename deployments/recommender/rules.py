"""An advisor that asks nobody: the lexicon and the rules of `cestas`, well under a millisecond."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cestas.classify import NOTHING, Classification, classify
from cestas.entities import extract
from cestas.intent import intent_of
from cestas.invented import is_invented
from cestas.lexicon import Lexicon
from cestas.model import Entities
from cestas.speak import judged
from deployments.recommender.certainty import Certainty, certainty_of
from deployments.recommender.naming import together
from deployments.recommender.port import AdviceRequest, Understanding

SPOKEN_FOR = "sintoma_ou_pedido"
"""The one intent that calls for a suggestion; prices, doses, payments and small talk do not."""

INVENTED = Certainty(speaks=False, confidence=0.0, unknown_words=0, wish_probability=0.0, guessed=False)
"""Of a text that nobody said: the silence is certain."""


@dataclass(frozen=True, slots=True)
class RulesReading:
    """What the rules understood, and what speaks for and against it."""

    understanding: Understanding
    certainty: Certainty


class RulesAdvisor:
    """Lexicon and rules of `cestas`; says nothing below `min_confidence` (0..1). `clock` gives seconds."""

    name = "regras"

    def __init__(self, lexicon: Lexicon, min_confidence: float, clock: Callable[[], float] = time.perf_counter) -> None:
        self._lexicon = lexicon
        self._min_confidence = min_confidence
        self._clock = clock

    async def understand(self, request: AdviceRequest) -> Understanding:
        """See `read`."""
        return self.read(request).understanding

    def read(self, request: AdviceRequest) -> RulesReading:
        """Entities and category of `request.text` for a customer of `request.situations`; raises nothing."""
        started_s = self._clock()
        known = Entities(situations=request.situations)
        if is_invented(request.text):
            return RulesReading(self._understanding(known, NOTHING, False, started_s, started_s), INVENTED)
        entities = together((extract(request.text, self._lexicon), known))
        named_s = self._clock()
        category = classify(request.text, entities, self._lexicon)
        wish = judged(request.text, self._lexicon).need
        wanted = intent_of(request.text, entities) == SPOKEN_FOR and wish >= self._lexicon.judge.need_at
        speaks = wanted and category.confidence >= self._min_confidence
        certainty = certainty_of(
            request.text,
            self._lexicon,
            speaks=speaks and category.macro is not None,
            confidence=category.confidence,
            wish_probability=wish,
        )
        return RulesReading(self._understanding(entities, category, speaks, started_s, named_s), certainty)

    def _understanding(
        self, entities: Entities, category: Classification, speaks: bool, started_s: float, named_s: float
    ) -> Understanding:
        return Understanding(
            entities=entities,
            macro=category.macro if speaks else None,
            micro=category.micro if speaks else None,
            confidence=category.confidence,
            origin="regras",
            steps_ms={"entidades": (named_s - started_s) * 1e3, "categoria": (self._clock() - named_s) * 1e3},
        )

    def health(self) -> dict[str, Any]:
        """Nothing to tell."""
        return {}

    async def close(self) -> None:
        """Nothing to release."""
