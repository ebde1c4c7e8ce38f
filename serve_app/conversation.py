"""What was said at one counter → when to ask for advice, and with which context; pure, fed with stream time."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from deployments.telemetry.records import Turn

_WORD: Final = re.compile(r"\w+")
_GREETING: Final = re.compile(r"\s*(bom dia|boa tarde|boa noite|ol[aá]|oi|opa|pr[oó]xim[oa])\b", re.IGNORECASE)
_HOUR_S: Final = 3600.0
_FAREWELL: Final = re.compile(
    r"\b(tchau|at[eé] (logo|mais|amanh[aã]|a pr[oó]xima)|volte sempre|tenha um bom dia)\b", re.IGNORECASE
)


class ConversationSettings(BaseModel):
    """How the words of one customer are kept together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    context_texts_max: int = Field(6, ge=0, le=50)
    """Earlier texts of the same customer that go along with a question."""
    new_customer_silence_s: float = Field(45.0, gt=0, le=3600)
    """A silence this long means another customer. Generous: forgetting "estou grávida" too early is unsafe."""
    maybe_new_customer_silence_s: float = Field(7.0, gt=0, le=3600)
    """A silence this long, a greeting or a farewell may mean another customer: what was said before is no context any
    more, but situations go on guarding."""
    overlap_min_words: int = Field(2, ge=1, le=20)
    """Repeated words at a boundary are dropped only from this many on, and only where the audio overlaps."""
    repeat_after_s: float = Field(120.0, ge=0, le=3600)
    """An item that was shown is not suggested again within this time, unless another customer certainly came."""
    shown_items_max: int = Field(50, ge=1, le=1000)
    """Items remembered as already shown."""
    suggestions_per_hour_max: int = Field(60, ge=0, le=3600)
    """Suggestions shown in a counter's session within any hour of its stream; what goes beyond is recorded, not shown.
    0: no limit. Calls for the pharmacist do not count and are never held back."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Advice is to be asked for `text`. `context` is oldest first and ends before `text`."""

    text: str
    context: tuple[str, ...]
    shown_item_ids: tuple[str, ...]
    situations: tuple[str, ...]
    """Known of this customer."""
    guarded_situations: tuple[str, ...] = ()
    """Known of whoever stood here before an uncertain change: for the safety gate alone."""


@dataclass(slots=True)
class Conversation:
    """The words at one counter, in order. Feed it every understood text; it says when advice is worth asking for."""

    settings: ConversationSettings = field(default_factory=ConversationSettings)
    _texts: deque[str] = field(init=False)
    _shown: deque[tuple[str, float]] = field(init=False)
    _situations: list[str] = field(init=False, default_factory=list)
    _guarded: list[str] = field(init=False, default_factory=list)
    _alerted: dict[str, float] = field(init=False, default_factory=dict)
    _suggested_at_s: deque[float] = field(init=False)
    _farewell: bool = field(init=False, default=False)
    _last_end_s: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._texts = deque(maxlen=self.settings.context_texts_max)
        self._shown = deque(maxlen=self.settings.shown_items_max)
        self._suggested_at_s = deque(maxlen=self.settings.suggestions_per_hour_max)

    def resume(self, turns: Iterable[Turn], at_s: float = 0.0) -> None:
        """Take up a session at `at_s` of its stream by living through what was recorded of it, oldest first.

        So whatever follows from it follows here too: what is context, what was shown lately, which calls for the
        pharmacist were made, and whether somebody else stands there.
        """
        for turn in turns:
            now_s = self._last_end_s or 0.0
            self.heard(turn.text, now_s if turn.start_s is None else turn.start_s, turn.end_s or now_s)
            self.advised(turn.item_ids, turn.situations)
            if turn.alert:
                self.alerts(turn.alert)
        if at_s > 0:
            self._last_end_s = max(at_s, self._last_end_s or 0.0)

    def heard(self, text: str, start_s: float, end_s: float) -> Ask | None:
        """Take what was said from `start_s` to `end_s` of the stream; an Ask when advice is worth asking for.

        Texts come in the order in which they were said. None: nothing new was said (no word, or only words that an
        overlapping stretch of audio gave before).
        """
        self._look_for_change(text, start_s)
        overlaps = self._last_end_s is not None and start_s < self._last_end_s
        new = self._without_repeated_start(text) if overlaps else text.strip()
        self._last_end_s = max(end_s, self._last_end_s or end_s)
        if not _WORD.search(new):
            return None
        ask = Ask(new, tuple(self._texts), self._shown_lately(end_s), tuple(self._situations), tuple(self._guarded))
        self._texts.append(new)
        self._farewell = _FAREWELL.search(new) is not None
        return ask

    def may_suggest(self) -> bool:
        """Whether another suggestion may be shown: attendants stop reading a screen that never rests."""
        full = len(self._suggested_at_s) == self.settings.suggestions_per_hour_max > 0
        return not full or (self._last_end_s or 0.0) - self._suggested_at_s[0] >= _HOUR_S

    def advised(self, item_ids: Iterable[str], situations: Iterable[str]) -> None:
        """Remember what was shown to this customer, and what is known of them."""
        item_ids = tuple(item_ids)
        if item_ids:
            self._suggested_at_s.append(self._last_end_s or 0.0)
        self._show(item_ids)
        self._situations.extend(s for s in situations if s not in self._situations)

    def alerts(self, alert: str) -> bool:
        """Whether a call for the pharmacist is to be shown: the same one is shown once within `repeat_after_s`.

        What raised it stays in the context, so every later text of the customer raises it again.
        """
        now_s = self._last_end_s or 0.0
        shown_at_s = self._alerted.get(alert)
        if shown_at_s is not None and now_s - shown_at_s <= self.settings.repeat_after_s:
            return False
        self._alerted = {alert: now_s}
        return True

    def _show(self, item_ids: Iterable[str]) -> None:
        at_s = self._last_end_s if self._last_end_s is not None else 0.0
        self._shown.extend((item_id, at_s) for item_id in item_ids)

    def _shown_lately(self, now_s: float) -> tuple[str, ...]:
        return tuple(item_id for item_id, at_s in self._shown if now_s - at_s <= self.settings.repeat_after_s)

    def _look_for_change(self, text: str, start_s: float) -> None:
        silence_s = 0.0 if self._last_end_s is None else start_s - self._last_end_s
        if silence_s >= self.settings.new_customer_silence_s:
            self._forget_customer()
        elif silence_s >= self.settings.maybe_new_customer_silence_s or self._farewell or _GREETING.match(text):
            self._doubt_customer()

    def _forget_customer(self) -> None:
        for known in (self._texts, self._shown, self._situations, self._guarded):
            known.clear()
        self._alerted.clear()

    def _doubt_customer(self) -> None:
        """It may be somebody else: nothing that was said is context, everything that protects is kept."""
        self._texts.clear()
        self._guarded.extend(s for s in self._situations if s not in self._guarded)
        self._situations.clear()

    def _without_repeated_start(self, text: str) -> str:
        """`text` without the words at its start that the previous text ended with."""
        previous = [w.casefold() for w in _WORD.findall(self._texts[-1])] if self._texts else []
        words = list(_WORD.finditer(text))
        spoken = [w.group().casefold() for w in words]
        for length in range(min(len(previous), len(spoken)), self.settings.overlap_min_words - 1, -1):
            if previous[-length:] == spoken[:length]:
                return text[words[length].start() :].strip() if length < len(words) else ""
        return text.strip()
