"""One replica's part in the register of live sessions: claims them, and answers the roll call once a second."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol
from uuid import uuid4

from deployments.metrics import Metrics
from deployments.telemetry.leases import RollAnswer, RollCall

log = logging.getLogger("balto.door")

CLAIM_TIMEOUT_S = 1.0
"""A counter at the door is not kept waiting for longer: then each replica knows of its own sessions only."""
ROLL_CALL_EVERY_S = 1.0
ROLL_CALL_SOON_S = 0.1
"""No two roll calls are closer, however many counters go."""
ROLL_CALL_TIMEOUT_S = 2.0


class RollKeeper(Protocol):
    """Who keeps the register: the telemetry stage."""

    async def claim_session(self, session_id: str, epoch: int, replica: str) -> int | None:
        """See deployments.telemetry.leases.Leases.claim."""

    async def roll_call(self, roll: RollCall) -> RollAnswer:
        """See deployments.telemetry.leases.Leases.call."""

    async def order_drain(self, node: str = "", *, leave: bool = True) -> None:
        """See deployments.telemetry.leases.Leases.order_drain; without `leave` the order is called off."""


class Registry:
    """`present` makes a roll call, `told` is given the answer. Without the keeper nobody is refused or turned out."""

    def __init__(
        self,
        keeper: RollKeeper,
        metrics: Metrics,
        present: Callable[[str], RollCall],
        told: Callable[[RollAnswer], Awaitable[None]],
    ) -> None:
        self.replica = uuid4().hex
        self._keeper = keeper
        self._metrics = metrics
        self._present = present
        self._told = told
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()

    def start(self) -> None:
        """Begin to answer; again: nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._answer_forever(), name="registry")

    async def close(self) -> None:
        """Stop answering."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def wake(self) -> None:
        """A counter has gone: let the next roll call come soon, or another replica refuses it for up to two seconds."""
        self._news.set()

    async def claim(self, session_id: str) -> int | None:
        """The epoch with which the session is ours; None: it is alive on another replica."""
        epoch = new_epoch()
        try:
            claim = self._keeper.claim_session(session_id, epoch, self.replica)
            return await asyncio.wait_for(claim, CLAIM_TIMEOUT_S)
        except Exception as exc:  # whatever keeps the register from being asked, the counter is let in
            self._unanswered(exc)
            return epoch

    async def call(self) -> None:
        """One roll call."""
        try:
            answer = await asyncio.wait_for(self._keeper.roll_call(self._present(self.replica)), ROLL_CALL_TIMEOUT_S)
        except Exception as exc:  # the next one is a second away
            self._unanswered(exc)
            return
        await self._told(answer)

    async def _answer_forever(self) -> None:
        while True:
            try:
                await self.call()
            except Exception as exc:  # a fault of ours: the next roll call must still come
                log.error("roll_call_failed error=%s", type(exc).__name__)
            await asyncio.sleep(ROLL_CALL_SOON_S)
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._news.wait(), ROLL_CALL_EVERY_S - ROLL_CALL_SOON_S)
            self._news.clear()

    def _unanswered(self, exc: Exception) -> None:
        self._metrics.count("registry_unanswered")
        log.warning("registry_unanswered error=%s", type(exc).__name__)


def new_epoch() -> int:
    """Now, in Unix milliseconds: of two handshakes for one session the later one's is larger."""
    return time.time_ns() // 1_000_000
