"""`make rolling`: redeploys a running service under counters that talk, and says what it cost them."""

from __future__ import annotations

import argparse
import asyncio
import copy
import itertools
import json
import signal
import sys
import time
import wave
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from audio.segmenter import Segmenter
from audio.settings import SegmenterSettings
from audio.utterance import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ
from deployments.telemetry.errors import EmbeddedFailed
from serve_app.client import AudioFormat, ClientError, ClientSettings, CounterClient, Event, PcmSource
from serve_app.local_ray import RayFailed, drain_as_installed
from serve_app.passage import SessionSettings
from serve_app.run import CannotRun, Service
from serve_app.settings import ROOT

SAMPLE: Final = ROOT / "samples" / "balcao.wav"
SETTLE_S: Final = 4.0
"""Counters talk for so long before the redeploy begins."""
ROWS_WITHIN_S: Final = 20.0
SILENT_MAX_S: Final = 2.0
FINISH_S: Final = 120.0
PLAYS_MAX: Final = 6
"""The conversation is played so often at most; a redeploy takes half a minute on an idle machine."""


@dataclass(frozen=True, slots=True)
class CounterReport:
    """What the redeploy cost one counter."""

    utterances: int
    """That its audio holds, by the same segmenter."""
    lost: int
    """Of these: covered by no recorded row, or recorded as lost."""
    twice: int
    """Suggestions that the counter was shown for speech, or under an id, that it was shown one for already."""
    heard_twice: int
    """Recorded more than once, in two intervals that overlap by half or more: work done in vain, unseen."""
    reconnections: int
    longest_silence_s: float
    """From the end of a connection to the next one's beginning."""


