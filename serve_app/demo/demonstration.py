"""One run of the demonstration: the counter, its timeline, and the rows recorded of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from serve_app.client import CounterClient, Event, Source
from serve_app.demo.rows import Rows, RowsUnavailable
from serve_app.demo.timeline import Timeline

ROWS_TIMEOUT_S: Final = 10.0
_LIVE_POLL_S: Final = 2.0
_FINAL_POLL_S: Final = 0.5
_TICK_S: Final = 0.1


class Demonstration:
    """One run: the counter, its timeline, and the rows where a token lets us read them."""

    def __init__(self, client: CounterClient, timeline: Timeline, rows: Rows | None) -> None:
        self._client = client
        self._timeline = timeline
        self._rows = rows

    async def run(self, source: Source) -> None:
        """Stream to the end; raises ClientError. Rows are read now and then, so that discards appear in their time."""
        beside = [asyncio.create_task(self._tick())]
        if self._rows is not None:
            beside.append(asyncio.create_task(self._watch(self._rows)))
        try:
            await self._client.run(source, self._happened)
        finally:
            for task in beside:
                task.cancel()
            ended = await asyncio.gather(*beside, return_exceptions=True)
        for result in ended:
            if isinstance(result, Exception):
                raise result

    async def all_recorded(self, rows: Rows, timeout_s: float = ROWS_TIMEOUT_S, poll_s: float = _FINAL_POLL_S) -> bool:
        """Read until everything heard and advised is there and nothing new comes; False when it is not in time."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        while True:
            new = await rows.fetch()
            for row in new:
                self._timeline.recorded(row)
            if not new and not self.unrecorded(rows.latest):
                return True
            if asyncio.get_running_loop().time() >= deadline:
                return not self.unrecorded(rows.latest)
            await asyncio.sleep(poll_s)

    def unrecorded(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """How many of the utterances heard, or suggestions shown, have no row."""
        starts = [round(row["start_s"] * 1000) for row in rows]
        suggestions = {row.get("suggestion_id") for row in rows}
        heard = sum(
            not any(abs(heard.get("inicio_ms", 0) - at) <= 1 for at in starts) for heard in self._timeline.heard
        )
        return heard + sum(message.get("id") not in suggestions for message in self._timeline.advised)

    @property
    def _stream_s(self) -> float:
        started = self._client.stream_started_s
        return 0.0 if started is None else self._client.now_s - started

    def _happened(self, event: Event) -> None:
        if event.kind == "connected" and self._rows is not None and "sessao" in event.fields:
            self._rows.connected(event.fields["sessao"], event.fields["base_sample"])
        self._timeline.happened(event, self._stream_s)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            self._timeline.played(self._stream_s)

    async def _watch(self, rows: Rows) -> None:
        """While streaming; what cannot be read now is read, and complained of, at the end."""
        while True:
            await asyncio.sleep(_LIVE_POLL_S)
            try:
                new = await rows.fetch()
            except RowsUnavailable:
                continue
            for row in new:
                self._timeline.recorded(row)
