"""Process 1 of a VPS of the rig: sshd, and as much of systemd as the units here need.

It parses the real unit files (ExecStart, KillMode, Restart, …), keeps their processes running, and
obeys the `systemctl` that the VPS has. When it ends, the kernel ends every process of its namespace: a power cut.
"""

from __future__ import annotations

import configparser
import contextlib
import os
import selectors
import shlex
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

UNITS: Final = Path("/etc/systemd/system")
ENABLED: Final = Path("/etc/systemd/enabled-here")
CONTROL: Final = Path("/run/vps.sock")
TICK_S: Final = 0.2


@dataclass
class Unit:
    """One service: what its file says, and the process that runs for it."""

    name: str
    command: list[str]
    restart: bool
    pause_s: float
    directory: str
    whole_group: bool
    """KillMode=control-group is said: what its process leaves behind ends with it."""
    wanted: bool = False
    process: subprocess.Popen[bytes] | None = None
    ended_s: float = field(default=float("-inf"))

    @classmethod
    def read(cls, name: str) -> Unit:
        """Of its unit file."""
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        parser.optionxform = str  # type: ignore[assignment, method-assign]
        parser.read(UNITS / f"{name}.service")
        service = parser["Service"]
        return cls(
            name,
            shlex.split(service["ExecStart"]),
            service.get("Restart") == "always",
            service.getfloat("RestartSec", 0.1),
            service.get("WorkingDirectory", "/"),
            service.get("KillMode") == "control-group",
        )

    @property
    def active(self) -> bool:
        """Whether its process runs."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Run it, its output in /var/log/NAME.log."""
        with Path(f"/var/log/{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.directory,
            )


class Boot:
    """What process 1 does."""

    def __init__(self) -> None:
        self.units: dict[str, Unit] = {}

    def unit(self, name: str) -> Unit:
        """The unit of this name, read when first asked for."""
        name = name.removesuffix(".service")
        if name not in self.units:
            self.units[name] = Unit.read(name)
        return self.units[name]

    def obey(self, line: str) -> str:
        """One `systemctl` command; its exit status as text."""
        verb, *names = [word for word in line.split() if not word.startswith("--")]
        for name in names:
            unit = self.unit(name)
            if verb == "is-active":
                return "0" if unit.active else "3"
            if verb in ("enable", "disable"):
                enabled = ENABLED / unit.name
                enabled.touch() if verb == "enable" else enabled.unlink(missing_ok=True)
            if verb in ("restart", "stop") or (verb == "disable" and "--now" in line):
                unit.wanted = False
                self.end(unit)
            if verb in ("start", "restart") or (verb == "enable" and "--now" in line):
                unit.wanted = True
        return "0"

    def end(self, unit: Unit) -> None:
        """End its process and, as a control group would, all that belongs to no other unit."""
        if unit.process is None:
            return
        for signal_number, patience_s in ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0)):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(unit.process.pid, signal_number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                unit.process.wait(patience_s)
        if unit.whole_group:
            self.end_orphans()
        unit.process = None

    def end_orphans(self) -> None:
        """End processes whose parent has gone: in a VPS only what a unit left behind has process 1 for a parent."""
        ours = {unit.process.pid for unit in self.units.values() if unit.process is not None}
        for _ in range(5):
            orphans = [pid for pid in children_of(1) if pid not in ours]
            for pid in orphans:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            reap()
            if not orphans:
                return
            time.sleep(0.1)

    def tick(self) -> None:
        """Start what is wanted and does not run; forget the dead."""
        reap()
        for unit in self.units.values():
            if unit.process is not None and unit.process.poll() is not None:
                unit.process, unit.ended_s = None, time.monotonic()
                if unit.whole_group:
                    self.end_orphans()
                unit.wanted = unit.wanted and unit.restart
            if unit.wanted and unit.process is None and time.monotonic() - unit.ended_s >= unit.pause_s:
                unit.start()

    def run(self) -> None:
        """Boot what is enabled, then obey until the rig has ended."""
        ENABLED.mkdir(exist_ok=True)
        for name in sorted(path.name for path in ENABLED.iterdir()):
            self.unit(name).wanted = True
        server = socket.socket(socket.AF_UNIX)
        server.bind(str(CONTROL))
        server.listen(8)
        with selectors.DefaultSelector() as selector:
            selector.register(server, selectors.EVENT_READ)
            selector.register(sys.stdin, selectors.EVENT_READ)  # a pipe from the rig: readable when that has ended
            while True:
                self.tick()
                ready = [key.fileobj for key, _ in selector.select(TICK_S)]
                if sys.stdin in ready:
                    return
                if ready:
                    connection, _ = server.accept()
                    with connection:
                        connection.sendall(self.obey(connection.recv(4096).decode()).encode())


def children_of(parent: int) -> list[int]:
    """Process ids whose parent is this."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            if path.read_text().rpartition(")")[2].split()[1] == str(parent):
                found.append(int(path.parent.name))
    return found


def reap() -> None:
    """Take note of the dead that nobody waits for. Units' own are reaped by their Popen, which minds no surprise."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def control(arguments: list[str]) -> int:
    """What the `systemctl` of a VPS does."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(CONTROL))
        connection.sendall(" ".join(arguments).encode())
        return int(connection.recv(16) or b"1")


if __name__ == "__main__":
    if sys.argv[1:] == ["--boot"]:
        if os.getpid() != 1:
            sys.exit("boot: only as process 1 of a namespace of its own")
        Boot().run()
    sys.exit(control(sys.argv[1:]))
