"""Hand-written providers, decoders and metrics that implement the ports, for tests of speech-to-text."""

from __future__ import annotations

import asyncio
from collections import deque

from deployments.speech_to_text.port import Transcript
from deployments.speech_to_text.sphinx import Heard

SECOND = b"\x00\x01" * 16_000
"""One second of audio, as PCM."""


class ScriptedProvider:
    """Answers, raises, or (for "hang") never answers, one step per request."""

    name = "roteiro"
    simulated = False

    def __init__(self, *steps: Transcript | Exception | str) -> None:
        self._steps = deque(steps)
        self.budgets_s: list[float] = []
        self.keyterms: list[tuple[str, ...]] = []
        self.closed = False

    async def transcribe(self, pcm: bytes, *, keyterms: tuple[str, ...], budget_s: float) -> Transcript:
        self.budgets_s.append(budget_s)
        self.keyterms.append(keyterms)
        step = self._steps.popleft()
        if isinstance(step, Exception):
            raise step
        if isinstance(step, str):
            await asyncio.Event().wait()
            raise AssertionError("a hanging provider never answers")
        return step

    async def close(self) -> None:
        self.closed = True


class ScriptedDecoder:
    """Hears what it is told to, one list per utterance."""

    def __init__(self, *steps: list[Heard] | Exception) -> None:
        self._steps = deque(steps)
        self.heard: list[bytes] = []
        self.closed = False

    def hear(self, pcm: bytes, limit_s: float) -> list[Heard]:
        self.heard.append(pcm)
        step = self._steps.popleft()
        if isinstance(step, Exception):
            raise step
        return step

    def close(self) -> None:
        self.closed = True


class CountedMetrics:
    """Remembers what was counted, by name and labels."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, ...], float] = {}
        self.observed: list[str] = []
        self.gauges: dict[tuple[str, ...], float] = {}

    def count(self, name: str, value: float = 1.0, **labels: str) -> None:
        key = (name, *labels.values())
        self.counts[key] = self.counts.get(key, 0.0) + value

    def observe_ms(self, name: str, value_ms: float, **labels: str) -> None:
        self.observed.append(name)

    def gauge(self, name: str, value: float, **labels: str) -> None:
        self.gauges[(name, *labels.values())] = value
