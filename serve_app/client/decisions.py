"""What a counter decides: what it keeps, from where it resumes, what it shows, when it gives up; no I/O."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from audio.utterance import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ
from serve_app.client.messages import is_number
from serve_app.client.settings import ClientSettings

_SAMPLES_PER_MS: Final = SAMPLE_RATE_HZ // 1000
_MAX_SHOWN: Final = 10_000
_PACE_SHARE: Final = 0.9
"""Of the rate that the server states: clocks and bursts differ."""
_MAX_HINT_S: Final = 60.0
_SENT_AWAY_JITTER_S: Final = 0.1


class ResendBuffer:
    """The last part of a stream by byte offset, with a cursor between what was sent and what was not.

    Never holds more than `capacity_bytes` (even): the oldest samples give way. Positions are samples of the stream,
    two bytes each; a sample may be appended in two halves.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity = capacity_bytes
        self._data = bytearray()
        self._start = 0
        self._cursor = 0

    @property
    def first_sample(self) -> int:
        """The oldest sample still held."""
        return self._start // BYTES_PER_SAMPLE

    @property
    def end_sample(self) -> int:
        """One past the newest whole sample."""
        return (self._start + len(self._data)) // BYTES_PER_SAMPLE

    @property
    def unsent_bytes(self) -> int:
        """How much lies ahead of the cursor."""
        return self._start + len(self._data) - max(self._cursor, self._start)

    @property
    def overrun(self) -> bool:
        """True when samples gave way before they were sent."""
        return self._cursor < self._start

    def fits(self, size: int, connected: bool) -> bool:
        """Whether `size` bytes more push out nothing that is needed: what is unsent; without a connection, all."""
        held = self.unsent_bytes if connected else len(self._data)
        return held + size <= self._capacity

    def append(self, chunk: bytes) -> None:
        """Add to the end; the oldest whole samples beyond the capacity are dropped."""
        self._data += chunk
        excess = len(self._data) - self._capacity
        if excess > 0:
            self._drop(excess + excess % BYTES_PER_SAMPLE)

    def take(self, size: int) -> bytes:
        """Up to `size` unsent bytes, and move the cursor past them; empty when all was sent."""
        begin = self._cursor - self._start
        piece = bytes(self._data[begin : begin + size])
        self._cursor += len(piece)
        return piece

    def forget(self, sample: int) -> None:
        """Let go of everything before `sample`; what was not sent yet stays."""
        until = min(sample, self._cursor // BYTES_PER_SAMPLE) * BYTES_PER_SAMPLE
        self._drop(max(0, until - self._start))

    def rewind(self, sample: int) -> None:
        """Put the cursor at `sample`; raises ValueError when it is not held."""
        if not self.first_sample <= sample <= self.end_sample:
            raise ValueError("sample_not_held")
        self._cursor = sample * BYTES_PER_SAMPLE

    def _drop(self, size: int) -> None:
        del self._data[:size]
        self._start += size


@dataclass(frozen=True, slots=True)
class Resume:
    """Where to send from, in samples of the stream (None: only another session can go on), and what is lost."""

    from_sample: int | None
    lost_samples: int


class Ledger:
    """What the counter knows of its session: how its samples map to the stream's, what is safe, what was shown."""

    def __init__(self) -> None:
        self.session_id: str | None = None
        self.base_sample = 0
        """The stream's sample that is the session's sample 0: not 0 when a session was begun in mid-stream."""
        self.safe_sample = 0
        """Samples of the stream before this one need not be sent again."""
        self._shown: OrderedDict[str, None] = OrderedDict()

    def needed_from(self, held_from: int) -> int:
        """The `desde` of a handshake: the session's oldest sample that is neither safe nor gone; 0 without a session.

        `held_from` is the stream's oldest sample that can be sent.
        """
        if self.session_id is None:
            return 0
        return max(0, max(held_from, self.safe_sample) - self.base_sample)

    def welcomed(self, session_id: str, received_until: int, held_from: int, held_until: int) -> Resume:
        """Decide after `sessao`: the stream's samples `held_from` to `held_until` can be sent (again).

        A server that was told `desde` never asks for less. One that does (an older one, or one that answered while the
        oldest samples gave way) gets a new session behind the hole, since a session's positions count every sample.
        Samples that the server had made safe are not lost; the others before `held_from` are, where it answered
        `held_from` itself: it then has nothing to show that it had heard them.
        """
        same = session_id == self.session_id
        wanted = self.base_sample + received_until if same else self.safe_sample
        if same and not held_from <= wanted <= held_until:
            lost = max(0, held_from - max(wanted, self.safe_sample))
            self.session_id = None
            self.safe_sample = max(self.safe_sample, held_from)
            return Resume(None, lost)
        begin = max(wanted, held_from)
        lost = max(0, begin - self.safe_sample) if begin == held_from else 0
        self.session_id = session_id
        self.aligned(begin, received_until, same)
        return Resume(begin, lost)

    def aligned(self, stream_sample: int, received_until: int, same: bool = False) -> None:
        """The session's sample `received_until` is the stream's `stream_sample`."""
        if not same:
            self.base_sample = stream_sample - received_until
        self.safe_sample = max(self.safe_sample, stream_sample)

    def received(self, until: int) -> int:
        """The server keeps the session's samples before `until`: the stream's sample up to which all is safe."""
        self.safe_sample = max(self.safe_sample, self.base_sample + until)
        return self.safe_sample

    def first_time(self, suggestion_id: str) -> bool:
        """True once per id (the last 10,000 ids are remembered)."""
        if suggestion_id in self._shown:
            return False
        self._shown[suggestion_id] = None
        if len(self._shown) > _MAX_SHOWN:
            self._shown.popitem(last=False)
        return True

    def in_stream_time(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of an `ouvido` with `inicio_ms` and `fim_ms` moved from the session's to the stream's time."""
        offset_ms = self.base_sample // _SAMPLES_PER_MS
        moved = {name: fields[name] + offset_ms for name in ("inicio_ms", "fim_ms") if is_number(fields.get(name))}
        return {**fields, **moved}


class Endpoints:
    """Which of several servers to try: the one that works until an attempt at it fails, then the next, in a ring."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = tuple(urls)
        self._place = 0
        self._accepted = False

    @property
    def url(self) -> str:
        """The one to try."""
        return self._urls[self._place]

    def accepted(self) -> None:
        """It took us."""
        self._accepted = True

    def failed(self) -> None:
        """A connection ended. One that had been accepted is sought at the same place first: others serve there too."""
        if not self._accepted:
            self._place = (self._place + 1) % len(self._urls)
        self._accepted = False


def catch_up_pause_s(settings: ClientSettings, size: int, bytes_per_s: float | None) -> float:
    """Seconds between two pieces of a backlog, `size` bytes each: by our own pace, and never above the server's."""
    ours_s = settings.chunk_ms / 1000 / settings.speed / settings.catch_up_factor
    return ours_s if not bytes_per_s else max(ours_s, size / (bytes_per_s * _PACE_SHARE))


class Backoff:
    """How long to wait before the next attempt, doubling with jitter (half to whole), and when to give up."""

    def __init__(self, settings: ClientSettings, random: Callable[[], float]) -> None:
        self._settings = settings
        self._random = random
        self._failures = 0
        self._limit = settings.first_attempts
        self._endpoints = len(settings.urls)

    def connected(self) -> None:
        """A connection was accepted: from now on the session is worth `max_attempts`."""
        self._limit = self._settings.max_attempts

    def lasted(self, seconds: float) -> None:
        """An accepted connection has ended after `seconds`."""
        if seconds >= self._settings.stable_s:
            self._failures = 0

    def next_delay_s(self, asked_s: float = 0.0, *, sent_away: bool = False) -> float | None:
        """Seconds until the next attempt, never before what the server asked (up to a minute); None: give up.

        With several endpoints each has its turn before the wait doubles. `sent_away`: the server goes away and spreads
        its counters itself, so the first attempt comes hardly later than it said.
        """
        self._failures += 1
        if self._failures >= self._limit * self._endpoints:
            return None
        rounds = (self._failures - 1) // self._endpoints
        ceiling = min(self._settings.backoff_max_s, self._settings.backoff_initial_s * 2.0 ** min(rounds, 30))
        if sent_away and self._failures == 1:
            ceiling = min(ceiling, _SENT_AWAY_JITTER_S)
        jitter: float = 0.5 + self._random() / 2
        return min(max(0.0, asked_s), _MAX_HINT_S) + ceiling * jitter
