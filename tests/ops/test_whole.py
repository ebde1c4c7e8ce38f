"""A real service behind a real nginx, watched by a real Prometheus, redeployed under a counter that talks.

OPS_SESSION_S (600) is how long the counter's session lasts.
"""

import asyncio
import json
import os
import shutil
import subprocess
import time
import urllib.parse
import urllib.request
import wave
from contextlib import contextmanager

import pytest
import yaml

from audio.segmenter import SegmenterSettings
from deployments.metrics_list import METRICS, exported
from serve_app.client import ClientSettings, CounterClient
from serve_app.local_ray import free_port
from serve_app.rolling import RepeatedSource, judged, said_in
from tests.serve.test_service_rolling import SAMPLE, changed_file
from tests.support.edge import NGINX, running_edge
from tests.support.services import ROOT, running_service

SESSION_S = float(os.environ.get("OPS_SESSION_S", "600"))
PROMETHEUS = shutil.which("prometheus")
pytestmark = [
    pytest.mark.timeout(SESSION_S + 900),
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed (Debian: apt-get install nginx-light)"),
    pytest.mark.skipif(PROMETHEUS is None, reason="Prometheus is not installed (Debian: apt-get install prometheus)"),
]


class Prometheus:
    """A Prometheus with the configuration of ops/."""

    def __init__(self, url: str) -> None:
        self.url = url

    def get(self, path: str, **query: str):
        with urllib.request.urlopen(f"{self.url}{path}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
            return json.load(answer)["data"]

    def value(self, expression: str) -> float | None:
        result = self.get("/api/v1/query", query=expression)["result"]
        return float(result[0]["value"][1]) if result else None

    def state(self, alert: str) -> str:
        rules = [rule for group in self.get("/api/v1/rules")["groups"] for rule in group["rules"]]
        return next(rule["state"] for rule in rules if rule["name"] == alert)


@contextmanager
def watching(folder, metrics_port):
    for name in ("prometheus.yml", "alerts.yml"):
        shutil.copy(ROOT / "ops" / "prometheus" / name, folder / name)
    (folder / "targets").mkdir()
    (folder / "targets" / "balto.yml").write_text(yaml.safe_dump([{"targets": [f"127.0.0.1:{metrics_port}"]}]))
    (folder / "targets" / "edge.yml").write_text("[]")
    port = free_port()
    options = [f"--web.listen-address=127.0.0.1:{port}", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("w") as log:
        command = [str(PROMETHEUS), f"--config.file={folder}/prometheus.yml", *options]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield Prometheus(f"http://127.0.0.1:{port}")
    finally:
        process.terminate()
        process.wait(20)


def eventually(happened, within_s):
    deadline = time.monotonic() + within_s
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(2)


def test_a_wss_session_outlives_a_redeploy_and_prometheus_sees_all_of_it(tmp_path, monkeypatch):
    metrics_port = free_port()
    with (
        running_service("--lean", METRICS_PORT=str(metrics_port), FORWARDED_HOPS="1") as service,
        running_edge(f"127.0.0.1:{service.port}") as edge,
        watching(tmp_path, metrics_port) as prometheus,
    ):
        monkeypatch.setenv("SSL_CERT_FILE", str(edge.trust))
        seen = {}

        async def session():
            ends = time.monotonic() + SESSION_S
            events = []
            source = RepeatedSource(pcm, lambda: time.monotonic() > ends, plays_max=10_000)
            client = CounterClient(
                ClientSettings(url=f"wss://localhost:{edge.https_port}/ws", chunk_ms=250), service.key
            )
            talking = asyncio.create_task(client.run(source, events.append))
            await asyncio.sleep(SESSION_S / 2)
            seen["counters"] = await asyncio.to_thread(prometheus.value, "sum(ray_balto_counters)")
            await asyncio.to_thread(service.ray.redeploy, changed_file(service))
            await asyncio.wait_for(talking, SESSION_S + 300)
            return client, source, events

        with wave.open(str(SAMPLE)) as file:
            pcm = file.readframes(file.getnframes())
        client, source, events = asyncio.run(session())

        truth = said_in(pcm * source.plays, SegmenterSettings(), events)
        report = judged(truth, service.rows(client.session_id, at_least=len(truth)), events)
        assert (report.lost, report.twice) == (0, 0)
        assert report.reconnections >= 1, "the redeploy was not noticed"
        assert edge.access_log.count("GET /ws 101") >= 2

        assert seen["counters"] == 1, "a gauge that is set seldom must stay visible"
        assert prometheus.value('up{job="balto"}') == 1
        assert prometheus.value("sum(ray_balto_outcomes_total)") >= 1
        assert prometheus.value("max(ray_serve_application_status)") == 6
        names = {name for name in prometheus.get("/api/v1/label/__name__/values") if name.startswith("ray_balto_")}
        assert names <= {name for metric in METRICS for name in exported(metric)}
        rules = [rule for group in prometheus.get("/api/v1/rules")["groups"] for rule in group["rules"]]
        assert {rule["health"] for rule in rules} == {"ok"}
        assert [rule["name"] for rule in rules if rule["state"] == "firing"] == []

        service.stop()
        eventually(lambda: prometheus.state("BaltoDown") == "firing", 180)
