"""Rows reach telemetry in batches; nobody waits, nothing is lost silently."""

import asyncio

from deployments.metrics import NoMetrics
from deployments.telemetry.records import Interaction
from serve_app.recorder import Recorder, RecorderSettings


def row(name):
    return Interaction(name, "c", "b", "s", name, "node", "4", "nada")


class Sink:
    def __init__(self, failures=0):
        self.batches = []
        self.failures = failures

    async def record(self, rows):
        if self.failures:
            self.failures -= 1
            raise ConnectionError("away")
        self.batches.append([r.interaction_id for r in rows])
        return len(rows)


class Counting(NoMetrics):
    def __init__(self):
        self.counted = {}

    def count(self, name, value=1.0, **labels):
        self.counted[name] = self.counted.get(name, 0) + value


def recorder(sink, metrics=None, **settings):
    return Recorder(RecorderSettings(**{"linger_ms": 0, **settings}), sink, metrics or NoMetrics())


async def test_rows_are_durable_once_telemetry_has_taken_them():
    sink = Sink()
    carrier = recorder(sink)
    assert await carrier.put(row("a")) is True
    assert sink.batches == [["a"]]
    assert carrier.pending == 0


async def test_rows_that_come_together_travel_together_in_order():
    sink = Sink()
    carrier = recorder(sink, batch_max_rows=3)
    futures = [carrier.put(row(name)) for name in "abcde"]
    await asyncio.gather(*futures)
    assert sink.batches == [["a", "b", "c"], ["d", "e"]]


async def test_a_telemetry_that_is_away_delays_rows_and_loses_none():
    sink, metrics = Sink(failures=2), Counting()
    carrier = recorder(sink, metrics, retry_max_s=0.01)
    assert await carrier.put(row("a")) is True
    assert metrics.counted["record_retries"] == 2


async def test_a_full_memory_drops_the_new_row_visibly():
    metrics = Counting()
    carrier = recorder(Sink(failures=10**6), metrics, pending_max_rows=1, retry_max_s=0.01)
    first = carrier.put(row("a"))
    assert await carrier.put(row("b")) is False
    assert metrics.counted["rows_dropped"] == 1
    assert not first.done()
    await carrier.close(within_s=0.05)
    assert await first is False
    assert metrics.counted["rows_dropped"] == 2


async def test_closing_carries_what_is_pending_and_takes_nothing_more():
    sink = Sink()
    carrier = recorder(sink, linger_ms=1000)
    pending = carrier.put(row("a"))
    await carrier.close()
    assert await pending is True
    assert await carrier.put(row("b")) is False
    assert sink.batches == [["a"]]


async def test_closing_an_unused_one_is_nothing():
    carrier = recorder(Sink())
    await carrier.close()
    assert carrier.pending == 0


class AudioSink(Sink):
    def __init__(self):
        super().__init__()
        self.kept, self.may_go_on = [], asyncio.Event()

    async def keep_audio(self, audio):
        await self.may_go_on.wait()
        if audio == "broken":
            raise OSError("disk")
        self.kept.append(audio)
        return True


async def test_audio_is_handed_on_beside_the_rows_and_what_cannot_be_kept_is_dropped_visibly():
    sink, metrics = AudioSink(), Counting()
    carrier = recorder(sink, metrics, audio_in_flight_max=2)
    for audio in ("one", "broken", "too much"):
        carrier.keep_audio(audio)
    assert metrics.counted["audio_dropped"] == 1
    sink.may_go_on.set()
    await carrier.close()
    carrier.keep_audio("late")
    assert sink.kept == ["one"]
    assert metrics.counted["audio_dropped"] == 3
