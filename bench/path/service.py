"""A service of the bench's own: own state directory, database, port and configuration, and no trace of it after."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
import yaml

from deployments.telemetry import embedded
from deployments.telemetry.embedded_place import locate
from serve_app.local_ray import MARK, LocalRay, end_processes, is_free, wait_until
from serve_app.settings import ROOT, Environment

READY_TIMEOUT_S: Final = 200.0
STOP_TIMEOUT_S: Final = 30.0
READY_LINE: Final = "balto: ready"
SIMULATED_KEY: Final = "sk-simulated"
SIMULATED_STORAGE_KEY: Final = "A" * 43 + "="
"""32 bytes of zero: the outbox is sealed as a careful installation has it."""
LOG_LINES: Final = 15


class BenchFailed(Exception):
    """Nothing could be measured; the text says why."""


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """What to start. `changes` are `args` of serve_config.yaml by dotted name (`voice.denoise`)."""

    changes: Mapping[str, Any]
    lean: bool = False
    config_path: Path = ROOT / "serve_config.yaml"
    launcher: Sequence[str] = (sys.executable, "-m", "serve_app.run")


@dataclass(frozen=True, slots=True)
class OwnService:
    """A service that answers. `state_dir` names it; `launcher` is the process that `make run` would be."""

    state_dir: Path
    port: int
    admin_secret: str
    launcher: psutil.Process

    @property
    def url(self) -> str:
        """Where its REST surface answers."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def socket_url(self) -> str:
        """Where counters connect."""
        return f"ws://127.0.0.1:{self.port}/ws"

    def processes(self) -> list[psutil.Process]:
        """All of it: Ray's, the launcher, PostgreSQL's."""
        return [self.launcher, *_postgres(self.state_dir), *_with_children(LocalRay(self.state_dir).processes())]

    def http(self) -> httpx.Client:
        """A client of the REST surface with the administrator's token."""
        return httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {self.admin_secret}"}, timeout=20.0, trust_env=False
        )

    def register_counters(self, count: int) -> dict[str, str]:
        """Register `count` counters of one client; counter id → key. Raises BenchFailed."""
        counters = {}
        with self.http() as http:
            client = {"email": f"bench-{secrets.token_hex(4)}@balto.local", "razao_social": "Bench", "telefone": "-"}
            code = _answer(http.post("/cadastro/cliente", json=client))["codigo"]
            for number in range(count):
                counter = {"nome_balcao": f"Balcão {number + 1}", "user_codigo": code}
                answer = _answer(http.post("/cadastro/balcao", json=counter))
                counters[answer["balcao_id"]] = answer["api_key"]
        return counters

    def rows(self, counter_id: str) -> list[dict[str, Any]]:
        """Everything recorded of one counter, newest first (1,000 rows at most). Raises BenchFailed."""
        with self.http() as http:
            answer = _answer(http.get("/api/data/interacoes", params={"balcao": counter_id, "limite": 1000}))
        rows: list[dict[str, Any]] = answer["interacoes"]
        return rows


@contextlib.contextmanager
def own_service(plan: ServicePlan, say: Callable[[str], None] = lambda _: None) -> Iterator[OwnService]:
    """Start the service of `plan`, and stop all of it afterwards, however the block ends. Raises BenchFailed."""
    state_dir = Path(tempfile.mkdtemp(prefix="balto-bench-"))
    state_dir.chmod(0o711)  # as root, PostgreSQL runs as another user, who must be able to pass through
    try:
        with _database(state_dir) as database_url, _launched(plan, state_dir, database_url, say) as service:
            yield service
    finally:
        shutil.rmtree(state_dir, ignore_errors=True)


def environment(state_dir: Path, port: int, admin_secret: str, database_url: str) -> dict[str, str]:
    """The service's environment: this process's without any setting of Balto's, and each that .env could set, set.

    A name that is set in the environment is not looked up in .env, so an installation's own keys and database stay out.
    """
    ours = {name.upper() for name in Environment.model_fields}
    inherited = {name: value for name, value in os.environ.items() if name.upper() not in ours and name != MARK}
    return {
        **inherited,
        "PORT": str(port),
        "BALTO_STATE_DIR": str(state_dir),
        "ADMIN_SECRET": admin_secret,
        "DATABASE_URL": database_url,  # POSTGRES_* are not looked at beside it, nor DB_FILE
        "ELEVENLABS_API_KEY": SIMULATED_KEY,
        "ASSEMBLYAI_API_KEY": SIMULATED_KEY,
        "OPENAI_API_KEY": SIMULATED_KEY,
        "XAI_API_KEY": SIMULATED_KEY,
        "COMPATIBLE_API_KEY": SIMULATED_KEY,
        "BALTO_STORAGE_KEY": SIMULATED_STORAGE_KEY,
        "METRICS_PORT": str(steady_port()),
        "FORWARDED_HOPS": "0",
        "VAD_ENERGY_THRESHOLD": "0",  # counts as unset
        "VAD_THRESHOLD_MULTIPLIER": "1.5849",  # the default margin of 4 dB
    }


