"""`make run` and `make demo`: the whole service on this machine with one command, and nothing left behind."""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import secrets
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import yaml
from pydantic import ValidationError
from pydantic_settings import SettingsError

from deployments.speech_to_text import providers
from deployments.telemetry import embedded
from deployments.telemetry.errors import EmbeddedFailed
from serve_app.local_ray import LocalRay, RayFailed, is_free, wait_until, write_secret
from serve_app.settings import ROOT, BaltoSettings, Environment, with_environment

READY_TIMEOUT_S: Final = 90
WATCH_EVERY_S: Final = 2.0
FREE_DISK_MIN_MB: Final = 300
DEMO_CLIENT: Final = {"email": "demo@balto.local", "razao_social": "Farmácia de demonstração", "telefone": "-"}


class CannotRun(Exception):
    """Said in one line: what is wrong and what to do."""


def main() -> int:
    """Start the service and wait for Ctrl-C; with --demo, stream the bundled conversation and stop."""
    parser = argparse.ArgumentParser(prog="python -m serve_app.run", description=main.__doc__)
    parser.add_argument("--config", type=Path, default=ROOT / "serve_config.yaml")
    parser.add_argument("--lean", action="store_true", help="one ingress, no dashboard: for a small VPS")
    parser.add_argument("--demo", action="store_true", help="stream the bundled conversation, print what happens, stop")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return Service(options.config, lean=options.lean).run(demo=options.demo)
    except (CannotRun, RayFailed, EmbeddedFailed) as exc:
        print(f"balto: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


class Service:
    """The service of one state directory on this machine."""

    def __init__(self, config_path: Path, *, lean: bool) -> None:
        self.environment, self.settings, self.config = load(config_path, lean=lean)
        self.state_dir = self.environment.state_dir
        self.ray = LocalRay(self.state_dir, lean, self.environment.metrics_port)
        self.url = f"http://127.0.0.1:{self.environment.port}"

    def run(self, *, demo: bool) -> int:
        """Serve until interrupted, or for as long as the demonstration takes; the exit code."""
        self._make_state_dir()
        if demo and self._answers():
            print(f"balto: the service is already at {self.url}")
            self._make_demo_key()
            return self._demonstrate()
        with self._only_one(), self._serving():
            if demo:
                return self._demonstrate()
            self._describe()
            while self.ray.alive():
                self._keep_database()
                time.sleep(WATCH_EVERY_S)
            raise CannotRun(f"Ray has ended by itself; see {self.ray.log_path} and {self.ray.temp_dir}")

    @contextlib.contextmanager
    def started(self) -> Iterator[None]:
        """The service, ready, for as long as the context lasts. Raises CannotRun, RayFailed, EmbeddedFailed."""
        self._make_state_dir()
        with self._only_one(), self._serving():
            yield

    def redeploy(self, config: dict[str, Any]) -> None:
        """Deploy `config` over what runs; returns when it is handed over. Raises RayFailed."""
        path = self.state_dir / "serve_config.redeployed.yaml"
        path.write_text(yaml.safe_dump(config, sort_keys=False))
        self.ray.redeploy(path)

    def interactions(self, session_id: str) -> list[dict[str, Any]]:
        """What was recorded of a session, newest first, at most 1,000 rows. Raises OSError."""
        page = self._call("GET", f"/api/data/interacoes?limite=1000&sessao={session_id}")
        rows: list[dict[str, Any]] = page["interacoes"]
        return rows

    def health(self) -> dict[str, Any]:
        """The state of every part. Raises OSError."""
        state: dict[str, Any] = self._call("GET", "/saude")
        return state

    def _make_state_dir(self) -> None:
        try:
            self.state_dir.mkdir(parents=True, exist_ok=True)
            probe = self.state_dir / ".probe"
            probe.write_bytes(b"balto")
            probe.unlink()
            free_mb = shutil.disk_usage(self.state_dir).free / 1e6
        except OSError as exc:
            raise CannotRun(f"{self.state_dir} cannot be written ({exc.strerror}); set BALTO_STATE_DIR") from None
        if free_mb < FREE_DISK_MIN_MB:
            raise CannotRun(f"{free_mb:.0f} MB are free at {self.state_dir}; {FREE_DISK_MIN_MB} MB are needed")

    @contextlib.contextmanager
    def _only_one(self) -> Iterator[None]:
        """One service a state directory. The lock goes with the process, however it ends; leftovers are ended here."""
        with (self.state_dir / "lock").open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise CannotRun(
                    f"a service of {self.state_dir} is running already; end it, or set BALTO_STATE_DIR"
                ) from None
            self.ray.stop(gracefully=False)
            if not is_free(self.environment.port):
                raise CannotRun(f"port {self.environment.port} is taken; set PORT to another one")
            metrics_port = self.environment.metrics_port
            if metrics_port is not None and not is_free(metrics_port):
                raise CannotRun(f"port {metrics_port} is taken; set METRICS_PORT to another one")
            yield

    @contextlib.contextmanager
    def _serving(self) -> Iterator[None]:
        begun = time.monotonic()
        try:
            print("balto: starting", flush=True)
            env = {"ADMIN_SECRET": self._admin_secret(), "BALTO_STATE_DIR": str(self.state_dir)}
            if self._owns_database:
                env["DATABASE_URL"] = embedded.start(self.settings.telemetry.embedded_dir)
            effective = self.state_dir / "serve_config.effective.yaml"
            effective.write_text(yaml.safe_dump(self.config, sort_keys=False))
            self.ray.start(effective, env)
            if not wait_until(lambda: self._answers() or self.ray.refusal(), READY_TIMEOUT_S) or self.ray.refusal():
                why = self.ray.refusal() or f"no answer within {READY_TIMEOUT_S} s"
                raise CannotRun(f"the application did not start: {why} (logs: {self._keep_logs()})")
            self._make_demo_key()
            self._offer_setup()
            print(f"balto: ready after {time.monotonic() - begun:.0f} s", flush=True)
            yield
        finally:
            for more in (signal.SIGINT, signal.SIGTERM):  # a second Ctrl-C must not leave half of it behind
                signal.signal(more, signal.SIG_IGN)
            print("balto: stopping", flush=True)
            self.ray.stop()
            if self._owns_database:
                embedded.stop(self.settings.telemetry.embedded_dir)

    def _keep_logs(self) -> Path:
        """Copy Serve's logs to the state directory, since Ray's own files go when it is stopped."""
        target = self.state_dir / "logs-of-failed-start"
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.ray.temp_dir / "session_latest/logs/serve", target, dirs_exist_ok=True)
        return target

    @property
    def _owns_database(self) -> bool:
        telemetry = self.settings.telemetry
        return telemetry.store == "postgres" and telemetry.database_url is None

    def _keep_database(self) -> None:
        """Bring the embedded PostgreSQL back when it has died; one that runs is left alone."""
        if not self._owns_database:
            return
        try:
            embedded.start(self.settings.telemetry.embedded_dir)
        except EmbeddedFailed as exc:  # the outbox keeps the rows; the next look tries again
            print(f"balto: {exc}", file=sys.stderr, flush=True)

    def _answers(self) -> bool:
        """True when every part of the service is there, and it is ours: only ours shows details to our secret."""
        try:
            health = self._call("GET", "/saude", timeout_s=3.0)
            return bool(health["estado"] == "ok" and "porta" in health)
        except (OSError, ValueError, KeyError):
            return False

    def _admin_secret(self) -> str:
        """ADMIN_SECRET, or one of our own, kept in the state directory."""
        if self.environment.admin_secret is not None:
            return self.environment.admin_secret.get_secret_value()
        path = self._admin_path
        if not path.exists():
            write_secret(path, secrets.token_urlsafe(32))
        return path.read_text()

    @property
    def _admin_path(self) -> Path:
        return self.state_dir / "admin_secret"

    @property
    def key_path(self) -> Path:
        """The demo counter's key."""
        return self.state_dir / "demo_key"

    def _make_demo_key(self) -> None:
        """Register the demo client and counter, unless the key from an earlier start still opens the door."""
        if self.key_path.exists() and self._key_works(self.key_path.read_text().strip()):
            return
        suffix = secrets.token_hex(3)
        client = self._call("POST", "/cadastro/cliente", {**DEMO_CLIENT, "email": f"demo-{suffix}@balto.local"})
        counter = self._call(
            "POST", "/cadastro/balcao", {"nome_balcao": "Balcão de demonstração", "user_codigo": client["codigo"]}
        )
        write_secret(self.key_path, counter["api_key"])

    def _key_works(self, key: str) -> bool:
        from websockets.exceptions import WebSocketException
        from websockets.sync.client import connect

        try:
            with connect(f"ws://127.0.0.1:{self.environment.port}/ws", open_timeout=5, compression=None) as socket:
                socket.send(json.dumps({"comando": "auth", "versao": 4, "api_key": key}))
                return bool(json.loads(socket.recv(timeout=5)).get("comando") == "sessao")
        except (OSError, WebSocketException, ValueError, TimeoutError):
            return False

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None, timeout_s: float = 20.0) -> Any:
        """A request to our own REST surface, with the administrator's token. Raises OSError, ValueError."""
        request = urllib.request.Request(  # noqa: S310 - always http to this machine
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._admin_secret()}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as exc:
            raise OSError(f"{path} answered {exc.code}") from None

    def _offer_setup(self) -> None:
        """While the administrator has no password: print a one-time secret with which it is set."""
        if self._call("GET", "/api/eu").get("senha_definida") is not False:
            return
        made = self._call("POST", "/admin/segredo", {})
        print(
            f"""balto: no administrator yet; this secret sets the password, once, within {made["vale_h"]:g} h:
    curl {self.url}/admin/senha -H 'Content-Type: application/json' \\
      -d '{{"segredo": "{made["segredo"]}", "senha": "a sentence of your own"}}'""",
            flush=True,
        )

    def _demonstrate(self) -> int:
        """Run the demo in a process of its own; its exit code."""
        command = [sys.executable, "-m", "serve_app.demo", "--url", f"ws://127.0.0.1:{self.environment.port}/ws"]
        command += ["--key-file", str(self.key_path), "--api", self.url, "--token-file", str(self._token_file())]
        return subprocess.run(command, cwd=ROOT, check=False).returncode  # noqa: S603

    def _token_file(self) -> Path:
        if self.environment.admin_secret is not None:
            write_secret(self._admin_path, self._admin_secret())
        return self._admin_path

    def _page_link(self) -> str:
        return page_link(self.url, self.key_path.read_text().strip(), watched=sys.stdout.isatty())

    def _describe(self) -> None:
        port = self.environment.port
        dashboard = (
            ""
            if self.ray.lean
            else (f"\n  Ray dashboard  http://127.0.0.1:{self.ray.dashboard_port}   (token: {self.ray.token_path})")
        )
        print(
            f"""
  WebSocket      ws://127.0.0.1:{port}/ws
  demo key       {self.key_path}   (a counter: python -m serve_app.client FILE.wav --key-file …)
  counter's page {self._page_link()}
  pages          {self.url}/saude   {self.url}/docs{dashboard}
  admin secret   {"ADMIN_SECRET" if self.environment.admin_secret is not None else self._admin_path}
  state          {self.state_dir}

  Ctrl-C stops all of it.""",
            flush=True,
        )


