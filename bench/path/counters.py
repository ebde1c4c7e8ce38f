"""Simulated counters: each streams speech of its own in real time, at a phase of its own, as our client does."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audio.utterance import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ
from bench.path.service import BenchFailed
from serve_app.client import ClientError, ClientSettings, CounterClient, Event, PcmSource, pcm_of_wav
from serve_app.settings import ROOT

Samples = NDArray[np.int16]

SAMPLE_PATH: Final = ROOT / "samples" / "balcao.wav"
CONNECT_TIMEOUT_S: Final = 30.0
UTTERANCES_PER_CUSTOMER: Final = 3
NEW_CUSTOMER_SILENCE_S: Final = 4.0
"""What the service is told; customers are further apart than this, the utterances of one are closer."""
_QUIET_S: Final = 1.5
"""Noise alone at the beginning of a stream, for the gate to learn its floor."""
_GAP_S: Final = 2.0
_CUSTOMER_GAP_MIN_S: Final = 5.5
_BREATH_S: Final = 0.25
"""Between the two sentences of an utterance: less than the hangover."""
_EDGE_S: Final = 0.03
_NOISE_DBFS: Final = -58.0
_AFTERWARDS_S: Final = 2.0
"""What counters still stream after the window, so that none leaves within it."""


@dataclass(frozen=True, slots=True)
class CrowdPlan:
    """How many counters stream what. The window that is measured begins `warm_up_s` after all are connected."""

    url: str
    keys: Sequence[str]
    seconds: float
    warm_up_s: float = 10.0
    chunk_ms: int = 250
    every_s: float = 8.8
    """Mean time from one utterance of a counter to its next."""
    seed: int = 1


@dataclass
class CrowdSeen:
    """What the counters saw. Instants in seconds since the epoch."""

    begun_at: float = 0.0
    ended_at: float = 0.0
    suggested_at: dict[str, float] = field(default_factory=dict)
    """Suggestion id → when it had reached its counter."""
    reconnects: int = 0


def clips(path: Path = SAMPLE_PATH) -> list[Samples]:
    """The sentences of a sample, cut out by the written truth beside it; 16 kHz."""
    pcm = np.frombuffer(pcm_of_wav(path.read_bytes()), "<i2")
    truth = json.loads(path.with_suffix(".json").read_text("utf-8"))
    spans = [(said["start_s"] - _EDGE_S, said["end_s"] + _EDGE_S) for said in truth]
    return [pcm[int(start * SAMPLE_RATE_HZ) : int(end * SAMPLE_RATE_HZ)] for start, end in spans]


def speech(sentences: Sequence[Samples], seconds: float, every_s: float, choice: random.Random) -> bytes:
    """At least `seconds` of a counter's stream as s16le: customers of three utterances of two sentences each, in noise.

    An utterance comes every `every_s` seconds in the mean, less often where the sentences leave no room for it.
    """
    pieces: list[Samples] = [_silence(_QUIET_S + choice.random() * every_s)]
    length = len(pieces[0])
    while length < seconds * SAMPLE_RATE_HZ:
        customer = _customer(sentences, every_s, choice)
        pieces += customer
        length += sum(len(piece) for piece in customer)
    joined = np.concatenate(pieces).astype(np.float32)
    noise = np.random.default_rng(choice.randrange(2**32)).standard_normal(len(joined), dtype=np.float32)
    joined += noise * np.float32(32768 * 10 ** (_NOISE_DBFS / 20))
    return np.clip(joined, -32768, 32767).astype("<i2").tobytes()


def _customer(sentences: Sequence[Samples], every_s: float, choice: random.Random) -> list[Samples]:
    pieces: list[Samples] = []
    for _ in range(UTTERANCES_PER_CUSTOMER):
        first, second = choice.sample(range(len(sentences)), 2)
        pieces += [sentences[first], _silence(_BREATH_S), sentences[second], _silence(_GAP_S)]
    spent_s = sum(len(piece) for piece in pieces) / SAMPLE_RATE_HZ
    rest_s = (UTTERANCES_PER_CUSTOMER * every_s - spent_s) * choice.uniform(0.7, 1.3)
    return [*pieces, _silence(max(rest_s, _CUSTOMER_GAP_MIN_S - _GAP_S))]


def _silence(seconds: float) -> Samples:
    return np.zeros(int(seconds * SAMPLE_RATE_HZ), np.int16)


class Crowd:
    """All counters of one run, in one event loop."""

    def __init__(self, plan: CrowdPlan) -> None:
        self._plan = plan
        self._seen = CrowdSeen()
        self._connected = 0
        self._all_connected = asyncio.Event()

    async def run(self, at_edge: Callable[[], Awaitable[None]]) -> CrowdSeen:
        """Stream to the end; `at_edge` is awaited where the window begins and where it ends. Raises BenchFailed."""
        streams = self._streams()
        tasks = [asyncio.create_task(self._counter(*one)) for one in zip(self._plan.keys, streams, strict=True)]
        try:
            await self._until_connected(tasks)
            await self._going_on(tasks, self._plan.warm_up_s)
            self._seen.begun_at = time.time()
            await at_edge()
            await self._going_on(tasks, self._plan.seconds)
            self._seen.ended_at = time.time()
            await at_edge()
            await asyncio.gather(*tasks)
        except ClientError as exc:
            raise BenchFailed(f"a counter failed: {type(exc).__name__}: {exc}") from exc
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return self._seen

    def _streams(self) -> list[bytes]:
        """Every counter's audio, made before anything is measured."""
        plan, sentences, streams = self._plan, clips(), []
        length_s = plan.warm_up_s + plan.seconds + _AFTERWARDS_S
        for number in range(len(plan.keys)):
            choice = random.Random(f"{plan.seed}-{number}")
            pcm = speech(sentences, length_s, plan.every_s, choice)
            streams.append(pcm[: int(length_s * SAMPLE_RATE_HZ) * BYTES_PER_SAMPLE])
        return streams

    async def _counter(self, key: str, pcm: bytes) -> None:
        chunk_ms = self._plan.chunk_ms
        await asyncio.sleep(random.random() * chunk_ms / 1000)
        client = CounterClient(ClientSettings(url=self._plan.url, chunk_ms=chunk_ms), key)
        await client.run(PcmSource(pcm), self._saw)

    def _saw(self, event: Event) -> None:
        if event.kind == "recomendar":
            self._seen.suggested_at[str(event.fields.get("id"))] = time.time()
        elif event.kind == "reconnecting":
            self._seen.reconnects += 1
        elif event.kind == "connected":
            self._connected += 1
            if self._connected == len(self._plan.keys):
                self._all_connected.set()

    async def _until_connected(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        waiting = asyncio.create_task(self._all_connected.wait())
        await asyncio.wait({waiting, *tasks}, timeout=CONNECT_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        _raise_first(tasks)
        if not self._all_connected.is_set():
            raise BenchFailed(f"{self._connected} of {len(tasks)} counters connected in {CONNECT_TIMEOUT_S:.0f} s")

    async def _going_on(self, tasks: Sequence[asyncio.Task[None]], seconds: float) -> None:
        """Wait, unless a counter ends before its time."""
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        _raise_first(tasks)
        if done:
            raise BenchFailed("a counter ended before its stream did")


def _raise_first(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        if task.done():
            task.result()
