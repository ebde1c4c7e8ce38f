"""Counters that speak to replicas of the speech-to-text stage over simulated vendors, without Ray between them."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from pydantic import SecretStr

from bench.simulated.faults import FaultShare, Latency
from bench.simulated.server import Fault
from deployments.resilience.gossip import Gossip
from deployments.speech_to_text.adapter_settings import AssemblyAISettings
from deployments.speech_to_text.port import Transcription, TranscriptionRequest
from deployments.speech_to_text.settings import ElevenLabsSettings, SpeechToTextSettings
from deployments.speech_to_text.stage import SpeechToText

BYTES_PER_S: Final = 32_000
UTTERANCE_S: Final = (1.0, 4.0)
BUDGET_S: Final = 3.0
ELEVEN_KEY: Final = "xi-simulated"
ASSEMBLY_KEY: Final = "aai-simulated"


class Switch(FaultShare):
    """Faults for a simulated vendor that are turned on and off: None is health."""

    def __init__(self, fault: Fault | None = None) -> None:
        super().__init__(0.0)
        self.fault = fault

    def next(self) -> Fault | None:
        """What every request meets now."""
        return self.fault


def settings_for(eleven_url: str, assembly_url: str, **changes: Any) -> SpeechToTextSettings:
    """ElevenLabs first, AssemblyAI second, both simulated."""
    return SpeechToTextSettings(
        elevenlabs=ElevenLabsSettings(api_key=SecretStr(ELEVEN_KEY), base_url=eleven_url),
        assemblyai=AssemblyAISettings(
            api_key=SecretStr(ASSEMBLY_KEY), sync_base_url=assembly_url, rest_base_url=assembly_url
        ),
        **changes,
    )


class Pace(Latency):
    """A vendor's latency in health; what is down answers at once."""

    def __init__(self, median_ms: float, p99_ms: float, seed: int, switch: Switch) -> None:
        super().__init__(median_ms, p99_ms, seed)
        self._switch = switch

    def next_s(self) -> float:
        """The next request's latency in seconds."""
        return 0.0 if self._switch.fault else super().next_s()


@dataclass(frozen=True, slots=True)
class Spoken:
    """One utterance: when it ended (event loop's seconds), whose it was, which replica heard it, and its answer."""

    at_s: float
    counter: int
    replica: int
    answer: Transcription


@dataclass
class Crowd:
    """`counters` that speak every `every_s` on average. Each belongs to one of two ingresses, which gossip apart."""

    replicas: Sequence[SpeechToText]
    counters: int = 20
    every_s: float = 2.0
    seed: int = 1
    spoken: list[Spoken] = field(default_factory=list)
    _ingresses: tuple[Gossip, Gossip] = field(default_factory=lambda: (Gossip(), Gossip()))

    async def speak(self, until_s: float) -> None:
        """Until the event loop's time is `until_s`; returns once every utterance has its answer."""
        await asyncio.gather(*(self._counter(number, until_s) for number in range(self.counters)))

    async def _counter(self, number: int, until_s: float) -> None:
        loop, drawn = asyncio.get_running_loop(), random.Random(self.seed * 1000 + number)
        pending: set[asyncio.Task[None]] = set()
        await asyncio.sleep(drawn.uniform(0, self.every_s))
        while loop.time() < until_s:
            pcm = b"\x01\x00" * int(drawn.uniform(*UTTERANCE_S) * BYTES_PER_S / 2)
            name = f"{number}-{drawn.random()}"
            replica = drawn.randrange(len(self.replicas))
            task = asyncio.create_task(self._utterance(number, replica, TranscriptionRequest(name, pcm, BUDGET_S)))
            pending.add(task)
            task.add_done_callback(pending.discard)
            await asyncio.sleep(drawn.uniform(0.5, 1.5) * self.every_s)
        await asyncio.gather(*pending)

    async def _utterance(self, counter: int, replica: int, request: TranscriptionRequest) -> None:
        gossip = self._ingresses[counter % 2]
        at_s = asyncio.get_running_loop().time()
        answer = await self.replicas[replica].transcribe(replace(request, known=gossip.known))
        gossip.merge(answer.states)
        self.spoken.append(Spoken(at_s, counter, replica, answer))


def told(spoken: Sequence[Spoken], counter: int) -> int:
    """How often a counter of generation 4 is told that transcription is away: once a stretch of failures."""
    worked, notices, judged_s = True, 0, 0.0
    for one in sorted((s for s in spoken if s.counter == counter), key=lambda s: s.at_s + s.answer.elapsed_ms / 1e3):
        if one.at_s < judged_s:  # a straggler says nothing of now: see serve_app/passage.py
            continue
        judged_s = one.at_s
        works = one.answer.status in ("ok", "vazio")
        notices += worked and not works
        worked = works
    return notices
