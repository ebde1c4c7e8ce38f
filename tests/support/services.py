"""A whole Balto of a test's own: its own Ray, ports, state directory and PostgreSQL, stopped afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deployments.telemetry import embedded
from serve_app.client import ClientSettings, CounterClient, Event, source_from_file
from serve_app.local_ray import LocalRay, free_port

ROOT = Path(__file__).parents[2]
READY_TIMEOUT_S = 120.0
STOP_TIMEOUT_S = 30.0
FORGOTTEN = (
    "XAI_API_KEY",
    "OPENAI_API_KEY",
    "COMPATIBLE_API_KEY",
    "ELEVENLABS_API_KEY",
    "ASSEMBLYAI_API_KEY",
    "DATABASE_URL",
    "DB_FILE",
)


@dataclass
class RunningService:
    """`python -m serve_app.run` in a process of its own."""

    state_dir: Path
    port: int
    options: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/ws"

    @property
    def api(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def key(self) -> str:
        return (self.state_dir / "demo_key").read_text().strip()

    @property
    def ray(self) -> LocalRay:
        return LocalRay(self.state_dir)

    @property
    def output_path(self) -> Path:
        return self.state_dir.with_suffix(".out")

    def start(self) -> None:
        """Start it and wait until it is ready. Raises AssertionError with its output when it does not become so."""
        command = [sys.executable, "-m", "serve_app.run", *self.options]
        env = {name: value for name, value in os.environ.items() if name not in FORGOTTEN}
        env |= {"PORT": str(self.port), "BALTO_STATE_DIR": str(self.state_dir), **self.env}
        with self.output_path.open("w") as output:
            self.process = subprocess.Popen(command, cwd=ROOT, env=env, stdout=output, stderr=output, text=True)
        deadline = time.monotonic() + READY_TIMEOUT_S
        while "ready after" not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.2)

    @property
    def output(self) -> str:
        return self.output_path.read_text()

    def stop(self, how: signal.Signals = signal.SIGINT) -> float:
        """Send `how` and wait for its end; the seconds it took."""
        assert self.process is not None
        begun = time.monotonic()
        self.process.send_signal(how)
        self.process.wait(STOP_TIMEOUT_S)
        return time.monotonic() - begun

    def clean_up(self) -> None:
        """End what is left of it, and remove its files."""
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.stop()
            self.process.kill()
        self.ray.stop(gracefully=False)
        embedded.stop(self.state_dir / "pgdata")
        shutil.rmtree(self.state_dir, ignore_errors=True)
        self.output_path.unlink(missing_ok=True)

    def get(self, path: str) -> Any:
        """JSON from the REST surface, with the administrator's token."""
        token = (self.state_dir / "admin_secret").read_text()
        request = urllib.request.Request(self.api + path, headers={"Authorization": f"Bearer {token}"})
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.load(answer)

    def rows(self, session_id: str, at_least: int = 0, within_s: float = 20.0) -> list[dict[str, Any]]:
        """The interactions of a session, oldest first, once there are `at_least` of them or the time is over."""
        deadline = time.monotonic() + within_s
        while True:
            rows: list[dict[str, Any]] = self.get(f"/api/data/interacoes?limite=1000&sessao={session_id}")["interacoes"]
            if len(rows) >= at_least or time.monotonic() > deadline:
                return rows[::-1]
            time.sleep(0.2)

    async def stream(self, path: Path, **settings: Any) -> tuple[CounterClient, list[Event]]:
        """Stream a file as a counter; the client afterwards and every event."""
        events: list[Event] = []
        client = CounterClient(ClientSettings(url=self.url, **settings), self.key)
        await asyncio.wait_for(client.run(source_from_file(path), events.append), 150)
        return client, events


@contextlib.contextmanager
def running_service(*options: str, **env: str) -> Iterator[RunningService]:
    """A service that is ready; all of it is gone afterwards."""
    root = Path(tempfile.mkdtemp(prefix="balto-test-", dir="/tmp"))
    root.chmod(0o755)  # as root, PostgreSQL runs as a user of its own and must be able to pass through
    service = RunningService(root / "state", free_port(), options, env)
    service.state_dir.mkdir()
    try:
        service.start()
        yield service
    finally:
        service.clean_up()
        shutil.rmtree(root, ignore_errors=True)