def judged(truth: Sequence[tuple[int, int]], rows: Iterable[dict[str, Any]], events: Sequence[Event]) -> CounterReport:
    """Compare what a counter said (`truth` of `said_in`) with what was recorded and shown."""
    heard = sorted(
        (row["first_sample"], row["end_sample"], row["suggestion_id"] or "")
        for row in rows
        if row["end_sample"] is not None and row["outcome"] != "perdido"
    )
    lost = sum(not any(first <= (a + b) // 2 < end for first, end, _ in heard) for a, b in truth)
    again = [(one, other) for one, other in itertools.pairwise(heard) if _overlap(one, other)]
    shown = [event.fields.get("id") for event in events if event.kind == "recomendar"]
    twice = sum(one[2] in shown and other[2] in shown for one, other in again)
    return CounterReport(
        utterances=len(truth),
        lost=lost,
        twice=twice + len(shown) - len(set(shown)),
        heard_twice=len(again),
        reconnections=sum(event.kind == "connected" for event in events) - 1,
        longest_silence_s=round(longest_silence_s(events), 3),
    )


def longest_silence_s(events: Iterable[Event]) -> float:
    """The longest time from a lost connection to the next one."""
    longest_s, lost_s = 0.0, None
    for event in events:
        if event.kind in ("reconectar", "reconnecting") and lost_s is None:
            lost_s = event.t_s
        elif event.kind == "connected" and lost_s is not None:
            longest_s, lost_s = max(longest_s, event.t_s - lost_s), None
    return longest_s


def _overlap(one: tuple[int, int, str], other: tuple[int, int, str]) -> bool:
    """Whether two intervals share half of the shorter one or more."""
    shared = min(one[1], other[1]) - max(one[0], other[0])
    return 2 * shared >= min(one[1] - one[0], other[1] - other[0])


def said_in(pcm: bytes, settings: SegmenterSettings, events: Iterable[Event]) -> list[tuple[int, int]]:
    """Where the service hears speech in `pcm` (16 kHz s16le), as samples (first, one past the last).

    A connection hears from where it went on, with no memory of the noise before: what is hardly speech, a cash drawer
    in a pause, may be it to one connection and not to the next. So each one's stretch is heard as it heard it.
    """
    begun = sorted({0, *(event.fields["base_sample"] + event.fields["recebido_ate"] for event in _welcomed(events))})
    truth: list[tuple[int, int]] = []
    for first, following in itertools.zip_longest(begun, begun[1:]):
        segmenter = Segmenter(settings, first_sample=first)
        heard = [*segmenter.feed(pcm[first * BYTES_PER_SAMPLE :]), *segmenter.flush()]
        truth += [(u.first_sample, u.end_sample) for u in heard if following is None or u.first_sample < following]
    return truth


def _welcomed(events: Iterable[Event]) -> Iterator[Event]:
    """The connections that went on with what was said before: those of generation 4."""
    return (event for event in events if event.kind == "connected" and "recebido_ate" in event.fields)


def changed(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration with another value among its `args`: deployed over the one that runs it restarts every stage."""
    other = copy.deepcopy(config)
    session = other["applications"][0].setdefault("args", {}).setdefault("session", {})
    session["utterances_at_once"] = session.get("utterances_at_once", SessionSettings().utterances_at_once) + 1
    return other


class RepeatedSource:
    """PCM in real time, from its beginning again and again until `enough` at the end of a play, `plays_max` at most."""

    formato: AudioFormat = "pcm_s16le_16k"

    def __init__(self, pcm: bytes, enough: Callable[[], bool], plays_max: int = PLAYS_MAX) -> None:
        self._pcm = pcm
        self._enough = enough
        self._plays_max = plays_max
        self.plays = 0
        """How often it was played so far."""

    async def chunks(self, settings: ClientSettings) -> AsyncIterator[bytes]:
        """The PCM in pieces of `chunk_ms`."""
        while self.plays == 0 or (self.plays < self._plays_max and not self._enough()):
            self.plays += 1
            async for chunk in PcmSource(self._pcm).chunks(settings):
                yield chunk

    def restart(self, sample: int) -> None:
        """PCM is sent again from memory."""


@dataclass(slots=True)
class Talk:
    """One counter that talked until it was sent elsewhere, and what happened to it."""

    client: CounterClient
    source: RepeatedSource
    events: list[Event]

    def truth(self, pcm: bytes, settings: SegmenterSettings) -> list[tuple[int, int]]:
        """Where the service hears speech in all that was played."""
        return said_in(pcm * self.source.plays, settings, self.events)


async def talk(url: str, key: str, pcm: bytes) -> Talk:
    """Play `pcm` (16 kHz s16le) as a generation-4 counter until its connection has changed. Raises ClientError."""
    events: list[Event] = []
    source = RepeatedSource(pcm, lambda: sum(event.kind == "connected" for event in events) > 1)
    client = CounterClient(ClientSettings(url=url, chunk_ms=250), key)
    await client.run(source, events.append)
    return Talk(client, source, events)


class Rehearsal:
    """Counters that talk to a service of our own while it is deployed anew."""

    def __init__(self, service: Service, counters: int) -> None:
        self._service = service
        self._counters = counters
        with wave.open(str(SAMPLE)) as file:
            self._pcm = file.readframes(file.getnframes())

    async def run(self) -> list[CounterReport]:
        """Talk, redeploy meanwhile, and judge. Raises ClientError, RayFailed, OSError."""
        talking = [asyncio.create_task(self._talk(number)) for number in range(self._counters)]
        await asyncio.sleep(SETTLE_S)
        print("balto: redeploying", flush=True)
        begun_s = time.monotonic()
        await asyncio.to_thread(self._service.redeploy, changed(self._service.config))
        print(f"balto: handed over after {time.monotonic() - begun_s:.1f} s", flush=True)
        seconds = PLAYS_MAX * len(self._pcm) / 2 / SAMPLE_RATE_HZ
        talks = await asyncio.wait_for(asyncio.gather(*talking), seconds + FINISH_S)
        return [await asyncio.to_thread(self._judge, each) for each in talks]

    async def _talk(self, number: int) -> Talk:
        await asyncio.sleep(number * 0.1)
        url = self._service.url.replace("http", "ws", 1) + "/ws"
        return await talk(url, self._service.key_path.read_text().strip(), self._pcm)

    def _judge(self, each: Talk) -> CounterReport:
        deadline_s = time.monotonic() + ROWS_WITHIN_S
        truth = each.truth(self._pcm, self._service.settings.segmenter)
        while True:
            late = time.monotonic() > deadline_s
            try:
                report = judged(truth, self._service.interactions(each.client.session_id or ""), each.events)
            except OSError:  # telemetry itself has just been replaced
                if late:
                    raise
            else:
                if report.lost == 0 or late:
                    return report
            time.sleep(0.5)


def main() -> int:
    """Start a service, connect counters, redeploy it under them, report; 0 when nothing was lost, doubled or silent."""
    parser = argparse.ArgumentParser(prog="python -m serve_app.rolling", description=main.__doc__)
    parser.add_argument("--config", type=Path, default=ROOT / "serve_config.yaml")
    parser.add_argument("--counters", type=int, default=6, help="few: the demonstration recogniser has to follow them")
    parser.add_argument("--json", action="store_true", help="the report as one line of JSON, last")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # or what was started outlives us
    drain_as_installed()
    try:
        service = Service(options.config, lean=False)
        with service.started():
            reports = asyncio.run(Rehearsal(service, options.counters).run())
    except (CannotRun, RayFailed, EmbeddedFailed, ClientError, OSError, asyncio.TimeoutError) as exc:
        print(f"balto: {exc or type(exc).__name__}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return _report(reports, as_json=options.json)


def _report(reports: list[CounterReport], *, as_json: bool) -> int:
    lost, twice = sum(r.lost for r in reports), sum(r.twice for r in reports)
    silence_s = max(r.longest_silence_s for r in reports)
    for number, report in enumerate(reports, 1):
        print(f"counter {number:3d}: {asdict(report)}")
    if any(report.reconnections == 0 for report in reports):
        print("some counters noticed nothing: the redeploy took longer than they talked")
    print(f"lost {lost}, twice {twice}, longest silence {silence_s:.2f} s (bar: 0, 0, {SILENT_MAX_S:g} s)")
    if as_json:
        print(json.dumps({"lost": lost, "twice": twice, "silence_s": silence_s, "counters": [*map(asdict, reports)]}))
    return int(lost > 0 or twice > 0 or silence_s > SILENT_MAX_S)


if __name__ == "__main__":
    sys.exit(main())
