"""Where the realtime socket should live: CPU of feeding it in the ingress, or in a stage that blocks are carried to."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import time
from typing import Any, Final

from pydantic import SecretStr

from bench.path.providers import elevenlabs_realtime
from bench.path.service import SIMULATED_KEY
from deployments.speech_to_text.adapter_settings import RealtimeSettings
from deployments.speech_to_text.elevenlabs_realtime import ElevenLabsRealtime

BYTES_PER_MS: Final = 32
NEAR_MS: Final = 250
"""Blocks fed from the ingress: `listening.piece_ms`."""
FAR_MS: Final = 500
"""Blocks that a handle carries: no shorter ones, since each costs a call."""
COMMIT_EVERY: Final = 12
PACE_S: Final = 0.01
"""Blocks do not come back to back: a socket that is full costs otherwise."""
FLAGS: Final = {
    "RAY_SERVE_ENABLE_HA_PROXY": "1",
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    "RAY_raylet_start_wait_time_s": "120",
}


def report(blocks: int) -> dict[str, Any]:
    """CPU in ms for a second of speech: the socket in the ingress, or in a stage with a hop before it."""
    with elevenlabs_realtime() as vendor:
        settings = RealtimeSettings(api_key=SecretStr(SIMULATED_KEY), base_url=vendor.base_url)
        near_ms = asyncio.run(_fed_ms(settings, NEAR_MS, blocks))
        far_ms = asyncio.run(_fed_ms(settings, FAR_MS, blocks))
    caller_ms, stage_ms = _carried_ms(blocks)
    in_ingress = near_ms * 1000 / NEAR_MS
    in_stage = (far_ms + caller_ms + stage_ms) * 1000 / FAR_MS
    return {
        "bench": "hop",
        "blocks": blocks,
        "cpu_ms_per_block": {
            f"socket_{NEAR_MS}_ms": near_ms,
            f"socket_{FAR_MS}_ms": far_ms,
            f"handle_{FAR_MS}_ms_caller": caller_ms,
            f"handle_{FAR_MS}_ms_stage": stage_ms,
        },
        "cpu_ms_per_second_of_speech": {"in_ingress": in_ingress, "in_stage": in_stage},
        "bars": [
            {"name": "in the ingress / in a stage", "value": in_ingress / in_stage, "limit": 1.0,
             "met": in_ingress <= in_stage}
        ],
    }  # fmt: skip


async def _fed_ms(settings: RealtimeSettings, block_ms: int, blocks: int) -> float:
    """CPU of this process for one block fed, commits and partials included, the pauses between them left out."""
    provider = ElevenLabsRealtime(settings)
    session = await provider.open((), 5.0)
    pcm = b"\x01\x00" * (block_ms * BYTES_PER_MS // 2)
    idle_s = await _idle_s(blocks)
    begun_s = time.process_time()
    for number in range(1, blocks + 1):
        await session.feed(pcm)
        await asyncio.sleep(PACE_S)
        if number % COMMIT_EVERY == 0:
            await session.commit(5.0)
    spent_s = time.process_time() - begun_s - idle_s
    await session.close()
    await provider.close()
    return spent_s / blocks * 1e3


async def _idle_s(blocks: int) -> float:
    begun_s = time.process_time()
    for _ in range(blocks):
        await asyncio.sleep(PACE_S)
    return time.process_time() - begun_s


def _carried_ms(blocks: int) -> tuple[float, float]:
    """CPU of one call with a block, at the caller and at the stage, over the fast transport."""
    os.environ.update(FLAGS)  # read when Serve is imported
    if "ray" in sys.modules:
        raise RuntimeError("hop: Ray was imported before its flags were set")
    import ray
    from ray import serve

    @serve.deployment(max_ongoing_requests=32)
    class Far:
        async def feed(self, pcm: bytes) -> int:
            return len(pcm)

        async def cpu_s(self) -> float:
            return time.process_time()

    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    try:
        serve.start(http_options={"location": "NoServer"}, logging_config={"log_level": "ERROR"})
        handle = serve.run(Far.bind(), name="hop", route_prefix=None)  # type: ignore[attr-defined]
        return asyncio.run(_calls_ms(handle, blocks))
    finally:
        ray.shutdown()


async def _calls_ms(handle: Any, blocks: int) -> tuple[float, float]:
    pcm = b"\x01\x00" * (FAR_MS * BYTES_PER_MS // 2)
    for _ in range(20):
        await handle.feed.remote(pcm)
    idle_s = await _idle_s(blocks)
    far_s, near_s = await handle.cpu_s.remote(), time.process_time()
    for _ in range(blocks):
        await handle.feed.remote(pcm)
        await asyncio.sleep(PACE_S)
    near_s = time.process_time() - near_s - idle_s
    far_s = await handle.cpu_s.remote() - far_s
    return near_s / blocks * 1e3, far_s / blocks * 1e3
