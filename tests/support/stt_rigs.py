"""Every adapter of speech recognition beside its simulated vendor, in one shape, for the tests that all must pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import SecretStr

from bench.simulated.assemblyai import SimulatedAssemblyAi
from bench.simulated.elevenlabs import SimulatedElevenLabs
from bench.simulated.elevenlabs_realtime import SimulatedElevenLabsRealtime
from bench.simulated.faults import Latency, Ledger
from deployments.speech_to_text.adapter_settings import AssemblyAISettings, RealtimeSettings
from deployments.speech_to_text.assemblyai import AssemblyAI
from deployments.speech_to_text.assemblyai_rest import AssemblyAIRest
from deployments.speech_to_text.elevenlabs import ElevenLabs
from deployments.speech_to_text.elevenlabs_realtime import ElevenLabsRealtime
from deployments.speech_to_text.port import Transcript
from deployments.speech_to_text.settings import ElevenLabsSettings

SECRET = "k-9f3a-simulated"
SECOND = bytes(range(256)) * 125
"""One second of audio, as PCM."""


class Vendor(Protocol):
    """What the tests ask of a simulated vendor."""

    ledger: Ledger

    @property
    def base_url(self) -> str: ...

    @property
    def connections(self) -> int: ...

    def revoke_key(self) -> None: ...

    async def __aenter__(self) -> Any: ...

    async def __aexit__(self, *error: Any) -> None: ...


class Adapter(Protocol):
    """What the tests ask of an adapter: the port, its price, its warming."""

    async def transcribe(self, pcm: bytes, *, keyterms: tuple[str, ...], budget_s: float) -> Transcript: ...

    def price_usd(self, pcm: bytes, keyterms: tuple[str, ...] = ()) -> float: ...

    async def warm(self) -> bool: ...

    async def close(self) -> None: ...


@dataclass(frozen=True)
class Rig:
    """How to make one adapter's vendor (a script of texts and faults) and the adapter (base URL, key)."""

    name: str
    vendor: Callable[..., Vendor]
    adapter: Callable[[str, str], Adapter]
    streams: bool = False
    """A socket for each utterance: nothing is kept warm, words have no instants, and an answer has no middle."""


def _elevenlabs(base_url: str, key: str) -> Adapter:
    return ElevenLabs(ElevenLabsSettings(api_key=SecretStr(key), base_url=base_url, timeout_s=30.0, silence_s=0.2))


def _assemblyai_settings(base_url: str, key: str) -> AssemblyAISettings:
    return AssemblyAISettings(
        api_key=SecretStr(key),
        sync_base_url=base_url,
        rest_base_url=base_url,
        timeout_s=30.0,
        silence_s=0.2,
        rest_fallback_min_budget_s=300.0,
        poll_interval_s=0.01,
        keyterms=("dipirona",),
        delete_transcripts=False,  # one request at a time, so that sockets can be counted
    )


def _elevenlabs_vendor(*script: Any, latency: Latency | None = None, stall_s: float = 30.0) -> Vendor:
    return SimulatedElevenLabs(*script, api_key=SECRET, latency=latency, stall_s=stall_s)


def _assemblyai_vendor(*script: Any, latency: Latency | None = None, stall_s: float = 30.0) -> Vendor:
    return SimulatedAssemblyAi(*script, api_key=SECRET, latency=latency, rest_latency=latency, stall_s=stall_s)


def _realtime(base_url: str, key: str) -> Adapter:
    return ElevenLabsRealtime(RealtimeSettings(api_key=SecretStr(key), base_url=base_url, timeout_s=30.0))


def _realtime_vendor(*script: Any, latency: Latency | None = None, stall_s: float = 30.0) -> Vendor:
    return SimulatedElevenLabsRealtime(*script, api_key=SECRET, latency=latency, stall_s=stall_s)


RIGS = (
    Rig("elevenlabs", _elevenlabs_vendor, _elevenlabs),
    Rig("assemblyai", _assemblyai_vendor, lambda url, key: AssemblyAI(_assemblyai_settings(url, key))),
    Rig("assemblyai_rest", _assemblyai_vendor, lambda url, key: AssemblyAIRest(_assemblyai_settings(url, key))),
    Rig("elevenlabs_realtime", _realtime_vendor, _realtime, streams=True),
)
