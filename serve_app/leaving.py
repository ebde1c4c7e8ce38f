"""A replica that goes away sends its counters elsewhere: spread over time, each in a pause, its words answered."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from deployments.metrics import Metrics
from serve_app import wire
from serve_app.admission import Inflow
from serve_app.outlet import Outlet, Socket
from serve_app.session import CounterSession

log = logging.getLogger("balto.door")

GOING_AWAY: Final = 1012
RECONNECT_IN_S: Final = 0.1
"""What a counter that is sent elsewhere is told to wait: the spreading is ours."""
LOOK_EVERY_S: Final = 0.05
CLOSE_S: Final = 2.0
"""How long a counter that is sent away may take to read its last messages."""


@dataclass(slots=True)
class Connection:
    """A counter that is connected: its session and what it brings."""

    session: CounterSession
    inflow: Inflow
    leaving: bool = False
    """It was told to go: whoever comes with its session gets it."""

    def silent_s(self, now_s: float) -> float:
        """Seconds since it last brought anything; without end once it was told to go."""
        return math.inf if self.leaving else now_s - self.inflow.heard_s


@dataclass(frozen=True, slots=True)
class Farewell:
    """One counter's: not before `after_s` seconds from now, at a quiet moment if one comes before `until_s`."""

    session_id: str
    after_s: float
    until_s: float


def farewells(session_ids: Sequence[str], spread_s: float, quiet_s: float) -> list[Farewell]:
    """Spread `session_ids` evenly over `spread_s` seconds; each may wait `quiet_s` more for a pause in speech."""
    step_s = spread_s / len(session_ids) if session_ids else 0.0
    slots = (number * step_s for number in range(len(session_ids)))
    return [Farewell(name, after_s, after_s + quiet_s) for name, after_s in zip(session_ids, slots, strict=True)]


class Leaving:
    """Of one door, whose `connected` it looks at. What was said is answered; after `drain_s` all have gone."""

    def __init__(
        self, connected: Mapping[str, Connection], metrics: Metrics, *, spread_s: float, drain_s: float, answer_s: float
    ) -> None:
        self._connected = connected
        self._metrics = metrics
        self._spread_s = spread_s
        self._drain_s = drain_s
        self._quiet_s = max(0.0, drain_s - spread_s - answer_s)
        self._task: asyncio.Task[None] | None = None
        self._for_good = False

    @property
    def under_way(self) -> bool:
        """Whether counters are sent elsewhere, or were."""
        return self._task is not None

    async def leave(self, *, for_good: bool, at_once: bool = False) -> None:
        """Send everybody elsewhere; again: the same leaving is awaited. `for_good`: there is no way back."""
        self._for_good = self._for_good or for_good
        if self._task is None:
            log.info("leaving counters=%d", len(self._connected))
            self._task = asyncio.create_task(self._leave(0.0 if at_once else self._spread_s), name="leaving")
        await asyncio.shield(self._task)

    def stay(self) -> None:
        """The order to leave was taken back: take counters again, unless the replica ends."""
        if self._task is not None and self._task.done() and not self._for_good:
            self._task = None
            log.info("staying")

    async def send_on(self, socket: Socket) -> None:
        """To a counter that comes while we leave: come again, there are others. Older ones read the code alone."""
        self._metrics.count("handshakes", result="saindo", generation="")
        outlet = Outlet(socket)
        outlet.say(wire.reconnect_message(RECONNECT_IN_S))
        await outlet.close(GOING_AWAY, CLOSE_S)

    async def _leave(self, spread_s: float) -> None:
        deadline_s = time.monotonic() + self._drain_s
        plan = farewells(list(self._connected), spread_s, self._quiet_s)
        await asyncio.gather(*(self._send_away(farewell, deadline_s) for farewell in plan))
        late = list(self._connected.values())  # those that were at their handshake when the leaving began
        await asyncio.gather(*(self._part(connection, deadline_s) for connection in late))
        log.info("left")

    async def _send_away(self, farewell: Farewell, deadline_s: float) -> None:
        begun_s = time.monotonic()
        await asyncio.sleep(farewell.after_s)
        connection = self._connected.get(farewell.session_id)
        while connection is not None and not connection.session.at_rest:
            if time.monotonic() - begun_s >= farewell.until_s:
                break
            await asyncio.sleep(LOOK_EVERY_S)
            connection = self._connected.get(farewell.session_id)
        if connection is not None:
            await self._part(connection, deadline_s)

    async def _part(self, connection: Connection, deadline_s: float) -> None:
        """Say goodbye to one counter, after what it said was answered."""
        connection.leaving = True
        session = connection.session
        session.rest()
        await session.drained(max(0.0, deadline_s - time.monotonic()))
        await session.recorded(max(0.0, deadline_s - time.monotonic()))
        if session.start.generation == 4:
            session.outlet.say(wire.reconnect_message(RECONNECT_IN_S))
        await session.outlet.close(GOING_AWAY, CLOSE_S)
        self._metrics.count("counters_sent_elsewhere")
