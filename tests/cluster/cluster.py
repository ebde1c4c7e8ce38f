"""The cluster on the rig: what an operator puts on every VPS, `ray up` on the real cluster.yaml, `node deploy`."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from bench.path.service import SIMULATED_KEY, SIMULATED_STORAGE_KEY
from serve_app.settings import ROOT
from tests.cluster.vps import Rig, RigFailed, Vps, run

PORT: Final = 8765
REDIS_PORT: Final = 6390
STT_PORT: Final = 9102
NOBODY: Final = 65534
UP_TIMEOUT_S: Final = 420.0
DEPLOY_TIMEOUT_S: Final = 330.0
READY_TIMEOUT_S: Final = 240.0
JOIN_TIMEOUT_S: Final = 300.0
ASK_EVERY_S: Final = 6.0
"""Asking the head costs it seconds of a core."""


@dataclass
class Cluster:
    """Three VPSes: the first is the head and keeps Redis, the second keeps PostgreSQL, the third only works."""

    rig: Rig
    counters: int
    admin_secret: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    database_password: str = field(default_factory=lambda: secrets.token_urlsafe(16), repr=False)
    keys: list[str] = field(default_factory=list, repr=False)

    @property
    def head(self) -> Vps:
        """The VPS of the head and of Redis."""
        return self.rig.vpses[0]

    @property
    def database(self) -> Vps:
        """The VPS of PostgreSQL."""
        return self.rig.vpses[1]

    @property
    def database_url(self) -> str:
        """Of the real PostgreSQL."""
        return f"postgresql://balto:{self.database_password}@{self.database.address}:5432/postgres"

    @property
    def urls(self) -> list[str]:
        """Where counters may connect: every VPS."""
        return [f"ws://{vps.address}:{PORT}/ws" for vps in self.rig.vpses]

    def start(self, say: Callable[[str], None]) -> None:
        """Everything, until every VPS answers. Raises RigFailed."""
        self._prepare()
        for vps in self.rig.vpses:
            vps.power_on()
        say("three VPSes are up; ray up")
        begun = time.monotonic()
        self._ray_up()
        self.wait_all_joined(JOIN_TIMEOUT_S)
        say(f"ray up and {self.nodes()} nodes after {time.monotonic() - begun:.0f} s; deploying")
        begun = time.monotonic()
        self.node("deploy", str(len(self.rig.vpses)), "/etc/balto/serve_config.yaml")
        self.wait_ready(READY_TIMEOUT_S)
        say(f"every VPS answers {time.monotonic() - begun:.0f} s after the deploy")
        self.keys = self._register()

    def node(self, *arguments: str) -> str:
        """`ops/cluster/node …` on the head."""
        return self.head.do("/opt/balto/ops/cluster/node", *arguments, timeout_s=DEPLOY_TIMEOUT_S)

    def nodes(self) -> int:
        """How many VPSes the head counts; 0 where it does not answer."""
        code = (
            "import ray; ray.init(address='auto', log_to_driver=False, logging_level='ERROR');"
            "print('alive', sum(n['Alive'] for n in ray.nodes()))"
        )
        flags = "RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=/etc/balto/ray_token"
        command = f'cd /opt/balto; {flags} .venv/bin/python -c "{code}"'
        try:
            return int(self.head.do("bash", "-c", command, timeout_s=60).rsplit("alive ", 1)[-1])
        except (RigFailed, ValueError):
            return 0

    def answers(self, vps: Vps) -> bool:
        """Whether the door of `vps` answers."""
        try:
            with urllib.request.urlopen(f"http://{vps.address}:{PORT}/saude", timeout=3) as answer:
                return bool(answer.status == 200)
        except (OSError, urllib.error.URLError):
            return False

    def wait_all_joined(self, timeout_s: float) -> None:
        """Until the head counts every VPS. Raises RigFailed."""
        count = len(self.rig.vpses)
        self.wait_until(lambda: self.nodes() == count, timeout_s, "the VPSes are not all there", ASK_EVERY_S)

    def wait_ready(self, timeout_s: float) -> None:
        """Until the door of every VPS answers. Raises RigFailed."""
        self.wait_until(lambda: all(map(self.answers, self.rig.vpses)), timeout_s, "not every VPS answers")

    def wait_until(
        self, happened: Callable[[], object], timeout_s: float, otherwise: str, every_s: float = 1.0
    ) -> None:
        """Raises RigFailed with the last lines of what the VPSes said."""
        deadline = time.monotonic() + timeout_s
        while not happened():
            if time.monotonic() > deadline:
                raise RigFailed(f"{otherwise} within {timeout_s:.0f} s\n{self.last_words()}")
            time.sleep(every_s)

    def keep_logs(self, folder: Path) -> None:
        """Copy every VPS's logs to a folder, before they go with the rig. Raises OSError."""
        for vps in self.rig.vpses:
            for name, path in (("var", vps.disk / "var/log"), ("ray", vps.disk / "tmp/ray")):
                if path.exists():
                    shutil.copytree(path, folder / vps.name / name, symlinks=True, ignore=_sockets, dirs_exist_ok=True)

    def last_words(self) -> str:
        """The end of each VPS's log of its node."""
        logs = [(vps.name, vps.disk / "var/log/balto-node.log") for vps in self.rig.vpses]
        return "\n".join(f"== {name}\n{log.read_text()[-1500:]}" for name, log in logs if log.exists())

    def _prepare(self) -> None:
        """What ops/cluster/README.md asks for, on every VPS."""
        token, operator = secrets.token_hex(32), self.rig.root / "operator"
        (operator / "tmp").mkdir(parents=True)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(operator / "key"))
        self.rig.write("/etc/balto/ray_token", token)
        self.rig.write("/etc/balto/env", self._environment())
        self.rig.write("/etc/balto/serve_config.yaml", yaml.safe_dump(self._configuration(), sort_keys=False))
        for name in ("balto-node", "balto-outbox"):
            self.rig.write(f"/etc/systemd/system/{name}.service", (ROOT / f"ops/cluster/{name}.service").read_text())
        self.rig.write("/etc/systemd/enabled-here/balto-outbox", "")
        for vps in self.rig.vpses:
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(vps.disk / "root/hostkey"))
        self.rig.write("/etc/vps/authorized_keys", (operator / "key.pub").read_text())
        self.rig.write("/etc/vps/sshd_config", _SSHD)
        self._unit("sshd", "/usr/sbin/sshd -D -e -f /etc/vps/sshd_config")
        python = f"{ROOT}/.venv/bin/python" if (ROOT / ".venv/bin/python").exists() else "python3"
        self._unit(
            "stt",
            f"{python} -m bench.simulated.elevenlabs --port {STT_PORT} --api-key {SIMULATED_KEY} --latency-ms 200",
        )
        redis = f"redis-server --bind 127.0.0.1 --port {REDIS_PORT} --appendonly yes --dir /var/lib/redis-vps --save ''"
        (self.head.disk / "var/lib/redis-vps").mkdir(parents=True)
        self._unit("redis", redis, self.head)
        self._prepare_postgres()

    def _prepare_postgres(self) -> None:
        binaries = next(iter(sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)), None)
        if binaries is None:
            raise RigFailed("missing: apt-get install postgresql")
        data = self.database.disk / "var/lib/pg-vps"
        data.mkdir(parents=True)
        os.chown(data, NOBODY, NOBODY)
        data.chmod(0o700)
        password = self.rig.root / "password"
        password.write_text(self.database_password)
        os.chown(password, NOBODY, NOBODY)
        as_nobody = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
        run(
            *as_nobody,
            str(binaries / "initdb"),
            "-D",
            str(data),
            "-U",
            "balto",
            "-A",
            "scram-sha-256",
            "--pwfile",
            str(password),
            cwd="/",
        )
        password.unlink()
        with (data / "pg_hba.conf").open("a") as access:
            access.write("host all all 10.77.0.0/24 scram-sha-256\n")
        settings = "-c listen_addresses=* -c unix_socket_directories= -c shared_buffers=32MB -c max_connections=60"
        self._unit(
            "postgres", f"{' '.join(as_nobody)} {binaries}/postgres -D /var/lib/pg-vps {settings}", self.database
        )

    def _unit(self, name: str, command: str, only: Vps | None = None) -> None:
        where = [only] if only else self.rig.vpses
        text = f"[Service]\nExecStart={command}\nWorkingDirectory=/opt/balto\nRestart=always\nRestartSec=0.5\n"
        self.rig.write(f"/etc/systemd/system/{name}.service", text, only=where)
        self.rig.write(f"/etc/systemd/enabled-here/{name}", "", only=where)

    def _environment(self) -> str:
        values = {
            "PORT": str(PORT),
            "DATABASE_URL": self.database_url,
            "ADMIN_SECRET": self.admin_secret,
            "RAY_REDIS_ADDRESS": f"127.0.0.1:{REDIS_PORT}",
            "ELEVENLABS_API_KEY": SIMULATED_KEY,
            "ASSEMBLYAI_API_KEY": "",
            "OPENAI_API_KEY": "",
            "XAI_API_KEY": "",
            "BALTO_STORAGE_KEY": SIMULATED_STORAGE_KEY,
        }
        return "".join(f"{name}={value}\n" for name, value in values.items())

    def _configuration(self) -> dict[str, Any]:
        config: dict[str, Any] = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
        rooms = config["applications"][0]["args"]
        rooms["speech_to_text"]["provider"] = "elevenlabs"
        rooms["speech_to_text"]["elevenlabs"]["base_url"] = f"http://127.0.0.1:{STT_PORT}"
        rooms["recommender"]["policy"] = "regras"
        return config

    def _ray_up(self) -> None:
        """The real cluster.yaml, with the rig's addresses, user and key in it, from a place of the operator's own."""
        operator = self.rig.root / "operator"
        config = yaml.safe_load((ROOT / "cluster.yaml").read_text())
        first, *others = [vps.address for vps in self.rig.vpses]
        config["head_start_ray_commands"] = [
            line.replace(config["provider"]["head_ip"], first) for line in config["head_start_ray_commands"]
        ]
        config["provider"] |= {"head_ip": first, "worker_ips": others}
        config["auth"] = {"ssh_user": "root", "ssh_private_key": str(operator / "key")}
        (operator / "cluster.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
        own_tmp = 'mount --make-rprivate / && mount --bind "$1/tmp" /tmp'
        script = f'{own_tmp} && exec "$2" up -y --no-config-cache "$1/cluster.yaml"'
        env = {**os.environ, "HOME": str(operator), "RAY_USAGE_STATS_ENABLED": "0"}
        ray = str(ROOT / ".venv/bin/ray")
        output = run("unshare", "-m", "bash", "-c", script, "up", str(operator), ray, timeout_s=UP_TIMEOUT_S, env=env)
        (operator / "up.log").write_text(output)

    def _register(self) -> list[str]:
        client = {"email": "rig@balto.local", "razao_social": "Rig", "telefone": "-"}
        code = self._post("/cadastro/cliente", client)["codigo"]
        names = [{"nome_balcao": f"Balcão {n + 1}", "user_codigo": code} for n in range(self.counters)]
        return [self._post("/cadastro/balcao", name)["api_key"] for name in names]

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            f"http://{self.head.address}:{PORT}{path}",
            json.dumps(body).encode(),
            {"Authorization": f"Bearer {self.admin_secret}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


def _sockets(folder: str, names: list[str]) -> list[str]:
    """What of a folder cannot be copied."""
    return [name for name in names if (Path(folder) / name).is_socket()]


_SSHD: Final = """
HostKey /root/hostkey
AuthorizedKeysFile /etc/vps/authorized_keys
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
PidFile none
MaxStartups 100
"""
