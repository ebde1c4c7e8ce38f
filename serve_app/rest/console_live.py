"""The live list: one look at the database serves everybody who watches on this replica."""

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from typing import Any, Final

from deployments.metrics import Metrics
from deployments.telemetry.errors import TelemetryError
from serve_app.console import ConsoleSettings
from serve_app.stages import StageError

log = logging.getLogger("balto.console")

Rows = list[dict[str, Any]]
Latest = Callable[[datetime, int], Awaitable[Rows]]

LATE_S: Final = 5.0
"""Rows of another node may be committed this long after newer ones and are shown all the same."""
KEPT_ROWS: Final = 200
"""The newest rows, for who comes next, and the most that wait for one watcher; older ones it finds by searching."""
AFTER_FAILURE_S: Final = 1.0
HEARTBEAT_S: Final = 10.0


class TooManyWatchers(Exception):
    """This replica serves as many live lists as it may."""


class Watcher:
    """What waits for one live list: the newest rows of its client, no more than KEPT_ROWS."""

    def __init__(self, client_id: str, rows: Rows) -> None:
        self._client_id = client_id
        self._rows: deque[dict[str, Any]] = deque(maxlen=KEPT_ROWS)
        self._news = asyncio.Event()
        self._away = self._told_away = False
        self.put(rows)

    def put(self, rows: Rows) -> None:
        """New rows, oldest first."""
        mine = [row for row in rows if self._client_id in ("", row["client_id"])]
        self._rows.extend(mine)
        if mine:
            self._news.set()

    def away(self, yes: bool) -> None:
        """Whether the database can be asked."""
        if yes != self._away:
            self._away = yes
            self._news.set()

    async def next(self, within_s: float) -> str:
        """What to send next, as server-sent events; a heartbeat where nothing comes in time."""
        try:
            await asyncio.wait_for(self._news.wait(), within_s)
        except asyncio.TimeoutError:
            return ": \n\n"
        self._news.clear()
        rows, events = list(self._rows), ""
        self._rows.clear()
        if self._away != self._told_away:
            self._told_away = self._away
            events += f"event: estado\ndata: {'fora' if self._away else 'ok'}\n\n"
        if rows:
            events += f"data: {json.dumps(rows, ensure_ascii=False, default=_text)}\n\n"
        return events


class LiveFeed:
    """Looks for new rows while anybody watches, and at no other time; its task ends with the last watcher."""

    def __init__(self, latest: Latest, settings: ConsoleSettings, metrics: Metrics) -> None:
        self._latest = latest
        self._settings = settings
        self._metrics = metrics
        self._watchers: set[Watcher] = set()
        self._recent: deque[dict[str, Any]] = deque(maxlen=KEPT_ROWS)
        self._seen: dict[str, None] = {}
        self._newest: datetime | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def full(self) -> bool:
        """Whether it serves as many as it may."""
        return len(self._watchers) >= self._settings.watchers_max

    @asynccontextmanager
    async def watch(self, client_id: str) -> AsyncIterator[Watcher]:
        """A live list of one client's rows, or (empty) of all. Raises TooManyWatchers."""
        if self.full:
            raise TooManyWatchers
        watcher = Watcher(client_id, list(self._recent))
        self._watchers.add(watcher)
        self._told()
        if self._task is None:
            self._task = asyncio.create_task(self._look_forever(), name="console-live")
        try:
            yield watcher
        finally:
            self._watchers.discard(watcher)
            self._told()
            if not self._watchers:
                await self._stop()

    async def events(self, client_id: str) -> AsyncIterator[str]:
        """Server-sent events for `stream_s`. Raises TooManyWatchers at the first one."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._settings.stream_s
        async with self.watch(client_id) as watcher:
            yield "retry: 300\n\n"
            while (left_s := ends - loop.time()) > 0:
                yield await watcher.next(min(HEARTBEAT_S, left_s))

    def _told(self) -> None:
        self._metrics.gauge("console_watchers", len(self._watchers))

    async def _stop(self) -> None:
        task, self._task = self._task, None
        self._recent.clear()
        self._seen.clear()
        self._newest = None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _look_forever(self) -> None:
        while True:
            away = False
            try:
                await self._look()
            except (TelemetryError, StageError) as exc:
                away = True
                self._metrics.count("console_live_failures")
                log.warning("live_look_failed error=%s", type(exc).__name__)
            for watcher in self._watchers:
                watcher.away(away)
            await asyncio.sleep(AFTER_FAILURE_S if away else self._settings.live_every_ms / 1000)

    async def _look(self) -> None:
        if self._newest is None:
            newest = await self._latest(datetime(1970, 1, 2, tzinfo=timezone.utc), 1)
            self._newest = newest[0]["recorded_at"] if newest else datetime.now(timezone.utc)
        rows = await self._latest(self._newest - timedelta(seconds=LATE_S), KEPT_ROWS)
        fresh = [row for row in reversed(rows) if row["interaction_id"] not in self._seen]
        self._seen = dict.fromkeys(row["interaction_id"] for row in rows)
        if fresh:
            self._newest = max(self._newest, fresh[-1]["recorded_at"])
            self._recent.extend(fresh)
            for watcher in self._watchers:
                watcher.put(fresh)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)
