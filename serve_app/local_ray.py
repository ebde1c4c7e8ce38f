"""A Ray of our own on this machine: started with the fast ingress flags, stopped without touching any other Ray."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final

import psutil

from serve_app.flags import DRAINING, DRAINING_S, NODE_FLAGS

MARK: Final = "BALTO_RAY_OF"
"""Every process of our Ray is started with this variable, whose value is the state directory."""
START_TIMEOUT_S: Final = 60
DEPLOY_TIMEOUT_S: Final = 90
GRACEFUL_STOP_S: Final = 8.0
"""Beyond the draining."""
_DRAIN_S: Final = "1"
"""Of a laptop, where Ctrl-C must not take long; an installation's environment says more (serve_app.flags.DRAINING)."""
DASHBOARD_PORT: Final = 8265
_PORTS_EACH: Final = 64
_PORT_WINDOWS: Final[range] = range(20_000, 32_000, _PORTS_EACH)
"""Below 32768, where Linux begins to hand out ports by itself."""
_REFUSED: Final = "failed with exception"
_ENTRY: Final = re.compile(r"(DEBUG|INFO|WARNING|ERROR) \d{4}-")
_SHUTDOWN: Final = """
import sys
import ray
from ray import serve
ray.init(sys.argv[1], log_to_driver=False)
serve.shutdown()
"""


class RayFailed(Exception):
    """Ray or the application could not be started; the text says why and where its log lies."""


