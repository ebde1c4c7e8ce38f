"""Turns with the stages, shared fairly: one client's flood waits behind itself, not in front of another's counters."""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class NoTurn(Exception):
    """An utterance's time was over before its turn came."""


class Turns:
    """At most `turns_max` at once; a free one goes to the waiting client that has the fewest, within it in order.

    While `strict`, no client has more than its equal share even when turns are free: what is queued inside the stages
    is out of our hands. Waiting is bounded by the caller's time, and the number of waiters by what sessions may hold.
    """

    def __init__(self, turns_max: int) -> None:
        self._max = turns_max
        self._taken: Tally[str] = Tally()
        self._total = 0
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self.strict = False

    @property
    def taken(self) -> int:
        """Turns taken now."""
        return self._total

    @property
    def waiting(self) -> int:
        """Utterances that wait for a turn."""
        return sum(len(line) for line in self._waiting.values())

    @asynccontextmanager
    async def turn(self, client_id: str, within_s: float) -> AsyncIterator[None]:
        """Hold a turn; raises NoTurn when none is free within `within_s` seconds."""
        if client_id in self._waiting or not self._may(client_id):
            await self._wait(client_id, within_s)
        else:
            self._take(client_id)
        try:
            yield
        finally:
            self._give_back(client_id)

    async def _wait(self, client_id: str, within_s: float) -> None:
        """Wait in line; the turn is taken for us by whoever gives one back."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client_id, deque()).append(turn)
        try:
            await asyncio.wait([turn], timeout=within_s)
            if not turn.done():
                raise NoTurn
        except BaseException:
            self._leave(client_id, turn)
            raise

    def _leave(self, client_id: str, turn: asyncio.Future[None]) -> None:
        if turn.done():  # it was ours already, in the very moment in which we were cancelled
            self._give_back(client_id)
            return
        line = self._waiting[client_id]
        line.remove(turn)
        if not line:
            del self._waiting[client_id]

    def _take(self, client_id: str) -> None:
        self._taken[client_id] += 1
        self._total += 1

    def _give_back(self, client_id: str) -> None:
        self._total -= 1
        self._taken[client_id] -= 1
        if not self._taken[client_id]:
            del self._taken[client_id]
        self._hand_on()

    def _hand_on(self) -> None:
        """Give free turns to those that wait: to the client with the fewest, of several to the one waiting longest."""
        while candidates := [client_id for client_id in self._waiting if self._may(client_id)]:
            client_id = min(candidates, key=self._taken.__getitem__)
            line = self._waiting.pop(client_id)
            line.popleft().set_result(None)
            self._take(client_id)
            if line:
                self._waiting[client_id] = line

    def _may(self, client_id: str) -> bool:
        if self._total >= self._max:
            return False
        return not self.strict or self._taken[client_id] < self._share(client_id)

    def _share(self, client_id: str) -> int:
        clients = len(self._taken.keys() | self._waiting.keys() | {client_id})
        return max(1, self._max // max(2, clients))
