"""How loaded a replica is, and what it gives up for it, step by step and back: pure, fed with measurements and time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

WINDOW_S: Final = 2.0
"""Waiting times older than this say nothing of now."""
WAITS_MAX: Final = 512


class Shedding(IntEnum):
    """What a replica does without; each step includes those before it. Utterances that were accepted are never shed."""

    NOTHING = 0
    SPECULATION = 1
    """Utterances are not handed on before they have ended."""
    HEDGES = 2
    """A slow provider is not overtaken by a second one."""
    LANGUAGE_MODEL = 3
    """Rules answer in its place."""
    CONNECTIONS = 4
    """New counters are told to try again."""


class OverloadSettings(BaseModel):
    """When a replica counts as loaded. Each figure is what makes the pressure 1; the largest one counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wait_s: float = Field(0.75, gt=0, le=60)
    """Of nine in ten utterances lately: their wait for a turn and the voice stage, which only our own load makes long.
    A quarter of the deadline."""
    loop_lag_s: float = Field(0.25, gt=0, le=60)
    """How late the event loop comes: every socket of the replica waits that long."""
    pending: int = Field(400, ge=1)
    """Utterances of the replica that are not answered yet."""
    relief: float = Field(0.6, gt=0, lt=1)
    """Below this pressure a step is taken back: apart from 1, so that it does not go to and fro."""
    step_up_s: float = Field(0.5, gt=0, le=60)
    """How long a pressure of 1 must last for the next step."""
    step_down_s: float = Field(3.0, gt=0, le=600)
    """How long relief must last for one step back: all four in 12 s."""

    @model_validator(mode="after")
    def _down_is_slower(self) -> OverloadSettings:
        if self.step_down_s < self.step_up_s:
            raise ValueError("step_down_s must not be shorter than step_up_s")
        return self


@dataclass(slots=True)
class Overload:
    """`waited` for every utterance, `tick` a few times a second; `level` says what is shed. Any monotonic seconds."""

    settings: OverloadSettings = field(default_factory=OverloadSettings)
    level: Shedding = field(init=False, default=Shedding.NOTHING)
    pressure: float = field(init=False, default=0.0)
    """As of the last tick: 1 is where shedding begins."""
    _waits: deque[tuple[float, float]] = field(init=False, default_factory=lambda: deque(maxlen=WAITS_MAX))
    _above_since_s: float | None = field(init=False, default=None)
    _below_since_s: float | None = field(init=False, default=None)

    def waited(self, wait_s: float, now_s: float) -> None:
        """An utterance has waited that long, for a turn and in the voice stage."""
        self._waits.append((now_s, wait_s))

    def tick(self, loop_lag_s: float, pending: int, now_s: float) -> Shedding:
        """Take the event loop's lateness and the utterances on their way; the level from now on."""
        s = self.settings
        self.pressure = max(loop_lag_s / s.loop_lag_s, pending / s.pending, self._wait_s(now_s) / s.wait_s)
        if self.pressure >= 1:
            self._below_since_s = None
            if self._above_since_s is None:
                self._above_since_s = now_s
            if now_s - self._above_since_s >= s.step_up_s and self.level < Shedding.CONNECTIONS:
                self.level, self._above_since_s = Shedding(self.level + 1), now_s
        elif self.pressure <= s.relief:
            self._above_since_s = None
            if self._below_since_s is None:
                self._below_since_s = now_s
            if now_s - self._below_since_s >= s.step_down_s and self.level > Shedding.NOTHING:
                self.level, self._below_since_s = Shedding(self.level - 1), now_s
        else:
            self._above_since_s = self._below_since_s = None
        return self.level

    def sheds(self, what: Shedding) -> bool:
        """Whether `what` is given up now."""
        return self.level >= what

    def _wait_s(self, now_s: float) -> float:
        """What nine in ten of the latest utterances did not exceed; 0 without any."""
        while self._waits and now_s - self._waits[0][0] > WINDOW_S:
            self._waits.popleft()
        waits = sorted(wait_s for _, wait_s in self._waits)
        return waits[min(len(waits) - 1, len(waits) * 9 // 10)] if waits else 0.0
