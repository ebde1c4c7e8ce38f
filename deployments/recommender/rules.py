"""The advisor that needs no provider: the pharmacy's own rules, in under a millisecond."""

from __future__ import annotations

import time
from collections.abc import Callable

from cestas.classify import classify
from cestas.entities import extract
from cestas.intent import intent_of
from cestas.invented import is_invented
from cestas.lexicon import Lexicon
from cestas.model import Entities
from deployments.recommender.naming import together
from deployments.recommender.port import AdviceRequest, Understanding

SPOKEN_FOR = "sintoma_ou_pedido"
"""The one intent that calls for a suggestion; prices, doses, payments and small talk do not."""


class RulesAdvisor:
    """Lexicon and rules of `cestas`; says nothing below `min_confidence` (0..1). `clock` gives seconds."""

    name = "regras"

    def __init__(self, lexicon: Lexicon, min_confidence: float, clock: Callable[[], float] = time.perf_counter) -> None:
        self._lexicon = lexicon
        self._min_confidence = min_confidence
        self._clock = clock

    async def understand(self, request: AdviceRequest) -> Understanding:
        """Entities and category of `request.text` for a customer of `request.situations`; raises nothing."""
        started_s = self._clock()
        entities = together((extract(request.text, self._lexicon), Entities(situations=request.situations)))
        named_s = self._clock()
        category = classify(request.text, entities, self._lexicon)
        asked_for = not is_invented(request.text) and intent_of(request.text, entities) == SPOKEN_FOR
        answers = asked_for and category.confidence >= self._min_confidence
        return Understanding(
            entities=entities,
            macro=category.macro if answers else None,
            micro=category.micro if answers else None,
            confidence=category.confidence,
            origin="regras",
            steps_ms={"entidades": (named_s - started_s) * 1e3, "categoria": (self._clock() - named_s) * 1e3},
        )

    async def close(self) -> None:
        """Nothing to release."""
