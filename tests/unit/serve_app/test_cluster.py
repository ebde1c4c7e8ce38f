"""A cluster's configuration and environment: what is spread over the VPSes, and what every node gets."""

import shlex
import subprocess
import sys

import pytest
import yaml

from serve_app.cluster import WORKER_RESOURCE, spread
from serve_app.flags import CLUSTER_FLAGS, NODE_FLAGS
from serve_app.settings import FAST_INGRESS_FLAGS, ROOT


@pytest.fixture
def config():
    return yaml.safe_load((ROOT / "serve_config.yaml").read_text())


def deployments(config):
    return {each["name"]: each for each in config["applications"][0]["deployments"]}


def test_every_vps_has_an_ingress_of_its_own_and_a_vps_that_comes_back_gets_its_own_again(config):
    ingress = deployments(spread(config, 3))["CounterIngress"]
    assert (ingress["num_replicas"], ingress["max_replicas_per_node"]) == (3, 1)


def test_a_redeploy_finds_room_for_what_it_starts(config):
    # Serve counts old and new replicas of a deployment together against max_replicas_per_node.
    for nodes in (2, 3, 5):
        for name, each in deployments(spread(config, nodes)).items():
            slots = nodes * each.get("max_replicas_per_node", 10**6)
            most = each.get("autoscaling_config", {}).get("max_replicas", each.get("num_replicas"))
            assert slots >= most * (1 + each["max_surge_percent"] / 100), name


def test_the_stages_of_a_vps_that_is_gone_fit_on_the_others(config):
    for name, each in deployments(spread(config, 3)).items():
        if "autoscaling_config" in each:
            assert 2 * each["max_replicas_per_node"] >= each["autoscaling_config"]["max_replicas"], name


def test_telemetry_and_the_head_do_not_die_together(config):
    assert deployments(spread(config, 3))["Telemetry"]["ray_actor_options"]["resources"] == {WORKER_RESOURCE: 0.001}
    assert "resources" not in deployments(spread(config, 1))["Telemetry"]["ray_actor_options"]
    assert f'{{"{WORKER_RESOURCE}": 1}}' in (ROOT / "ops/cluster/node").read_text()


def test_one_vps_alone_keeps_its_surge(config):
    before = deployments(config)["CounterIngress"]["max_surge_percent"]
    assert deployments(spread(config, 1))["CounterIngress"]["max_surge_percent"] == before


def test_the_configuration_given_is_left_as_it_was(config):
    before = yaml.safe_dump(config)
    spread(config, 3)
    assert yaml.safe_dump(config) == before


def test_a_cluster_of_nothing_is_refused(config):
    with pytest.raises(ValueError, match="at least one VPS"):
        spread(config, 0)


def test_every_node_has_the_fast_ingress_and_asks_for_the_token():
    for flags in (NODE_FLAGS, CLUSTER_FLAGS):
        assert all(flags[name] == "1" for name in FAST_INGRESS_FLAGS)
        assert flags["RAY_AUTH_MODE"] == "token"


def test_a_shell_reads_the_flags_as_they_are():
    command = [sys.executable, "-m", "serve_app.flags"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=30).stdout
    assert dict(shlex.split(line)[0].split("=", 1) for line in printed.splitlines()) == CLUSTER_FLAGS


def test_cluster_yaml_starts_every_node_with_the_same_script():
    cluster = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    for role in ("head", "worker"):
        (command,) = cluster[f"{role}_start_ray_commands"]
        assert command.startswith(f"/opt/balto/ops/cluster/node join {role} ")