def steady_port() -> int:
    """A free port that stays free: below those that the system gives to outgoing connections (from 32768 on)."""
    return next(port for port in iter(lambda: 20_000 + secrets.randbelow(12_000), None) if is_free(port))


def configuration(plan: ServicePlan) -> dict[str, Any]:
    """The plan's configuration with its changes made."""
    config: dict[str, Any] = yaml.safe_load(plan.config_path.read_text())
    for name, value in plan.changes.items():
        *rooms, last = name.split(".")
        room = config["applications"][0].setdefault("args", {})
        for part in rooms:
            room = room.setdefault(part, {})
        room[last] = value
    return config


@contextlib.contextmanager
def _database(state_dir: Path) -> Iterator[str]:
    data_dir = state_dir / "pgdata"
    try:
        yield embedded.start(data_dir)
    finally:
        with uninterrupted():
            embedded.stop(data_dir)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C and SIGTERM meanwhile: a second one must not leave half of what was started behind."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _launched(
    plan: ServicePlan, state_dir: Path, database_url: str, say: Callable[[str], None]
) -> Iterator[OwnService]:
    port, secret, log_path = steady_port(), secrets.token_urlsafe(32), state_dir / "launcher.log"
    config_path = state_dir / "serve_config.yaml"
    config_path.write_text(yaml.safe_dump(configuration(plan), sort_keys=False))
    command = [*plan.launcher, "--config", str(config_path), *(["--lean"] if plan.lean else [])]
    say("starting a service of its own")
    begun = time.monotonic()
    with log_path.open("wb") as log:
        launcher = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(state_dir, port, secret, database_url),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is ours to handle
        )
    try:
        _wait_until_ready(launcher, log_path)
        say(f"ready after {time.monotonic() - begun:.0f} s")
        yield OwnService(state_dir, port, secret, psutil.Process(launcher.pid))
    finally:
        say("stopping")
        with uninterrupted():
            _stop(launcher, LocalRay(state_dir, plan.lean))


def _wait_until_ready(launcher: subprocess.Popen[bytes], log_path: Path) -> None:
    wait_until(lambda: launcher.poll() is not None or READY_LINE in log_path.read_text(), READY_TIMEOUT_S)
    if launcher.poll() is not None or READY_LINE not in log_path.read_text():
        logs = (log_path, log_path.with_name("service.log"))
        last = [line for log in logs if log.exists() for line in log.read_text().splitlines()[-LOG_LINES:]]
        raise BenchFailed("\n".join(["the service did not start:", *last]))


def _stop(launcher: subprocess.Popen[bytes], ray: LocalRay) -> None:
    """Let the launcher stop its service; what it leaves behind is ended here."""
    launcher.send_signal(signal.SIGINT)
    try:
        launcher.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        launcher.kill()
        launcher.wait()
    finally:
        end_processes(_with_children(ray.processes()))
        shutil.rmtree(ray.temp_dir, ignore_errors=True)


def _postgres(state_dir: Path) -> list[psutil.Process]:
    """The embedded PostgreSQL's processes."""
    try:
        pid = int((locate(state_dir / "pgdata").data / "postmaster.pid").read_text().split(maxsplit=1)[0])
        postmaster = psutil.Process(pid)
        return [postmaster, *postmaster.children(recursive=True)]
    except (OSError, psutil.Error):
        return []


def _with_children(processes: Sequence[psutil.Process]) -> list[psutil.Process]:
    """`processes` and theirs: the title that Ray's agents give themselves overwrites the mark that tells our own."""
    found = {process.pid: process for process in processes}
    for process in processes:
        with contextlib.suppress(psutil.Error):
            found |= {child.pid: child for child in process.children(recursive=True)}
    return list(found.values())


def _answer(response: httpx.Response) -> Any:
    if not response.is_success:
        raise BenchFailed(f"{response.request.url.path} answered {response.status_code}")
    return response.json()
