"""A VPS of the rig: a network namespace with its own address, and a disk, processes, `/tmp` and sshd of its own."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import psutil

from serve_app.settings import ROOT

PLACE: Final = Path("/mnt")
"""Where rigs keep their disks: a directory that no VPS has a copy of its own of."""
NETWORK: Final = ipaddress.ip_network("10.77.0.0/24")
GATEWAY: Final = "10.77.0.1"
FIRST: Final = 11
VPSES_MAX: Final = 9
OWNER: Final = "owner.json"
OWN_DIRS: Final = ("etc", "root", "var", "opt", "srv")
"""Of which a VPS sees the machine's, and writes a copy of its own."""
NEEDED: Final = {
    "ip": "iproute2",
    "nsenter": "util-linux",
    "setpriv": "util-linux",
    "sshd": "openssh-server",
    "ssh": "openssh-client",
    "rsync": "rsync",
    "redis-server": "redis-server",
}
_START: Final = r"""
set -e
disk=$1 boot=$2 python=$3
mount --make-rprivate /
for dir in etc root var opt srv; do
    mount -t overlay overlay -o "lowerdir=/$dir,upperdir=$disk/$dir,workdir=$disk/.$dir" "/$dir"
done
mount --bind "$disk/tmp" /tmp
mount -t tmpfs -o mode=755 tmpfs /run
mount -t tmpfs -o mode=1777,size=1g tmpfs /dev/shm
mkdir -p /run/sshd /run/balto /usr/local/bin
mount -t tmpfs tmpfs /usr/local/bin
printf '#!/bin/sh\nexec %s %s "$@"\n' "$python" "$boot" > /usr/local/bin/systemctl
chmod 755 /usr/local/bin/systemctl
mkdir -p /opt/balto
mount --bind -o ro "$4" /opt/balto
mount --bind -o ro "$5/.venv" /opt/balto/.venv
hostname "$6"
printf '127.0.0.1 localhost\n%s %s\n' "$7" "$6" > /etc/hosts
: > /etc/resolv.conf  # no nameserver can be reached, and Ray would wait for one
exec "$python" "$boot" --boot
"""


class RigFailed(Exception):
    """The rig could not be built or does not obey; the text says why."""