def page_link(url: str, key: str, *, watched: bool) -> str:
    """The counter's page; with the demo counter's key only where `watched`: on a terminal, never in a log or a file.

    The key stands in the fragment, which browsers do not send; the page takes it, on this machine only, and removes it.
    """
    return f"{url}/#chave={quote(key)}" if watched else f"{url}/"


def load(config_path: Path, *, lean: bool) -> tuple[Environment, BaltoSettings, dict[str, Any]]:
    """Environment, settings, and the configuration to hand to Serve. Raises CannotRun naming the bad key."""
    try:
        environment = Environment()
        config = yaml.safe_load(config_path.read_text())
        application = config["applications"][0]
        settings = with_environment(BaltoSettings.model_validate(application.get("args") or {}), environment)
        providers.resolve(settings.speech_to_text)
        settings.recommender.language_models()
    except ValidationError as exc:
        first = exc.errors(include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise CannotRun(f"setting {where}: {first['msg']} ({config_path.name} or the environment)") from None
    except (OSError, yaml.YAMLError, SettingsError, ValueError, KeyError, IndexError, TypeError) as exc:
        raise CannotRun(f"{config_path}: {' '.join(str(exc).split())}") from None
    config["http_options"] = {**config.get("http_options", {}), "port": environment.port}
    if lean:
        for deployment in application["deployments"]:
            if deployment["name"] == "CounterIngress":
                deployment["num_replicas"] = 1
    return environment, settings, config


if __name__ == "__main__":
    sys.exit(main())
