"""`python -m serve_app.cluster`: serve_config.yaml with its replicas spread over so many VPSes."""

from __future__ import annotations

import argparse
import copy
import sys
from pathlib import Path
from typing import Any, Final

import yaml

from serve_app.run import CannotRun, load
from serve_app.settings import ROOT

INGRESS_PER_NODE: Final = 1
STAGE_PER_NODE_MAX: Final = 2
"""Replicas of one stage for each VPS of two cores, when all is busy."""

WORKER_RESOURCE: Final = "balto_worker"
"""What `ops/cluster/node` gives every VPS but the head."""


def spread(config: dict[str, Any], nodes: int, ingress_per_node: int = INGRESS_PER_NODE) -> dict[str, Any]:
    """`config` with its replicas spread over `nodes` VPSes: each has its ingress and one of every stage that scales.

    The ingress is held to its VPS, so that one that comes back gets its own again. Serve counts old and new replicas
    together there: a redeploy therefore goes VPS by VPS, the others take the counters. The stages have room for old and
    new side by side. Telemetry is kept off the head: whichever of the two dies, the other is there to replace it or to
    go on. Raises ValueError below one.
    """
    if nodes < 1 or ingress_per_node < 1:
        raise ValueError("a cluster has at least one VPS, and that at least one ingress replica")
    changed = copy.deepcopy(config)
    for deployment in changed["applications"][0]["deployments"]:
        scaling = deployment.get("autoscaling_config")
        if deployment["name"] == "Telemetry" and nodes > 1:
            options = deployment.get("ray_actor_options", {})
            deployment["ray_actor_options"] = {**options, "resources": {WORKER_RESOURCE: 0.001}}
        elif deployment["name"] == "CounterIngress":
            deployment["num_replicas"] = nodes * ingress_per_node
            if nodes > 1:
                deployment |= {"max_replicas_per_node": ingress_per_node, "max_surge_percent": 0}
        elif scaling is not None:
            scaling["min_replicas"] = max(nodes, scaling.get("min_replicas", 1))
            scaling["max_replicas"] = max(STAGE_PER_NODE_MAX * nodes, scaling["min_replicas"])
            deployment["max_replicas_per_node"] = 2 * -(-scaling["max_replicas"] // nodes)
    return changed


def main() -> int:
    """Print the configuration for `serve deploy`."""
    parser = argparse.ArgumentParser(prog="python -m serve_app.cluster", description=__doc__)
    parser.add_argument("--nodes", type=int, required=True, help="how many VPSes the cluster has, the head included")
    parser.add_argument("--ingress-per-node", type=int, default=INGRESS_PER_NODE)
    parser.add_argument("--config", type=Path, default=ROOT / "serve_config.yaml")
    options = parser.parse_args()
    try:
        _, _, config = load(options.config, lean=False)
        spread_out = spread(config, options.nodes, options.ingress_per_node)
        sys.stdout.write(yaml.safe_dump(spread_out, sort_keys=False))
    except (CannotRun, ValueError) as exc:
        sys.stderr.write(f"balto: {exc}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
