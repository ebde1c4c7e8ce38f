"""A replica of speech recognition killed -9 with calls in flight: every call is answered, once."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from operator import itemgetter
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr

from bench.path.providers import elevenlabs
from bench.path.service import SIMULATED_KEY, BenchFailed
from bench.providers.hop import FLAGS
from deployments.speech_to_text.port import Transcription, TranscriptionRequest
from deployments.speech_to_text.settings import ElevenLabsSettings, SpeechToTextSettings

CALLS: Final = 48
"""Half of them with each of two replicas, or nearly all with one."""
HELD_MIN: Final = 20
"""Calls that the replica must have when it is killed."""
BUDGET_S: Final = 6.0
"""Twice an utterance's: what was begun twice takes the vendor's time twice."""
IN_FLIGHT_S: Final = 1.2
"""How long the vendor thinks: long enough to be in flight when the replica dies, and short enough for the survivor to
take all of them in two rounds of its connections, within an attempt's time."""


def report() -> dict[str, Any]:
    """Kill one of two replicas in the middle of its calls."""
    with elevenlabs(latency_ms=IN_FLIGHT_S * 1e3) as vendor:
        settings = SpeechToTextSettings(
            provider="elevenlabs",
            elevenlabs=ElevenLabsSettings(api_key=SecretStr(SIMULATED_KEY), base_url=vendor.base_url),
        )
        answers, held, slowest_s = _lived(settings)
    statuses = Counter(answer.status for answer in answers)
    not_ok = CALLS - statuses["ok"]
    return {
        "bench": "killed",
        "calls": CALLS,
        "in_flight_on_the_killed_replica": held,
        "outcomes": dict(statuses),
        "slowest_s": slowest_s,
        "bars": [
            {"name": "not answered with words", "value": not_ok, "limit": 0, "met": not_ok == 0},
            {"name": "slowest, s", "value": slowest_s, "limit": BUDGET_S, "met": slowest_s <= BUDGET_S},
        ],
    }


def _lived(settings: SpeechToTextSettings) -> tuple[list[Transcription], int, float]:
    os.environ.update(FLAGS)  # read when Serve is imported
    if "ray" in sys.modules:
        raise RuntimeError("killed: Ray was imported before its flags were set")
    import ray
    from ray import serve

    from deployments.speech_to_text.stage import SpeechToText

    class Stage(SpeechToText):
        """The stage, which leaves in `folder` how many calls it has, under its process's number."""

        def __init__(self, settings: SpeechToTextSettings, folder: Path) -> None:
            super().__init__(settings)
            self.calls, self.note = 0, folder / str(os.getpid())

        async def transcribe(self, request: TranscriptionRequest) -> Transcription:
            self._counted(1)
            try:
                return await super().transcribe(request)
            finally:
                self._counted(-1)

        def _counted(self, more: int) -> None:
            self.calls += more
            self.note.write_text(f"{self.calls:4}")

    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    try:
        serve.start(http_options={"location": "NoServer"}, logging_config={"log_level": "ERROR"})
        stage: Any = serve.deployment(Stage, num_replicas=2, max_ongoing_requests=64)
        with tempfile.TemporaryDirectory() as folder:
            handle = serve.run(stage.bind(settings, Path(folder)), name="killed", route_prefix=None)
            return asyncio.run(_calls(handle, Path(folder)))
    finally:
        ray.shutdown()


async def _calls(handle: Any, folder: Path) -> tuple[list[Transcription], int, float]:
    from serve_app.asking import Methods, ask

    stage, pcm = Methods(handle), b"\x01\x00" * 32_000

    async def call(number: int) -> tuple[Transcription, float]:
        begun_s = time.monotonic()
        request = TranscriptionRequest(f"u-{number}", pcm, BUDGET_S)
        answer: Transcription = await ask(stage, "transcribe", request, timeout_s=BUDGET_S)
        return answer, time.monotonic() - begun_s

    await asyncio.gather(*(call(-number) for number in range(1, 9)))  # connections are open, classes are loaded
    calls = [asyncio.create_task(call(number)) for number in range(CALLS)]
    pid, held = 0, 0
    while held < HELD_MIN and not all(one.done() for one in calls):
        await asyncio.sleep(0.02)
        pid, held = _fullest(folder)
    if held < HELD_MIN:
        raise BenchFailed(f"only {held} calls were in flight: the machine is too busy for this bench")
    os.kill(pid, signal.SIGKILL)
    done = await asyncio.gather(*calls)
    return [answer for answer, _ in done], held, max(took_s for _, took_s in done)


def _fullest(folder: Path) -> tuple[int, int]:
    """Process and calls of the replica that holds most."""
    return max(((int(note.name), int(note.read_text() or 0)) for note in folder.iterdir()), key=itemgetter(1))
