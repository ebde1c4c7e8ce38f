"""The doctor finds what is wrong, says what to do, and never says a secret."""

import json
import os
import ssl
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pydantic import SecretStr

from deployments.telemetry import schema
from deployments.telemetry.settings import TelemetrySettings
from serve_app.doctor import configuration, machine, reach
from serve_app.settings import BaltoSettings, Environment
from tests.support.edge import make_certificate

ROOT = Path(__file__).parents[2]
OWN_KEY = "sk-" + "a1B2c3D4" * 4


def environment(**given):
    return Environment(_env_file=None, **given)


def states(findings):
    return {finding.check: finding.state for finding in findings}


def doctor(tmp_path, *options, **env):
    """The command as an operator runs it; its exit code and what it wrote."""
    kept = {"PATH": os.environ["PATH"], "BALTO_STATE_DIR": str(tmp_path), "PORT": "1"}
    command = [sys.executable, "-m", "serve_app.doctor", *options]
    done = subprocess.run(command, cwd=ROOT, env={**kept, **env}, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout + done.stderr


def test_what_is_wrong_is_said_with_what_to_do_and_no_secret_is(tmp_path):
    secrets = {
        "OPENAI_API_KEY": f"'{OWN_KEY}'",
        "ELEVENLABS_API_KEY": "short-one",
        "ADMIN_SECRET": "balto-balto",
        "DATABASE_URL": "postgresql://balto:sehr-geheim@127.0.0.1:1/balto",
    }
    (tmp_path / "admin_secret").write_text("x")
    (tmp_path / "admin_secret").chmod(0o644)
    code, said = doctor(tmp_path, "--json", **secrets)
    found = json.loads(said)
    wrong = {each["check"] for each in found["findings"] if each["state"] == "wrong"}
    assert code == 1
    assert {"OPENAI_API_KEY", "ELEVENLABS_API_KEY", "ADMIN_SECRET", "database", "admin_secret"} <= wrong
    assert found["wrong"] == len(wrong)
    assert all(each["do"] for each in found["findings"] if each["state"] != "ok")
    assert not any(secret in said for secret in (OWN_KEY, "short-one", "balto-balto", "sehr-geheim"))


def test_a_setting_that_is_not_known_is_named(tmp_path):
    config = tmp_path / "bad.yaml"
    config.write_text("applications: [{args: {voice: {denoize: on}}, deployments: []}]")
    code, said = doctor(tmp_path, "--config", str(config))
    assert code == 1
    assert "WRONG    settings: setting voice.denoize" in said


def test_a_metrics_port_that_ray_gives_to_workers_is_refused_by_name(tmp_path):
    code, said = doctor(tmp_path, METRICS_PORT="12000")
    assert code == 1
    assert "metrics_port" in said
    assert "choose another port" in said


@pytest.mark.parametrize(
    ("value", "state"),
    [(OWN_KEY, "ok"), (f" {OWN_KEY}", "wrong"), ("sk-your-key-goes-right-here", "wrong"), ("a1B2c3D4" * 4, "warning")],
)
def test_a_key_is_judged_by_its_shape(value, state):
    found = states(configuration.keys(environment(openai_api_key=SecretStr(value))))
    assert found["OPENAI_API_KEY"] == state
    assert found["recogniser"] == "warning"


def test_a_machine_that_is_too_small_or_too_full_is_wrong(tmp_path):
    assert machine.memory(total_mb=1000, available_mb=900).state == "wrong"
    assert machine.memory(total_mb=4000, available_mb=100).state == "warning"
    assert machine.memory(total_mb=4000, available_mb=2000).state == "ok"
    assert machine.disk(tmp_path, free_mb=100).state == "wrong"
    assert machine.disk(tmp_path, free_mb=1000).state == "warning"
    assert machine.open_files(1024).state == "wrong"
    assert machine.python_version((3, 9, 18)).state == "wrong"
    assert machine.flags(["RAY_SERVE_ENABLE_HA_PROXY"]).do.endswith("export RAY_SERVE_ENABLE_HA_PROXY=1")


def test_another_ray_than_the_pinned_one_is_wrong(tmp_path):
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("ray[serve]==2.60.0  # the cluster\n")
    assert machine.ray_version(requirements, "2.60.0").state == "ok"
    assert machine.ray_version(requirements, "2.59.1").state == "wrong"


def test_secrets_that_others_may_read_are_wrong(tmp_path):
    path = tmp_path / ".env"
    assert machine.private(path).state == "ok"
    path.write_text("OPENAI_API_KEY=")
    path.chmod(0o640)
    assert machine.private(path).state == "wrong"
    assert f"chmod 600 {path}" in machine.private(path).do
    path.chmod(0o600)
    assert machine.private(path).state == "ok"


def test_backups_that_are_missing_or_old_are_wrong(tmp_path):
    assert machine.backups(tmp_path).state == "wrong"
    dump = tmp_path / "balto-20260101T030000Z.dump"
    dump.write_text("x")
    now_s = dump.stat().st_mtime
    assert machine.backups(tmp_path, now_s + 30 * 3600).state == "ok"
    assert machine.backups(tmp_path, now_s + 60 * 3600).state == "wrong"


def test_a_malformed_catalogue_of_a_client_is_wrong_and_named(tmp_path):
    (tmp_path / "client-7").mkdir()
    (tmp_path / "client-7" / "cestas.json").write_text("{")
    given = BaltoSettings.model_validate({"recommender": {"catalogues": {"dir": str(tmp_path)}}})
    assert states(configuration.catalogues(given)) == {"catalogue": "ok", "catalogue client-7": "wrong"}


def test_what_the_service_says_of_itself_is_passed_on():
    record = {"degraded": False, "outbox_rows": 12, "outbox_oldest_s": 900.0, "rows_set_aside": 1}
    found = list(reach.service({"estado": "degradado", "fala": {"degraded": True}, "registro": record}))
    assert [each.state for each in found] == ["wrong", "wrong", "warning"]
    assert "fala" in found[0].says
    assert states(reach.service(None)) == {"service": "warning"}


def test_the_schema_of_a_sqlite_store_is_looked_at(tmp_path):
    path = tmp_path / "balto.sqlite"
    settings = TelemetrySettings(store="sqlite", sqlite_path=path)
    schema.ensure_sqlite(path)
    assert reach.database(settings, None).says == f"reachable, schema {schema.HEAD}"
    path.write_bytes(b"no database at all, but long enough to be read as one" * 20)
    assert reach.database(settings, None).state == "wrong"


class Saude(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"estado":"ok"}')

    def log_message(self, *args):
        pass


@contextmanager
def public_address(folder, days):
    """An https address whose certificate is good for so many days, and a context that believes it."""
    trust = make_certificate(folder, days)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Saude)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trust, folder / "privkey.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"https://localhost:{server.server_address[1]}", ssl.create_default_context(cafile=str(trust))
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("days", "state"), [(60, "ok"), (10, "warning"), (2, "wrong"), (-0.5, "wrong")])
def test_a_certificate_that_ends_soon_is_said_in_time(tmp_path, days, state):
    with public_address(tmp_path / "tls", days) as (url, context):
        assert reach.certificate(url, context).state == state


def test_a_public_address_is_asked_and_its_clock_compared(tmp_path):
    with public_address(tmp_path / "tls", 60) as (url, context):
        assert states(reach.address(url, context)) == {"address": "ok", "clock": "ok"}
        assert reach.certificate(url).state == "wrong", "nobody believes a certificate of our own"
    assert states(reach.address(url, context)) == {"address": "wrong"}
    assert reach.certificate("http://balto.example").state == "wrong"
