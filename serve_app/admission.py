"""Who may come in and how much may come with it: pure limits over time, in bounded memory, each with its answer."""

from __future__ import annotations

from collections import Counter as Tally
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from serve_app.overload import OverloadSettings

NAMES_MAX: Final = 10_000
"""Addresses, and clients, whose connections are remembered; beyond it the one that came longest ago is forgotten."""

_REAL_TIME_BYTES_PER_S: Final = 32_000
"""16 kHz, 16 bits."""

Denial = Literal["replica_cheia", "no_cheio", "cliente_cheio", "conexoes_demais", "sobrecarga"]
"""Why a counter is sent away with 4002; a metric's label."""


class IngressSettings(BaseModel):
    """Limits of one ingress replica."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    counters_max: int = Field(1000, ge=1)
    """Counters at once on one replica. A socket holds a slot: `max_ongoing_requests` of CounterIngress is larger."""
    counters_node_max: int = Field(2000, ge=1)
    """Counters at once on all ingress replicas of one node, as of a second ago."""
    counters_client_max: int = Field(1000, ge=1)
    """Counters of one client at once on one replica."""
    connections_per_s_address: float = Field(50.0, gt=0)
    """New connections from one address; behind an edge that hides addresses all counters share one."""
    connections_burst_address: int = Field(1000, ge=1)
    connections_per_s_client: float = Field(20.0, gt=0)
    connections_burst_client: int = Field(500, ge=1)
    """As many counters of a chain may come back at once after an outage."""
    handshake_timeout_s: float = Field(10.0, gt=0, le=60)
    retry_in_s: int = Field(5, ge=1, le=600)
    """What a counter that is refused for overload is told to wait."""
    bytes_per_s_max: int = Field(512_000, ge=32_000)
    """Audio of one counter, as it comes and once more as decoded; 32,000 is real time. A resuming client catches up at
    most this fast. What it sends as text counts too."""
    bytes_burst_max: int = Field(4_000_000, ge=32_000)
    messages_per_s_max: float = Field(400.0, ge=20)
    """Audio messages of one counter; 16.7 a second is usual, and 16 times that while one catches up."""
    messages_burst_max: int = Field(4_000, ge=20)
    commands_per_s_max: float = Field(10.0, ge=1)
    """Text messages of one counter; what is beyond is dropped, counted, and answered with `comandos_demais`."""
    commands_burst_max: int = Field(50, ge=1)
    turns_max: int = Field(96, ge=1, le=10_000)
    """Utterances of a replica that are with the stages at once; the others wait, fair between clients."""
    drain_spread_s: float = Field(4.0, ge=0, le=600)
    """Going away: over how long counters are sent elsewhere. 4 s are for some 200 counters of a replica."""
    drain_s: float = Field(8.0, gt=0, le=900)
    """Going away: how long all of it may take, utterances on their way included; less than
    `graceful_shutdown_timeout_s` of CounterIngress."""
    overload: OverloadSettings = OverloadSettings()
    """When the replica sheds load, and in which steps."""

    @model_validator(mode="after")
    def _spread_within_drain(self) -> IngressSettings:
        if self.drain_spread_s > self.drain_s:
            raise ValueError("drain_spread_s must not be longer than drain_s")
        return self


@dataclass(slots=True)
class Bucket:
    """Fills at `per_s` up to `burst`; times are seconds of a clock that does not run back."""

    per_s: float
    burst: float
    at_s: float
    _left: float = field(init=False)

    def __post_init__(self) -> None:
        self._left = self.burst

    def takes(self, size: float, now_s: float) -> bool:
        """Take `size`; False when there is not enough left, and nothing is taken then."""
        left = min(self.burst, self._left + (now_s - self.at_s) * self.per_s)
        self.at_s = now_s
        self._left = left - size if left >= size else left
        return left >= size


@dataclass(slots=True)
class Buckets:
    """A bucket a name, for at most `names_max` names."""

    per_s: float
    burst: float
    names_max: int = NAMES_MAX
    _of: OrderedDict[str, Bucket] = field(default_factory=OrderedDict)

    @property
    def names(self) -> int:
        """How many names are remembered."""
        return len(self._of)

    def takes(self, name: str, now_s: float) -> bool:
        """Take one from `name`'s bucket; False when it is empty."""
        bucket = self._of.get(name)
        if bucket is None:
            bucket = self._of[name] = Bucket(self.per_s, self.burst, now_s)
        self._of.move_to_end(name)
        if len(self._of) > self.names_max:
            self._of.popitem(last=False)
        return bucket.takes(1, now_s)


