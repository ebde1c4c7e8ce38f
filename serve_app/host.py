"""CPU and memory of the machine and of this process, sampled off the hot path."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass

import psutil

SAMPLE_EVERY_S = 0.5
"""An interaction's figures are at most this old when its row is made (the design asks for at most 1 s)."""


@dataclass(frozen=True, slots=True)
class HostSample:
    """One reading: percent of all cores, percent of memory in use, resident megabytes of this process."""

    cpu_percent: float
    ram_percent: float
    process_rss_mb: float


class HostSampler:
    """Keeps the latest reading fresh in a task of its own."""

    def __init__(self) -> None:
        self.node = socket.gethostname()
        self._process = psutil.Process()
        self._task: asyncio.Task[None] | None = None
        self.latest = self._sample()

    def start(self) -> None:
        """Begin sampling on the running loop; starting twice changes nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._keep_sampling(), name="host-sampler")

    async def close(self) -> None:
        """Stop sampling."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _sample(self) -> HostSample:
        return HostSample(
            cpu_percent=psutil.cpu_percent(None),
            ram_percent=psutil.virtual_memory().percent,
            process_rss_mb=self._process.memory_info().rss / 1e6,
        )

    async def _keep_sampling(self) -> None:
        while True:
            self.latest = self._sample()
            await asyncio.sleep(SAMPLE_EVERY_S)
