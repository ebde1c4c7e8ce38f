"""The service with a handle call per piece of audio: what it would cost to find speech in another process."""

# No `from __future__ import annotations` here: Serve reads the builder's real annotation to validate `args`.
import asyncio
import contextlib
from typing import Any, Final

from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle
from starlette.websockets import WebSocket

import serve_app.ingress
from audio.decode import Decoder, decoder_for
from audio.segmenter import Segmenter
from audio.settings import SegmenterSettings
from serve_app.build import _bind, _replica_of
from serve_app.build import build_app as build_app_inline
from serve_app.door import Door
from serve_app.ingress import StageHandles, TelemetryHandle, counter_app
from serve_app.metrics import RayMetrics
from serve_app.settings import BaltoSettings

BLOCKS_WAITING_MAX: Final = 1000
"""Pieces of one counter that wait for their call; beyond it its connection breaks, and the run shows that."""


class Blocks:
    """Finds speech in pieces of audio that arrive by handle: the segmenter that the ingress has inline."""

    def __init__(self) -> None:
        self._streams: dict[str, tuple[Decoder, Segmenter]] = {}

    async def hear(self, stream: str, block: bytes) -> int:
        """Take the next piece of a stream; how many utterances it ended."""
        if stream not in self._streams:
            self._streams[stream] = (decoder_for(None), Segmenter(SegmenterSettings()))
        decoder, segmenter = self._streams[stream]
        return len(segmenter.feed(decoder.feed(block)))

    async def forget(self, stream: str) -> None:
        """The stream has ended."""
        self._streams.pop(stream, None)


class _CopyingSocket:
    """A counter's socket whose audio also goes, piece by piece and in order, to the other process."""

    def __init__(self, socket: WebSocket, blocks: DeploymentHandle[Any]) -> None:
        self._socket = socket
        self._blocks = blocks
        self._stream = str(id(self))
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue(BLOCKS_WAITING_MAX)
        self.task = asyncio.create_task(self._pass_on())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    async def receive(self) -> Any:
        """The next message; its audio is on its way to the other process too."""
        message = await self._socket.receive()
        if message.get("bytes"):
            self._waiting.put_nowait(message["bytes"])
        return message

    async def _pass_on(self) -> None:
        try:
            while True:
                await self._blocks.hear.remote(self._stream, await self._waiting.get())
        finally:
            self._blocks.forget.remote(self._stream)


class _BlockDoor(Door):
    """The door, with every counter's audio copied to the other process."""

    blocks: DeploymentHandle[Any]

    async def counter(self, socket: WebSocket) -> None:
        """See Door."""
        copying: Any = _CopyingSocket(socket, self.blocks)
        try:
            await super().counter(copying)
        finally:
            copying.task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await copying.task


class CounterIngress(serve_app.ingress.CounterIngress):
    """The ingress with that door."""

    def __init__(self, settings: BaltoSettings, *handles: DeploymentHandle[Any]) -> None:
        voice, speech_to_text, recommender, telemetry, blocks = handles
        super().__init__(settings, voice, speech_to_text, recommender, telemetry)
        stages = StageHandles(voice, speech_to_text, recommender)
        door = _BlockDoor(settings.door, stages, TelemetryHandle(telemetry), RayMetrics())
        door.blocks = blocks
        self.door = door


def build_app(args: BaltoSettings) -> Application:
    """As `serve_app.build.build_app`, with one more deployment behind the ingress."""
    built: Any = build_app_inline(args)
    blocks: Any = serve.deployment(Blocks, ray_actor_options={"num_cpus": 0.1}, max_ongoing_requests=1000)
    arguments = built._bound_deployment.init_args
    return _bind(serve.ingress(counter_app)(_replica_of(CounterIngress)), *arguments, blocks.bind())