def refuse_what_cannot_work() -> None:
    """Raises RigFailed, naming what is missing or in the way."""
    if os.geteuid() != 0:
        raise RigFailed("namespaces, a bridge and mounts need root: sudo make cluster-test")
    hidden = [name for name in ("/tmp", "/run") if ROOT.is_relative_to(name)]
    if hidden:
        raise RigFailed(f"every VPS has a {hidden[0]} of its own and would not see this checkout: move it elsewhere")
    missing = {package for command, package in NEEDED.items() if shutil.which(command) is None}
    if missing:
        raise RigFailed(f"missing: apt-get install {' '.join(sorted(missing))}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((f"{NETWORK.network_address + FIRST}", 9))
        if ipaddress.ip_address(probe.getsockname()[0]) in NETWORK:
            raise RigFailed(
                f"{NETWORK} is in use on this machine: another rig, or a network of yours; nothing was touched"
            )


def run(*command: str, timeout_s: float = 30.0, **options: object) -> str:
    """The output of `command`. Raises RigFailed with its last lines."""
    try:
        done = subprocess.run(  # type: ignore[call-overload]
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
            **options,
        )
    except subprocess.TimeoutExpired:
        raise RigFailed(f"{shlex.join(command)}: not done within {timeout_s:.0f} s") from None
    if done.returncode != 0:
        raise RigFailed(f"{shlex.join(command)}: {' | '.join(done.stdout.strip().splitlines()[-6:])}")
    return str(done.stdout)


@dataclass
class Vps:
    """One VPS. Its disk is a directory and outlives `power_off`."""

    name: str
    address: str
    disk: Path
    code: Path
    boot: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def link(self) -> str:
        """The machine's end of its cable."""
        return f"{self.name}h"

    def power_on(self) -> None:
        """Boot, and wait for its sshd. Raises RigFailed."""
        log = (self.disk / "boot.log").open("ab")
        chain = ["ip", "netns", "exec", self.name]
        space = ["unshare", "--mount", "--pid", "--uts", "--ipc", "--fork", "--mount-proc", "--kill-child=KILL"]
        shell = ["bash", "-c", _START, "boot", str(self.disk), str(Path(__file__).with_name("boot.py")), sys.executable]
        with log:
            self.boot = subprocess.Popen(
                [*chain, *space, *shell, str(self.code), str(ROOT), self.name, self.address],
                stdin=subprocess.PIPE,  # process 1 ends with us, however we end
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 30
        while not self._ssh_answers():
            if self.boot.poll() is not None or time.monotonic() > deadline:
                raise RigFailed(f"{self.name} did not boot: {(self.disk / 'boot.log').read_text()[-500:]}")
            time.sleep(0.2)

    def power_off(self) -> None:
        """All of its processes end at once, without a word."""
        first = self.first_process()
        if self.boot is not None and first is not None:
            os.kill(first, signal.SIGKILL)
            self.boot.wait(20)
        self.boot = None

    def cut(self) -> None:
        """Pull its network cable."""
        run("ip", "link", "set", self.link, "down")

    def join(self) -> None:
        """Put the cable back."""
        run("ip", "link", "set", self.link, "up")

    def first_process(self) -> int | None:
        """The machine's number of its process 1; None while it is off."""
        if self.boot is None or self.boot.poll() is not None:
            return None
        children = Path(f"/proc/{self.boot.pid}/task/{self.boot.pid}/children").read_text().split()
        return int(children[0]) if children else None

    def do(self, *command: str, timeout_s: float = 60.0, env: Mapping[str, str] | None = None) -> str:
        """The output of a command that runs in it. Raises RigFailed."""
        first = self.first_process()
        if first is None:
            raise RigFailed(f"{self.name} is off")
        return run(
            "nsenter", "-t", str(first), "-m", "-n", "-p", "-u", "-i", "--", *command, timeout_s=timeout_s, env=env
        )

    def _ssh_answers(self) -> bool:
        try:
            with socket.create_connection((self.address, 22), 0.5) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False


@dataclass
class Rig:
    """The machines and the bridge between them."""

    root: Path
    bridge: str
    vpses: list[Vps]

    def write(self, path: str, text: str, mode: int = 0o600, only: Sequence[Vps] | None = None) -> None:
        """Put a file on the disk of every VPS (or of `only` these) while they are off."""
        for vps in only or self.vpses:
            target = vps.disk / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
            target.chmod(mode)


@contextlib.contextmanager
def rig(count: int = 3) -> Iterator[Rig]:
    """`count` VPSes that are off, on a bridge; nothing of them is left afterwards. Raises RigFailed."""
    clean_up_after_the_dead()
    refuse_what_cannot_work()
    mark = secrets.token_hex(2)
    root = Path(tempfile.mkdtemp(prefix="balto-cluster-", dir=PLACE))
    root.chmod(0o755)
    bridge = f"bc{mark}"
    made = Rig(root, bridge, [])
    try:
        (root / OWNER).write_text(json.dumps({"pid": os.getpid(), "since": _since(os.getpid()), "bridge": bridge}))
        _copy_code(root / "code")
        run("ip", "link", "add", bridge, "type", "bridge")
        run("ip", "addr", "add", f"{GATEWAY}/{NETWORK.prefixlen}", "dev", bridge)
        run("ip", "link", "set", bridge, "up")
        for number in range(count):
            address = str(NETWORK.network_address + FIRST + number)
            vps = Vps(f"{bridge}v{number + 1}", address, root / f"vps{number + 1}", root / "code")
            made.vpses.append(vps)
            _cable(vps, bridge)
            for name in (*OWN_DIRS, *(f".{name}" for name in OWN_DIRS), "tmp"):
                (vps.disk / name).mkdir(parents=True)
            (vps.disk / "tmp").chmod(0o1777)
            (vps.disk / "root").chmod(0o700)
        yield made
    finally:
        _tear_down(made)


def clean_up_after_the_dead() -> None:
    """Remove what rigs left whose process was killed: only what their own record names."""
    for record in PLACE.glob(f"balto-cluster-*/{OWNER}"):
        owner = json.loads(record.read_text())
        if _since(owner["pid"]) == owner["since"]:
            continue
        names = [f"{owner['bridge']}v{number + 1}" for number in range(VPSES_MAX)]
        vpses = [Vps(name, "", record.parent / name, record.parent / "code") for name in names]
        _tear_down(Rig(record.parent, owner["bridge"], vpses))


def _since(pid: int) -> float | None:
    """When the process of this number began; None where there is none."""
    with contextlib.suppress(psutil.Error):
        return float(psutil.Process(pid).create_time())
    return None


def _copy_code(target: Path) -> None:
    """What the VPSes run: this checkout as it is now, whatever becomes of it meanwhile. Raises RigFailed."""
    left_out = [f"--exclude=/{name}" for name in (".venv/*", ".git", "reports", ".mypy_cache", ".ruff_cache", ".env")]
    run("rsync", "-a", *left_out, "--exclude=__pycache__", f"{ROOT}/", f"{target}/")
    run(sys.executable, "-c", "import serve_app.build", cwd=str(target), timeout_s=120)


def _cable(vps: Vps, bridge: str) -> None:
    run("ip", "netns", "add", vps.name)
    run("ip", "link", "add", vps.link, "type", "veth", "peer", "name", "eth0", "netns", vps.name)
    run("ip", "link", "set", vps.link, "master", bridge)
    run("ip", "link", "set", vps.link, "up")
    inside = ("ip", "-n", vps.name)
    run(*inside, "addr", "add", f"{vps.address}/{NETWORK.prefixlen}", "dev", "eth0")
    for link in ("lo", "eth0"):
        run(*inside, "link", "set", link, "up")
    run(*inside, "route", "add", "default", "via", GATEWAY)


def _tear_down(made: Rig) -> None:
    """Every step by itself: one that fails keeps none of the others from being done."""
    for vps in made.vpses:
        with contextlib.suppress(Exception):
            vps.power_off()
        for command in (("link", "del", vps.link), ("netns", "del", vps.name)):
            with contextlib.suppress(RigFailed):
                run("ip", *command)
    with contextlib.suppress(RigFailed):
        run("ip", "link", "del", made.bridge)
    shutil.rmtree(made.root, ignore_errors=True)
