"""The audio between the task that reads a source and the connection that sends it."""

from __future__ import annotations

import asyncio

from audio.utterance import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ
from serve_app.client.decisions import ResendBuffer
from serve_app.client.settings import BYTES_PER_S, ClientSettings
from serve_app.client.sources import Source


class HeldAudio:
    """Owns the task that reads the source, and what it has read until the server says that it is safe to forget."""

    def __init__(self, settings: ClientSettings) -> None:
        self._settings = settings
        self.piece_bytes = settings.chunk_ms * BYTES_PER_S // 1000
        """The most that is held, or sent, at once."""
        self._buffer = self._new_buffer()
        self._reader: asyncio.Task[None] | None = None
        self._connected = False
        self._changed = asyncio.Event()
        self._room = asyncio.Event()

    @property
    def started(self) -> bool:
        """Whether the source is or was being read."""
        return self._reader is not None

    @property
    def first_sample(self) -> int:
        """The stream's oldest sample still held."""
        return self._buffer.first_sample

    @property
    def end_sample(self) -> int:
        """One past the stream's newest whole sample."""
        return self._buffer.end_sample

    @property
    def backlog(self) -> bool:
        """Whether a whole piece or more is waiting to be sent."""
        return self._buffer.unsent_bytes >= self.piece_bytes

    @property
    def overrun(self) -> bool:
        """True when audio gave way before it was sent."""
        return self._buffer.overrun

    def start(self, source: Source) -> None:
        """Begin to read `source`."""
        self._reader = asyncio.create_task(self._read(source))

    async def restart(self, source: Source) -> None:
        """Drop what is held and read `source` anew."""
        await self.close()
        self._buffer = self._new_buffer()
        self.start(source)

    def connected(self, yes: bool) -> None:
        """Say whether somebody sends: only then may what was sent make room for what was not."""
        self._connected = yes
        self._room.set()

    def take(self) -> bytes:
        """The next piece to send; empty when all that was read was sent."""
        return self._buffer.take(self.piece_bytes)

    def sent(self) -> None:
        """A piece has left: there may be room."""
        self._room.set()

    def forget(self, sample: int) -> None:
        """The stream before `sample` is safe."""
        self._buffer.forget(sample)
        self._room.set()

    def rewind(self, sample: int) -> None:
        """Send again from `sample` on; raises ValueError when it is not held."""
        self._buffer.rewind(sample)

    def ended(self) -> bool:
        """Whether the source has ended; raises what it raised."""
        if self._reader is None or not self._reader.done():
            return False
        self._reader.result()
        return True

    def wake(self) -> None:
        """End a `change` that somebody waits for."""
        self._changed.set()

    async def change(self) -> None:
        """Wait until something more was read, the source has ended, or `wake` was called."""
        self._changed.clear()
        await self._changed.wait()

    async def close(self) -> None:
        """Stop reading."""
        await cancelled(self._reader)

    async def _read(self, source: Source) -> None:
        try:
            async for chunk in source.chunks(self._settings):
                for begin in range(0, len(chunk), self.piece_bytes):
                    await self._hold(chunk[begin : begin + self.piece_bytes])
        finally:
            self._changed.set()

    async def _hold(self, piece: bytes) -> None:
        while self._settings.when_full == "wait" and not self._buffer.fits(len(piece), self._connected):
            self._room.clear()
            await self._room.wait()
        self._buffer.append(piece)
        self._changed.set()

    def _new_buffer(self) -> ResendBuffer:
        return ResendBuffer(int(self._settings.resend_s * SAMPLE_RATE_HZ) * BYTES_PER_SAMPLE)


async def cancelled(*tasks: asyncio.Task[None] | None) -> None:
    """Cancel and await; what a task had to say was asked for before, or nobody is there to hear it."""
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