@dataclass(frozen=True)
class LocalRay:
    """A head node on 127.0.0.1. `state_dir` names it: two with different state directories run side by side."""

    state_dir: Path
    lean: bool = False
    """No dashboard, monitor or log monitor: less memory, but `serve status` and `serve deploy` do not work."""
    metrics_port: int | None = None
    """Where Prometheus finds this node's figures (`/metrics`); None: a port that Ray chooses at each start."""

    @property
    def temp_dir(self) -> Path:
        """Ray's sockets and logs. Short: HAProxy allows a socket's path 97 bytes, 70 of which Serve takes."""
        name = hashlib.sha256(str(self.state_dir).encode()).hexdigest()[:8]
        return Path(f"/tmp/balto-{name}")  # noqa: S108 - made with mode 0700, owner checked

    @property
    def log_path(self) -> Path:
        """What starting and deploying printed."""
        return self.state_dir / "service.log"

    @property
    def token_path(self) -> Path:
        """The token that Ray's dashboard and tools ask for."""
        return self.state_dir / "ray_token"

    def start(self, config_path: Path, settings_env: dict[str, str]) -> None:
        """Start Ray, then the application of `config_path`; returns when it is handed over, not when it answers.

        `settings_env` reaches every replica. Raises RayFailed.
        """
        self._make_temp_dir()
        _make_token(self.token_path)
        env = self._environment(settings_env)
        address = f"127.0.0.1:{free_port()}"
        (self.state_dir / "ray_address").write_text(address)
        with self.log_path.open("w") as log:
            self._run(self._start_command(address), env, log, START_TIMEOUT_S, "Ray did not start", first=True)
            deploy = [_script("serve"), "run", "--address", address, "--non-blocking", str(config_path)]
            self._run(deploy, env, log, DEPLOY_TIMEOUT_S, "the application was refused")

    def redeploy(self, config_path: Path) -> None:
        """Deploy the application of `config_path` over the one that runs. Raises RayFailed."""
        address = self._address()
        if address is None:
            raise RayFailed("nothing runs that could be deployed over")
        with self.log_path.open("a") as log:
            deploy = [_script("serve"), "run", "--address", address, "--non-blocking", str(config_path)]
            self._run(deploy, self._environment({}), log, DEPLOY_TIMEOUT_S, "the application was refused")

    def stop(self, *, gracefully: bool = True) -> None:
        """Let the application finish what it is doing, then end every process of ours, and only ours."""
        if gracefully and (address := self._address()):
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(
                    [sys.executable, "-c", _SHUTDOWN, address],
                    env=self._environment({}),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    stdin=subprocess.DEVNULL,
                    start_new_session=True,
                    timeout=GRACEFUL_STOP_S + float(_draining_s()),
                    check=False,
                )
        end_processes(self.processes())
        for path in (self.state_dir / "ray_address", self._session_path):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.temp_dir, ignore_errors=True)

    def refusal(self) -> str | None:
        """Why Serve could not build or deploy the application, in one line, or None: its controller's log says."""
        for path in (self.temp_dir / "session_latest/logs/serve").glob("controller_*.log"):
            lines = path.read_text(errors="replace").splitlines()
            failed = [number for number, line in enumerate(lines) if _REFUSED in line]
            if failed:
                entry = itertools.takewhile(lambda line: not _ENTRY.match(line), lines[failed[-1] + 1 :])
                return next((line for line in reversed(list(entry)) if line.strip()), _REFUSED)
        return None

    def alive(self) -> bool:
        """True while the head's control process runs."""
        return any(_name(process) == "gcs_server" for process in self.processes())

    def processes(self) -> list[psutil.Process]:
        """Every process of this Ray: those that carry our mark, and those of the session that `ray start` opened.

        Ray's agents overwrite their environment with a title, so the mark alone would miss them.
        """
        session = self._session()
        return [process for process in psutil.process_iter() if self._is_ours(process, session)]

    def _is_ours(self, process: psutil.Process, session: int | None) -> bool:
        if process.pid == os.getpid():
            return False
        try:
            marked = process.environ().get(MARK) == str(self.state_dir)
            return marked or (os.getsid(process.pid) == session and "ray" in " ".join(process.cmdline()))
        except (psutil.Error, OSError):  # ended meanwhile, or somebody else's
            return False

    def _session(self) -> int | None:
        """Session id of our latest `ray start`, if that was since this machine booted."""
        try:
            boot, session = self._session_path.read_text().split()
        except (OSError, ValueError):
            return None
        return int(session) if boot == _boot_id() else None

    @property
    def _session_path(self) -> Path:
        return self.state_dir / "ray_session"

    def _address(self) -> str | None:
        path = self.state_dir / "ray_address"
        return path.read_text() if path.exists() and self.alive() else None

    def _make_temp_dir(self) -> None:
        self.temp_dir.mkdir(mode=0o700, exist_ok=True)
        if self.temp_dir.stat().st_uid != os.geteuid():
            raise RayFailed(f"{self.temp_dir} belongs to somebody else; remove it")

    def _start_command(self, address: str) -> list[str]:
        dashboard = ["--include-dashboard", str(not self.lean), "--dashboard-port", str(self.dashboard_port)]
        less = ["--no-monitor", "--include-log-monitor", "False"] if self.lean else []
        metrics = ["--metrics-export-port", str(self.metrics_port)] if self.metrics_port is not None else []
        return [
            *(_script("ray"), "start", "--head", "--disable-usage-stats"),
            *("--node-ip-address", "127.0.0.1", "--port", address.rpartition(":")[2]),
            *("--ray-client-server-port", str(free_port())),  # it cannot be left out
            *("--temp-dir", str(self.temp_dir), "--object-store-memory", str(80 << 20)),
            *dashboard,
            *less,
            *metrics,
        ]

    @property
    def dashboard_port(self) -> int:
        """Ray's usual port, kept in a file once chosen; another one where that is taken."""
        path = self.state_dir / "dashboard_port"
        if not self.alive():
            path.write_text(str(DASHBOARD_PORT if is_free(DASHBOARD_PORT) else free_port()))
        return int(path.read_text())

    def _environment(self, settings_env: dict[str, str]) -> dict[str, str]:
        run_dir = self.temp_dir / "h"
        return {
            **os.environ,
            **NODE_FLAGS,
            DRAINING: _draining_s(),
            "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(run_dir / "haproxy.cfg"),
            "RAY_SERVE_HAPROXY_SOCKET_PATH": str(run_dir / "admin.sock"),
            "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(run_dir),
            "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(run_dir / "server-state"),
            **_ports_of_serve(self._first_port()),
            "RAY_AUTH_TOKEN_PATH": str(self.token_path),
            **settings_env,
            MARK: str(self.state_dir),
        }

    def _first_port(self) -> int:
        """The first of `_PORTS_EACH` ports for Serve's listeners, none of them in use."""
        wanted = int(hashlib.sha256(str(self.state_dir).encode()).hexdigest(), 16) % len(_PORT_WINDOWS)
        for first in [*_PORT_WINDOWS[wanted:], *_PORT_WINDOWS[:wanted]]:
            if all(is_free(port) for port in range(first, first + _PORTS_EACH)):
                return int(first)
        raise RayFailed(f"no {_PORTS_EACH} neighbouring ports are free from {_PORT_WINDOWS[0]} on")

    def _run(
        self,
        command: list[str],
        env: dict[str, str],
        log: IO[str],
        timeout_s: float,
        failed: str,
        *,
        first: bool = False,
    ) -> None:
        """Run to its end; what the `first` command leaves running is known by the session that it opens."""
        running = subprocess.Popen(
            command,
            env=env,
            cwd=Path(__file__).resolve().parents[1],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is ours to handle
        )
        if first:
            self._session_path.write_text(f"{_boot_id()} {running.pid}")
        try:
            code = running.wait(timeout_s)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
            raise RayFailed(f"{failed} within {timeout_s:.0f} s; see {self.log_path}") from None
        if code != 0:
            lines = [line for line in self.log_path.read_text(errors="replace").splitlines() if line.strip()]
            raise RayFailed(f"{failed}: {lines[-1] if lines else 'it said nothing'} (more in {self.log_path})")