class Admission:
    """Counts who is in, and says who may not come in. `node_counters` is what the node's other replicas hold."""

    def __init__(self, settings: IngressSettings) -> None:
        self._settings = settings
        s = settings
        self._addresses = Buckets(s.connections_per_s_address, s.connections_burst_address)
        self._clients = Buckets(s.connections_per_s_client, s.connections_burst_client)
        self._in: Tally[str] = Tally()
        self.sockets = 0
        """Open on this replica, those at their handshake included."""
        self.node_counters = 0

    def knocks(self, address: str, now_s: float, *, shedding: bool) -> Denial | None:
        """A socket was opened from `address`: why it may not go on, or None. `shedding`: nobody new is taken."""
        if not self._addresses.takes(address, now_s):
            return "conexoes_demais"
        if shedding:
            return "sobrecarga"
        if self.sockets >= self._settings.counters_max:
            return "replica_cheia"
        if self.sockets + self.node_counters >= self._settings.counters_node_max:
            return "no_cheio"
        return None

    def introduces(self, client_id: str, now_s: float) -> Denial | None:
        """A counter of this client has shown its key: why it may not go on, or None."""
        if not self._clients.takes(client_id, now_s):
            return "conexoes_demais"
        return "cliente_cheio" if self._in[client_id] >= self._settings.counters_client_max else None

    def came(self, client_id: str) -> None:
        """A counter of this client is in."""
        self._in[client_id] += 1

    def left(self, client_id: str) -> None:
        """A counter of this client has gone."""
        self._in[client_id] -= 1
        if self._in[client_id] <= 0:
            del self._in[client_id]


Excess = Literal["bytes", "segundos", "mensagens", "comandos"]


class Inflow:
    """What one connection brings, against its limits."""

    def __init__(self, settings: IngressSettings, now_s: float) -> None:
        s = settings
        self._settings = s
        self._bytes = Bucket(s.bytes_per_s_max, s.bytes_burst_max, now_s)
        self._decoded = Bucket(s.bytes_per_s_max, s.bytes_burst_max, now_s)
        self._messages = Bucket(s.messages_per_s_max, s.messages_burst_max, now_s)
        self._commands = Bucket(s.commands_per_s_max, s.commands_burst_max, now_s)
        self.heard_s = now_s
        """When the connection last brought anything."""

    def audio(self, size: int, now_s: float) -> Excess | None:
        """`size` bytes of audio have come: what is too much of it, or None."""
        self.heard_s = now_s
        if not self._bytes.takes(size, now_s):
            return "bytes"
        return None if self._messages.takes(1, now_s) else "mensagens"

    def decoded(self, size: int, now_s: float) -> Excess | None:
        """Audio has become `size` bytes of samples: `segundos` when it is too much. A byte of Opus can be 120 ms."""
        return None if self._decoded.takes(size, now_s) else "segundos"

    def command(self, size: int, now_s: float) -> Excess | None:
        """A text message of `size` signs has come: `bytes` when it is too much, `comandos` when it is one too many."""
        self.heard_s = now_s
        if not self._bytes.takes(size, now_s):
            return "bytes"
        return None if self._commands.takes(1, now_s) else "comandos"

    def complaint(self, excess: Excess) -> str:
        """What there was too much of, in Portuguese."""
        if excess == "bytes":
            return f"mais de {self._settings.bytes_per_s_max} bytes por segundo"
        if excess == "segundos":
            return f"mais de {self._settings.bytes_per_s_max / _REAL_TIME_BYTES_PER_S:g} segundos de áudio por segundo"
        if excess == "mensagens":
            return f"mais de {self._settings.messages_per_s_max:g} mensagens por segundo"
        return f"mais de {self._settings.commands_per_s_max:g} comandos por segundo"


def address_behind(peer: str, forwarded_for: Sequence[str], hops: int) -> str:
    """Where a connection comes from: `peer`, or what the outermost of our `hops` proxies wrote; empty where unknown.

    A header that nobody of ours wrote is not believed.
    """
    if not hops:
        return peer
    entries = [entry.strip() for entry in ",".join(forwarded_for).split(",")]
    return entries[-hops][:64] if len(entries) >= hops else ""
