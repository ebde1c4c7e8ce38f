"""What ops/ asks for is there: figures in the code, files in the repository, settings in the environment."""

import ast
import json
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
import yaml

from deployments.metrics_list import METRICS, exported
from serve_app.flags import CLUSTER_FLAGS, DRAINING, DRAINING_S
from serve_app.settings import Environment

ROOT = Path(__file__).parents[2]
OPS = ROOT / "ops"
KINDS = {"count": "counter", "gauge": "gauge", "observe_ms": "histogram"}
EXPORTED = {name for metric in METRICS for name in exported(metric)}
RAYS_OWN = {
    "ray_node_cpu_utilization",
    "ray_node_disk_utilization_percentage",
    "ray_node_mem_available",
    "ray_node_mem_total",
    "ray_serve_application_status",
    "ray_serve_deployment_replica_healthy",
}
"""Seen in what Ray 2.60 exports."""
DASHBOARDS = sorted((OPS / "grafana" / "dashboards").glob("*.json"))
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
DOCKERFILE = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
OURS_IN_ENV = {name.upper() for name in Environment.model_fields}
NOT_OURS = {"BALTO_DOMAIN", "BALTO_BACKUP_PASSPHRASE", "GRAFANA_PASSWORD"}
"""Of .env, but for nginx, the backup and Grafana."""


@cache
def counted():
    """Every call that counts: (name, kind, labels, where)."""
    return list(_calls())


