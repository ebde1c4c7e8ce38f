"""Which ingress replica holds which session, who may take one over, and which nodes empty themselves; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

SILENT_S: Final = 2.0
"""A connection that sent nothing for this long has gone: counters send at least four messages a second."""
REPLICA_GONE_S: Final = 4.0
"""A replica that missed this many seconds of roll calls (one a second) is dead or cut off."""
JUST_GRANTED_S: Final = 5.0
"""How long a granted session may be missing from its replica's list: the handshake is still under way."""
DRAIN_ORDER_S: Final = 120.0
"""How long an order to drain holds: what starts on that node afterwards serves again."""


@dataclass(frozen=True, slots=True)
class Held:
    """One connected session: its `epoch` (Unix milliseconds of its handshake), and for how long it was silent."""

    session_id: str
    epoch: int
    silent_s: float = 0.0


@dataclass(frozen=True, slots=True)
class RollCall:
    """What an ingress replica says once a second: who it is, where, and every session that it holds."""

    replica: str
    node: str
    counters: int
    """Sockets, those of older generations included."""
    held: tuple[Held, ...] = ()
    leaving: bool = False
    """It is draining: whoever comes with one of its sessions gets it."""


@dataclass(frozen=True, slots=True)
class RollAnswer:
    """What it is told: sessions that are somebody else's by now, sockets of the other replicas on its node, and whether
    it is to drain."""

    lost: tuple[str, ...] = ()
    node_counters: int = 0
    drain: bool = False


@dataclass(slots=True)
class _Lease:
    replica: str
    epoch: int
    heard_s: float
    granted_s: float


@dataclass(slots=True)
class _Replica:
    node: str
    counters: int
    leaving: bool
    called_s: float


@dataclass(slots=True)
class Leases:
    """Kept in memory, rebuilt by the next roll calls after a restart. Times are Unix seconds of one clock."""

    _leases: dict[str, _Lease] = field(default_factory=dict)
    _replicas: dict[str, _Replica] = field(default_factory=dict)
    _drains: dict[str, float] = field(default_factory=dict)

    def claim(self, session_id: str, epoch: int, replica: str, now_s: float) -> int | None:
        """The epoch with which `replica` holds the session from now on; None: it is alive on another replica.

        An older connection gives way when it was silent for 2 s, when its replica is leaving or has not called for 4 s.
        """
        lease = self._leases.get(session_id)
        if lease is not None and lease.replica != replica and self._alive(lease, now_s):
            return None
        granted = max(epoch, lease.epoch + 1) if lease is not None else epoch
        self._leases[session_id] = _Lease(replica, granted, now_s, now_s)
        return granted

    def call(self, roll: RollCall, now_s: float) -> RollAnswer:
        """Take a replica's roll call. Of two replicas with one session the later handshake's keeps it."""
        self._forget_the_gone(now_s)
        self._replicas[roll.replica] = _Replica(roll.node, roll.counters, roll.leaving, now_s)
        lost = tuple(held.session_id for held in roll.held if not self._renewed(held, roll.replica, now_s))
        self._release(roll.replica, {held.session_id for held in roll.held}, now_s)
        others = (r.counters for name, r in self._replicas.items() if r.node == roll.node and name != roll.replica)
        return RollAnswer(lost, sum(others), self._to_drain(roll.node, now_s))

    def order_drain(self, node: str, now_s: float) -> None:
        """Tell the replicas on `node` (empty: all) at their next call to send their counters elsewhere."""
        self._drains[node] = now_s

    def call_off(self, node: str) -> None:
        """Take the order of `order_drain` for `node` back."""
        self._drains.pop(node, None)

    def _alive(self, lease: _Lease, now_s: float) -> bool:
        holder = self._replicas.get(lease.replica)
        if holder is None or holder.leaving or now_s - holder.called_s >= REPLICA_GONE_S:
            return holder is None and now_s - lease.granted_s < SILENT_S
        return now_s - lease.heard_s < SILENT_S

    def _renewed(self, held: Held, replica: str, now_s: float) -> bool:
        lease = self._leases.get(held.session_id)
        if lease is not None and lease.replica != replica and lease.epoch > held.epoch:
            return False
        granted_s = lease.granted_s if lease is not None and lease.replica == replica else now_s
        epoch = max(held.epoch, lease.epoch) if lease is not None and lease.replica == replica else held.epoch
        self._leases[held.session_id] = _Lease(replica, epoch, now_s - held.silent_s, granted_s)
        return True

    def _release(self, replica: str, held: set[str], now_s: float) -> None:
        gone = [
            session_id
            for session_id, lease in self._leases.items()
            if lease.replica == replica and session_id not in held and now_s - lease.granted_s >= JUST_GRANTED_S
        ]
        self._drop(gone)

    def _forget_the_gone(self, now_s: float) -> None:
        gone = [name for name, replica in self._replicas.items() if now_s - replica.called_s >= 2 * REPLICA_GONE_S]
        for name in gone:
            del self._replicas[name]
        if gone:
            self._drop([session_id for session_id, lease in self._leases.items() if lease.replica in gone])

    def _drop(self, session_ids: Iterable[str]) -> None:
        for session_id in session_ids:
            del self._leases[session_id]

    def _to_drain(self, node: str, now_s: float) -> bool:
        self._drains = {n: at_s for n, at_s in self._drains.items() if now_s - at_s < DRAIN_ORDER_S}
        return node in self._drains or "" in self._drains
