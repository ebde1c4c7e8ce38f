"""The port of recognition while somebody speaks, and pure rules for what a stream says twice or too late."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from deployments.speech_to_text.port import Transcript

OnPartial = Callable[[str], None]
"""Called with each partial text that is news; it must not block and must not raise."""


class RealtimeSession(Protocol):
    """One speaking counter's stream. It has one owner: nothing here may be called while another call is under way.

    After any SttError the session is dead: close it and have the utterance's audio, which the caller still holds,
    recognised by a batch provider.
    """

    @property
    def alive(self) -> bool:
        """False once it failed or was closed."""

    @property
    def partial(self) -> str:
        """The latest partial text of the utterance under way; empty when there is none."""

    @property
    def spent_usd(self) -> float:
        """What everything that was fed so far costs, committed or not."""

    async def feed(self, pcm: bytes) -> None:
        """Send 16 kHz mono s16le `pcm` of any length; raises SttError."""

    async def commit(self, budget_s: float) -> Transcript:
        """What was said since the last commit, within `budget_s` seconds; raises SttError."""

    async def close(self) -> None:
        """Hang up; raises nothing of the vendor's. What was not committed is forgotten."""


class RealtimeProvider(Protocol):
    """A provider that can listen along."""

    name: str
    simulated: bool

    async def open(
        self, keyterms: tuple[str, ...], budget_s: float, on_partial: OnPartial | None = None
    ) -> RealtimeSession:
        """A session that is ready to be fed, within `budget_s` seconds; raises SttError."""

    async def close(self) -> None:
        """Hang up whatever is still open."""


class Partials:
    """Which partial texts are news: none twice in an utterance, none that belongs to the utterance before."""

    def __init__(self) -> None:
        self.latest = ""
        self.dropped = 0
        self._seen: set[str] = set()
        self._before: set[str] = set()

    def fresh(self, text: str) -> bool:
        """Whether `text` is news; if so it is `latest` now."""
        text = text.strip()
        if not text or text in self._seen or text in self._before:
            self.dropped += bool(text)
            return False
        self._seen.add(text)
        self.latest = text
        return True

    def ended(self, final: str) -> None:
        """The utterance ended as `final`: what it said is stale from now on."""
        self._before = self._seen | {final.strip()}
        self._seen = set()
        self.latest = ""


class Finals:
    """Pairs a commit with its final text in spite of finals that come twice. Instants are on one monotonic clock.

    Without a commit under way a final is a double. During one, a final that repeats the previous final word for word is
    held for `wait_s`: a different one that follows replaces it.
    """

    def __init__(self, wait_s: float) -> None:
        self.dropped = 0
        self._wait_s = wait_s
        self._pending = False
        self._text: str | None = None
        self._ready_at_s = 0.0
        self._previous = ""

    def committed(self) -> None:
        """A commit was sent."""
        self._pending, self._text = True, None

    def arrived(self, text: str, at_s: float) -> None:
        """A final came in."""
        text = text.strip()
        doubtful = bool(text) and text == self._previous
        if not self._pending or (self._text is not None and doubtful):
            self.dropped += 1
            return
        if self._text is not None:
            self.dropped += 1
        self._text = text
        self._ready_at_s = at_s + self._wait_s if doubtful else at_s

    def left_s(self, now_s: float) -> float | None:
        """Seconds until a held text may be taken, 0 when there is one to take, None when none came yet."""
        return None if self._text is None else max(0.0, self._ready_at_s - now_s)

    def take(self) -> str:
        """The commit's text; the commit is over."""
        text = self._text or ""
        self._pending, self._text, self._previous = False, None, text
        return text