def _calls():
    for path in sorted([*(ROOT / "serve_app").rglob("*.py"), *(ROOT / "deployments").rglob("*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in KINDS):
                continue
            if "metrics" in ast.unparse(node.func.value):
                labels = tuple(keyword.arg for keyword in node.keywords)
                yield ast.literal_eval(node.args[0]), KINDS[node.func.attr], labels, path.name


def test_every_figure_that_code_counts_is_listed_with_its_kind_and_labels():
    for name, kind, labels, where in counted():
        assert name in METRICS, f"{where} counts {name}: add it to deployments/metrics_list.py"
        assert (METRICS[name].kind, set(METRICS[name].labels)) == (kind, set(labels)), f"{name} in {where}"


def test_every_figure_that_is_listed_is_counted_somewhere():
    assert set(METRICS) == {name for name, *_ in counted()}


def figures_in(expression):
    return set(re.findall(r"\bray_\w+", expression))


def dashboard_expressions():
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                yield f"{path.name}: {panel['title']}", target["expr"]


def alerts():
    return [
        rule
        for group in yaml.safe_load((OPS / "prometheus" / "alerts.yml").read_text())["groups"]
        for rule in group["rules"]
    ]


def test_dashboards_and_alerts_ask_for_figures_that_are_exported():
    asked = [*dashboard_expressions(), *((rule["alert"], rule["expr"]) for rule in alerts())]
    assert len(asked) > 60
    for where, expression in asked:
        assert figures_in(expression) <= EXPORTED | RAYS_OWN, where


def test_dashboards_group_by_labels_that_their_figures_have():
    labels = {name: set(METRICS[metric].labels) | {"le"} for metric in METRICS for name in exported(metric)}
    for where, expression in dashboard_expressions():
        for grouped in re.findall(r"sum by \(([^)]+)\) \(\w*\(?(ray_balto_\w+)", expression):
            assert {label.strip() for label in grouped[0].split(",")} <= labels[grouped[1]], where


def test_every_part_of_the_service_has_a_dashboard():
    assert {path.stem for path in DASHBOARDS} == {"service", "stages", "providers", "cost", "sales"}
    identities = [json.loads(path.read_text())["uid"] for path in DASHBOARDS]
    assert len(set(identities)) == len(identities)


def test_every_alert_is_tested_quiet_firing_and_cleared_and_says_what_to_do():
    tested = yaml.safe_load((OPS / "prometheus" / "alerts_test.yml").read_text())["tests"]
    looks = [look for test in tested for look in test["alert_rule_test"]]
    for rule in alerts():
        mine = [look for look in looks if look["alertname"] == rule["alert"]]
        assert any(look["exp_alerts"] for look in mine), rule["alert"]
        assert any(not look["exp_alerts"] for look in mine), rule["alert"]
        assert rule["annotations"]["action"]
        assert rule["labels"]["severity"] in ("critical", "warning")


def copied():
    for line in DOCKERFILE.splitlines():
        if line.startswith("COPY ") and "--from" not in line:
            *sources, _ = shlex.split(line)[1:]
            yield from sources


def test_the_image_copies_what_is_there_and_what_the_program_imports():
    for source in copied():
        assert (ROOT / source).exists(), source
        assert f"!{source}" in (ROOT / ".dockerignore").read_text().splitlines(), f".dockerignore keeps {source} out"
    rooms = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"bench", "tests"}
    assert rooms <= set(copied())


def test_the_image_runs_as_nobody_special_checks_itself_and_has_pinned_bases():
    assert re.search(r"^USER (?!root|0)", DOCKERFILE, re.MULTILINE)
    assert "HEALTHCHECK" in DOCKERFILE
    for base in re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE):
        assert re.fullmatch(r"[\w./-]+:\d[\w.-]*", base), f"{base} is not pinned"
    command = json.loads(re.search(r"^CMD (.+)$", DOCKERFILE, re.MULTILINE)[1])
    assert command[:2] == ["python", "-m"]
    assert (ROOT / (command[2].replace(".", "/") + ".py")).exists()


def test_the_compose_file_mounts_what_is_there_and_declares_its_volumes():
    for name, service in COMPOSE["services"].items():
        assert re.search(r":[\w.-]*\d", service["image"]), f"{name}'s image is not pinned"
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (ROOT / source).exists(), source
            else:
                assert source in COMPOSE["volumes"], source
        assert set(service.get("networks", ())) <= set(COMPOSE["networks"])
        assert set(service.get("depends_on", ())) <= set(COMPOSE["services"])


@pytest.mark.parametrize("name", ["balto", "postgres", "nginx", "prometheus", "grafana"])
def test_what_keeps_running_starts_again_by_itself(name):
    assert COMPOSE["services"][name]["restart"] == "unless-stopped"


def test_the_database_and_the_service_are_not_published_to_the_world():
    published = {name: service["ports"] for name, service in COMPOSE["services"].items() if "ports" in service}
    assert set(published) == {"nginx", "grafana"}
    assert all(port.startswith("127.0.0.1:") for port in published["grafana"])
    assert COMPOSE["networks"]["inside"]["internal"] is True


def test_names_in_the_environment_of_ops_are_settings():
    text = "".join((ROOT / "docker-compose.yml").read_text().split("services:")[1])
    asked = set(re.findall(r"\$\{(\w+)", text)) | set(COMPOSE["services"]["balto"]["environment"])
    assert asked <= OURS_IN_ENV | NOT_OURS
    example = (ROOT / ".env.example").read_text()
    for name in NOT_OURS | {"METRICS_PORT", "FORWARDED_HOPS"}:
        assert f"\n{name}=" in example, f".env.example does not say {name}"


def test_prometheus_scrapes_the_port_that_the_service_exports():
    port = COMPOSE["services"]["balto"]["environment"]["METRICS_PORT"]
    (targets,) = yaml.safe_load((OPS / "prometheus" / "targets" / "balto.yml").read_text())
    assert targets["targets"] == [f"balto:{port}"]


def units():
    return sorted((OPS / "systemd").glob("balto*"))


def test_units_start_programs_and_modules_that_are_there():
    starts = {path.name: re.findall(r"^ExecStart=(.+)$", path.read_text(), re.MULTILINE) for path in units()}
    assert starts["balto.service"]
    assert starts["balto-backup.service"]
    for name, (command,) in ((name, commands) for name, commands in starts.items() if commands):
        program, *arguments = shlex.split(command)
        assert program.startswith("/opt/balto/"), name
        if arguments[:1] == ["-m"]:
            module = ROOT / arguments[1].replace(".", "/")
            assert module.with_suffix(".py").exists() or (module / "__main__.py").exists(), name
        else:
            assert (ROOT / program.removeprefix("/opt/balto/")).stat().st_mode & 0o111, name


def test_timers_wake_units_that_are_there():
    for path in units():
        if path.suffix == ".timer":
            assert path.with_suffix(".service").exists()


@pytest.mark.parametrize("path", ["ops/systemd/balto.service", "Dockerfile"])
def test_wherever_it_is_installed_counters_leave_before_serve_cuts_their_sockets(path):
    config = yaml.safe_load((ROOT / "serve_config.yaml").read_text())["applications"][0]
    leaves_s = config["args"]["ingress"]["drain_s"]
    [said] = re.findall(rf"{DRAINING}=(\d+)", (ROOT / path).read_text())
    assert said == DRAINING_S == CLUSTER_FLAGS[DRAINING]
    assert leaves_s < float(said)
    [ingress] = [one for one in config["deployments"] if one["name"] == "CounterIngress"]
    assert leaves_s < ingress["graceful_shutdown_timeout_s"]
