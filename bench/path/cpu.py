"""Who of the service used the processors and the memory: its processes by the part that they are."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import psutil

_REPLICA: Final = re.compile(r"ray::ServeReplica:[^:]+:(\w+)")
_PARTS: Final = (
    ("ServeController", "serve controller"),
    ("ProxyActor", "serve proxy"),
    ("HAProxyManager", "serve proxy"),
    ("haproxy", "haproxy"),
    ("gcs_server", "ray gcs"),
    ("raylet", "raylet"),
    ("ray::DashboardAgent", "ray agents"),
    ("ray::RuntimeEnvAgent", "ray agents"),
    ("ray.util.client.server", "ray client server"),
    ("dashboard", "ray dashboard"),
    ("resource_tracker", "ray dashboard"),
    ("log_monitor", "ray monitors"),
    ("monitor.py", "ray monitors"),
    ("sphinx_worker", "sphinx worker"),
    ("postgres", "postgresql"),
    ("serve_app.run", "launcher"),
    ("ray::IDLE", "ray idle workers"),
    ("ray::", "ray workers"),
)
"""A piece of the command line → what the process is; the first that fits wins."""


def part_of(command: str) -> str:
    """What a process with this command line is: a deployment's name, or a part of Ray, or `other`."""
    replica = _REPLICA.search(command)
    if replica:
        return replica[1]
    program = command.split(" ", 1)[0]
    if program.endswith("/raylet/raylet"):  # its command line names every other part
        return "raylet"
    return next((name for piece, name in _PARTS if piece in command), "other")


@dataclass(frozen=True, slots=True)
class CpuReading:
    """Seconds of CPU (user and system) of each process so far, by its pid and start; and which part each is."""

    seconds: Mapping[tuple[int, float], float]
    parts: Mapping[tuple[int, float], str]

    def since(self, before: CpuReading) -> dict[str, float]:
        """CPU seconds by part since `before`, most first; processes that ended in between are not counted."""
        spent: defaultdict[str, float] = defaultdict(float)
        for key, seconds in self.seconds.items():
            spent[self.parts[key]] += seconds - before.seconds.get(key, 0.0)
        return dict(sorted(spent.items(), key=lambda item: -item[1]))


def read_cpu(processes: Iterable[psutil.Process]) -> CpuReading:
    """The CPU time of `processes` now."""
    seconds, parts = {}, {}
    for process in processes:
        try:
            times, key = process.cpu_times(), (process.pid, process.create_time())
            parts[key] = part_of(command_of(process))
            seconds[key] = times.user + times.system
        except psutil.Error:
            continue  # it has ended
    return CpuReading(seconds, parts)


def command_of(process: psutil.Process) -> str:
    """Its command line in one string; its name where it has none. Raises psutil.Error."""
    return " ".join(process.cmdline()) or str(process.name())
