"""What was said at one counter → when to ask for advice, and with which context; pure, fed with stream time."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

_WORD: Final = re.compile(r"\w+")


class ConversationSettings(BaseModel):
    """How the words of one customer are kept together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    context_texts_max: int = Field(6, ge=0, le=50)
    """Earlier texts of the same customer that go along with a question."""
    new_customer_silence_s: float = Field(45.0, gt=0, le=3600)
    """A silence this long means another customer. Generous: forgetting "estou grávida" too early is unsafe."""
    overlap_min_words: int = Field(2, ge=1, le=20)
    """Repeated words at a boundary are dropped only from this many on, and only where the audio overlaps."""
    shown_items_max: int = Field(50, ge=1, le=1000)
    """Items remembered as already shown to the customer."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Advice is to be asked for `text`. `context` is oldest first and ends before `text`."""

    text: str
    context: tuple[str, ...]
    shown_item_ids: tuple[str, ...]
    situations: tuple[str, ...]


@dataclass(slots=True)
class Conversation:
    """The words at one counter, in order. Feed it every understood text; it says when advice is worth asking for."""

    settings: ConversationSettings = field(default_factory=ConversationSettings)
    _texts: deque[str] = field(init=False)
    _shown: deque[str] = field(init=False)
    _situations: list[str] = field(init=False, default_factory=list)
    _last_end_s: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._texts = deque(maxlen=self.settings.context_texts_max)
        self._shown = deque(maxlen=self.settings.shown_items_max)

    def remember(self, texts: Iterable[str], shown_item_ids: Iterable[str]) -> None:
        """Take up a resumed session: what its customer said, and what was already shown."""
        self._texts.extend(texts)
        self._shown.extend(shown_item_ids)

    def heard(self, text: str, start_s: float, end_s: float) -> Ask | None:
        """Take what was said from `start_s` to `end_s` of the stream; an Ask when advice is worth asking for.

        Texts come in the order in which they were said. None: nothing new was said (no word, or only words that an
        overlapping stretch of audio gave before).
        """
        if self._customer_changed(start_s):
            self._forget_customer()
        overlaps = self._last_end_s is not None and start_s < self._last_end_s
        new = self._without_repeated_start(text) if overlaps else text.strip()
        self._last_end_s = max(end_s, self._last_end_s or end_s)
        if not _WORD.search(new):
            return None
        ask = Ask(new, tuple(self._texts), tuple(self._shown), tuple(self._situations))
        self._texts.append(new)
        return ask

    def advised(self, item_ids: Iterable[str], situations: Iterable[str]) -> None:
        """Remember what was shown to this customer, and what is known of them."""
        self._shown.extend(item_ids)
        self._situations.extend(s for s in situations if s not in self._situations)

    def _customer_changed(self, start_s: float) -> bool:
        return self._last_end_s is not None and start_s - self._last_end_s >= self.settings.new_customer_silence_s

    def _forget_customer(self) -> None:
        self._texts.clear()
        self._shown.clear()
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