def _ports_of_serve(first: int) -> dict[str, str]:
    """Every port that Serve would otherwise take by number, from `first` on.

    Replicas and the proxy that HAProxy falls back to listen with SO_REUSEPORT: those of two services on one machine
    would share a port without a word, and answer each other's requests.
    """
    return {
        name: str(first + offset)
        for name, offset in {
            "RAY_SERVE_DIRECT_INGRESS_MIN_HTTP_PORT": 0,
            "RAY_SERVE_DIRECT_INGRESS_MAX_HTTP_PORT": 29,
            "RAY_SERVE_DIRECT_INGRESS_MIN_GRPC_PORT": 30,
            "RAY_SERVE_DIRECT_INGRESS_MAX_GRPC_PORT": 59,
            "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": 60,
            "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": 61,
            "RAY_SERVE_HAPROXY_STATS_PORT": 62,
            "RAY_SERVE_HAPROXY_METRICS_PORT": 63,
        }.items()
    }


def drain_as_installed() -> None:
    """Give counters the time to leave that an installation gives, in every Ray that this process starts from now on."""
    os.environ.setdefault(DRAINING, DRAINING_S)


def _draining_s() -> str:
    return os.environ.get(DRAINING, _DRAIN_S)


def end_processes(processes: list[psutil.Process], patience_s: float = 2.0) -> None:
    """Ask `processes` to end, then end them; only these."""
    for send in (signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            with contextlib.suppress(psutil.Error):
                process.send_signal(send)
        _, processes = psutil.wait_procs(processes, timeout=patience_s)


def is_free(port: int, host: str = "") -> bool:
    """True when nobody listens on `port` of `host` (all interfaces by default)."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(happened: Callable[[], object], timeout_s: float, every_s: float = 0.2) -> bool:
    """Call `happened` until it returns something true, at most `timeout_s` seconds; whether it did."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if happened():
            return True
        time.sleep(every_s)
    return False


def _boot_id() -> str:
    """Changes with every boot; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _make_token(path: Path) -> None:
    if not path.exists():
        write_secret(path, secrets.token_hex(32))


def write_secret(path: Path, text: str) -> None:
    """Write `text` to `path`, readable by its owner only from the first byte on."""
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)


def _script(name: str) -> str:
    """The command `name` of the environment that we run in."""
    return str(Path(sys.executable).parent / name)


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return ""
