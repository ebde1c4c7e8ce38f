"""`python -m serve_app.cluster`: serve_config.yaml as a cluster of so many VPSes wants it, replicas spread over them."""

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
"""What a VPS of two cores carries of one stage: two when another VPS is gone, one otherwise."""


def spread(config: dict[str, Any], nodes: int, ingress_per_node: int = INGRESS_PER_NODE) -> dict[str, Any]:
    """`config` with its replicas spread over `nodes` VPSes: each has its ingress and one of every stage that scales.

    A deployment with a fixed number of replicas that is not the ingress stays as it is. Raises ValueError below one.
    """
    if nodes < 1 or ingress_per_node < 1:
        raise ValueError("a cluster has at least one VPS, and that at least one ingress replica")
    changed = copy.deepcopy(config)
    for deployment in changed["applications"][0]["deployments"]:
        scaling = deployment.get("autoscaling_config")
        if deployment["name"] == "CounterIngress":
            deployment["num_replicas"] = nodes * ingress_per_node
            deployment["max_replicas_per_node"] = ingress_per_node
        elif scaling is not None:
            scaling["min_replicas"] = max(nodes, scaling.get("min_replicas", 1))
            scaling["max_replicas"] = max(STAGE_PER_NODE_MAX * nodes, scaling["min_replicas"])
            deployment["max_replicas_per_node"] = max(STAGE_PER_NODE_MAX, -(-scaling["min_replicas"] // nodes))
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
        print(yaml.safe_dump(spread(config, options.nodes, options.ingress_per_node), sort_keys=False), end="")
    except (CannotRun, ValueError) as exc:
        print(f"balto: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
