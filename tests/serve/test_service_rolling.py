"""A redeploy under talking counters: nothing lost, nothing shown twice."""

import asyncio
import time
import wave

import pytest
import yaml

from audio.settings import SegmenterSettings
from serve_app.rolling import changed, judged, talk
from tests.support.services import ROOT

SAMPLE = ROOT / "samples" / "balcao.wav"
SECONDS = 17
COUNTERS = 2
pytestmark = pytest.mark.timeout(300)


def changed_file(service):
    """The configuration that runs, with another value among its `args`; written beside it."""
    running = yaml.safe_load((service.state_dir / "serve_config.effective.yaml").read_text())
    path = service.state_dir / "redeployed.yaml"
    path.write_text(yaml.safe_dump(changed(running), sort_keys=False))
    return path


def settled(service, each, truth):
    """The verdict once every row is in the database: until nothing is missing, or 30 s at most."""
    deadline = time.monotonic() + 30
    while True:
        report = judged(truth, service.rows(each.client.session_id, at_least=len(truth)), each.events)
        if not report.lost or time.monotonic() > deadline:
            return report
        time.sleep(0.5)


def test_a_redeploy_under_talking_counters_loses_nothing_and_shows_nothing_twice(service):
    with wave.open(str(SAMPLE)) as file:
        pcm = file.readframes(SECONDS * 16_000)

    async def redeploy_while_they_talk():
        talking = asyncio.gather(*(talk(service.url, service.key, pcm) for _ in range(COUNTERS)))
        await asyncio.sleep(3)
        await asyncio.to_thread(service.ray.redeploy, changed_file(service))
        return await asyncio.wait_for(talking, 200)

    for each in asyncio.run(redeploy_while_they_talk()):
        truth = each.truth(pcm, SegmenterSettings())
        report = settled(service, each, truth)
        assert len(truth) >= 3
        assert (report.lost, report.twice) == (0, 0)
        assert report.reconnections >= 1, "the redeploy came too late to be noticed"
        assert "audio_lost" not in [event.kind for event in each.events]
