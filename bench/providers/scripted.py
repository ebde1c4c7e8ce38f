"""Providers of the port in this process: each answer, error and delay as scripted, with a ledger of what was sent."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from deployments.speech_to_text.port import Transcript

BYTES_PER_HOUR = 32_000 * 3600
"""16 kHz mono s16le."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one request meets: `then` after `after_s` seconds; None never answers."""

    then: str | Exception | None = "estou com dor de cabeça"
    after_s: float = 0.0


class Scripted:
    """Meets requests with `script` one by one, then with `otherwise`, which may be drawn anew for every request."""

    simulated = False

    def __init__(
        self,
        name: str,
        *script: Step,
        otherwise: Callable[[], Step] | None = None,
        usd_per_hour: float = 0.0,
    ) -> None:
        self.name = name
        self.usd_per_hour = usd_per_hour
        self.otherwise = otherwise or Step
        self.budgets_s: list[float] = []
        self.asked_at_s: list[float] = []
        """By the event loop's time."""
        self.cancelled = 0
        self.open = 0
        self.ledger_usd = 0.0
        """What a vendor would bill: every request that it answered, or that was given up after it had been sent."""
        self.closed = False
        self._script = deque(script)

    async def transcribe(self, pcm: bytes, *, keyterms: tuple[str, ...], budget_s: float) -> Transcript:
        """Act the next step."""
        step = self._script.popleft() if self._script else self.otherwise()
        self.budgets_s.append(budget_s)
        self.asked_at_s.append(asyncio.get_running_loop().time())
        self.open += 1
        try:
            if step.then is None:
                await asyncio.Event().wait()
            elif step.after_s:
                await asyncio.sleep(step.after_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            self.ledger_usd += self.price_usd(pcm)
            raise
        finally:
            self.open -= 1
        if isinstance(step.then, Exception):
            raise step.then
        self.ledger_usd += self.price_usd(pcm)
        return Transcript(step.then or "", (), f"modelo-{self.name}", self.price_usd(pcm))

    def price_usd(self, pcm: bytes, keyterms: tuple[str, ...] = ()) -> float:
        """By the second."""
        return len(pcm) / BYTES_PER_HOUR * self.usd_per_hour

    async def close(self) -> None:
        """Note that it was closed."""
        self.closed = True
