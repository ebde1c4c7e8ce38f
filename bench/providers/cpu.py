"""CPU of the speech-to-text stage for one call, the vendor in another process: what the stage adds to its waiting."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import Any, Final

from pydantic import SecretStr

from bench.path.providers import elevenlabs
from bench.path.service import SIMULATED_KEY
from deployments.speech_to_text.elevenlabs import ElevenLabs
from deployments.speech_to_text.kept_body import keep_body
from deployments.speech_to_text.port import TranscriptionRequest
from deployments.speech_to_text.providers import Plan
from deployments.speech_to_text.settings import ElevenLabsSettings, SpeechToTextSettings
from deployments.speech_to_text.stage import SpeechToText

PCM: Final = b"\x01\x00" * (16_000 * 3)
AT_MOST_MS: Final = 4.0


def report(calls: int) -> dict[str, Any]:
    """CPU per call in ms, with and without keyterms, one after the other and eight at once; the parts beside it."""
    with elevenlabs() as vendor:
        bare = ElevenLabsSettings(api_key=SecretStr(SIMULATED_KEY), base_url=vendor.base_url, keyterms=())
        full = bare.model_copy(update={"keyterms": ElevenLabsSettings().keyterms})
        figures = {
            "stage": asyncio.run(_stage_ms(full, calls, at_once=1)),
            "stage_8_at_once": asyncio.run(_stage_ms(full, calls, at_once=8)),
            "stage_without_keyterms": asyncio.run(_stage_ms(bare, calls, at_once=1)),
            "adapter_alone": asyncio.run(_adapter_ms(full, calls)),
            "adapter_whose_sdk_reads": asyncio.run(_adapter_ms(full, calls, sdk_reads=True)),
        }
    return {
        "bench": "cpu",
        "calls": calls,
        "audio_s": len(PCM) / 32_000,
        "cpu_ms_per_call": figures,
        "bars": [
            {"name": "CPU per call, ms", "value": value, "limit": AT_MOST_MS, "met": value <= AT_MOST_MS}
            for value in (figures["stage"],)
        ],
    }


async def _stage_ms(vendor: ElevenLabsSettings, calls: int, at_once: int) -> float:
    settings = SpeechToTextSettings(elevenlabs=vendor)
    stage = SpeechToText(settings, None, Plan(ElevenLabs(vendor), vendor.model, 1))
    requests = iter(range(calls))

    async def one_after_the_other() -> None:
        for number in requests:
            heard = await stage.transcribe(TranscriptionRequest(f"u-{number}", PCM, 10.0, voiced_s=3.0))
            if heard.status != "ok":
                raise RuntimeError(f"call {number} ended as {heard.status}: {heard.error}")

    try:
        await stage.transcribe(TranscriptionRequest("warm", PCM, 10.0))
        gc.collect()
        before_s = time.process_time()
        await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
        return (time.process_time() - before_s) / calls * 1e3
    finally:
        await stage.close()


async def _adapter_ms(vendor: ElevenLabsSettings, calls: int, *, sdk_reads: bool = False) -> float:
    """`sdk_reads`: as it was before `kept_body`, the answer's words read by the vendor's SDK."""
    provider = ElevenLabs(vendor)
    if sdk_reads:
        hooks = provider._http.event_hooks
        provider._http.event_hooks = {
            **hooks,
            "response": [hook for hook in hooks["response"] if hook is not keep_body],
        }
    try:
        await provider.transcribe(PCM, keyterms=(), budget_s=10.0)
        gc.collect()
        before_s = time.process_time()
        for _ in range(calls):
            await provider.transcribe(PCM, keyterms=(), budget_s=10.0)
        return (time.process_time() - before_s) / calls * 1e3
    finally:
        await provider.close()
