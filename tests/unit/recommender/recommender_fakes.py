"""Scripted implementations of the recommender's ports."""

from __future__ import annotations

import json
from collections import deque
from typing import Any

from deployments.recommender.chat import ChatAnswer, Question
from deployments.recommender.port import AdviceRequest, AdvisorError, Understanding


class FakeClock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class FakeChat:
    """Answers with the scripted objects or texts, or raises the scripted errors; each call takes `call_s`."""

    name = "openai"

    def __init__(
        self, *script: dict[str, Any] | str | AdvisorError, clock: FakeClock | None = None, call_s: float = 0.2
    ):
        self.questions: list[Question] = []
        self.timeouts_s: list[float] = []
        self.closed = False
        self._script = deque(script)
        self._clock = clock or FakeClock()
        self._call_s = call_s

    async def ask(self, question: Question, timeout_s: float) -> ChatAnswer:
        self.questions.append(question)
        self.timeouts_s.append(timeout_s)
        self._clock.now_s += self._call_s
        answer = self._script.popleft()
        if isinstance(answer, AdvisorError):
            raise answer
        return ChatAnswer(answer if isinstance(answer, str) else json.dumps(answer), tokens_in=1000, tokens_out=100)

    async def close(self) -> None:
        self.closed = True


class FakeAdvisor:
    """An advisor that understands what it was told to understand, or fails as it was told to."""

    def __init__(self, outcome: Understanding | AdvisorError, name: str = "openai") -> None:
        self.name = name
        self.outcome = outcome
        self.requests: list[AdviceRequest] = []
        self.closed = False

    async def understand(self, request: AdviceRequest) -> Understanding:
        self.requests.append(request)
        if isinstance(self.outcome, AdvisorError):
            raise self.outcome
        return self.outcome

    def health(self) -> dict[str, Any]:
        return {}

    async def close(self) -> None:
        self.closed = True


class FakeMetrics:
    """Remembers what was counted."""

    def __init__(self) -> None:
        self.counts: list[tuple[str, float, dict[str, str]]] = []
        self.timings: list[tuple[str, float, dict[str, str]]] = []

    def count(self, name: str, value: float = 1.0, **labels: str) -> None:
        self.counts.append((name, value, labels))

    def observe_ms(self, name: str, value_ms: float, **labels: str) -> None:
        self.timings.append((name, value_ms, labels))

    def gauge(self, name: str, value: float, **labels: str) -> None:
        raise AssertionError("the recommender sets no gauge")
