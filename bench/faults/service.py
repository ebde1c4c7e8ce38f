"""The service that is broken: one of the bench's own, its stages found by name, its replicas watched."""

from __future__ import annotations

import contextlib
import copy
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil
import yaml

from bench.load.deployment import Deployment
from bench.load.measure import Providing, settings_changes
from bench.path.cpu import command_of, part_of
from bench.path.providers import _server
from bench.path.service import OwnService, ServicePlan, own_service
from serve_app.local_ray import LocalRay
from serve_app.rolling import changed
from serve_app.settings import ROOT

STAGES: Final = ("CounterIngress", "Voice", "SpeechToText", "Recommender", "Telemetry")
_READY: Final = "Finished initializing replica"
TWO_EACH: Final = {
    name: {"autoscaling_config": {"min_replicas": 2}} for name in ("Voice", "SpeechToText", "Recommender")
}
"""Two replicas a stage; the ingress has two as shipped, and telemetry one: its outbox is what outlives it."""


@dataclass(frozen=True, slots=True)
class Victim:
    """A service that something will happen to."""

    service: OwnService
    deployment: Deployment

    def replicas(self, stage: str) -> list[psutil.Process]:
        """A stage's processes now, the oldest first."""
        found = []
        for process in self.service.processes():
            with contextlib.suppress(psutil.Error):
                command = command_of(process)
                if "ServeReplica" in command and part_of(command) == stage:
                    found.append((process.create_time(), process.pid, process))
        return [process for _, _, process in sorted(found)]

    def ready(self, stage: str) -> int:
        """How many replicas of a stage have become ready since the start, by their logs."""
        logs = (LocalRay(self.service.state_dir).temp_dir / "session_latest/logs/serve").glob(f"replica_*{stage}*.log")
        return sum(_READY in log.read_text(errors="replace") for log in logs)

    def redeploy(self) -> None:
        """Deploy it anew with another value among its `args`: every replica is replaced. Raises RayFailed."""
        running = yaml.safe_load((self.service.state_dir / "serve_config.effective.yaml").read_text())
        path = self.service.state_dir / "redeployed.yaml"
        path.write_text(yaml.safe_dump(changed(running), sort_keys=False))
        LocalRay(self.service.state_dir).redeploy(path)


@contextlib.contextmanager
def victim_of(
    say: Callable[[str], None],
    changes: Mapping[str, Any] | None = None,
    stages: Mapping[str, Mapping[str, Any]] | None = None,
    import_path: str = "serve_app.build:build_app",
) -> Iterator[Victim]:
    """A service with simulated providers, and nothing of either afterwards; `stages` changes `deployments:`.

    Raises BenchFailed.
    """
    with contextlib.ExitStack() as stack:
        provider = stack.enter_context(_server("bench.load.simulators", *Providing().arguments()))
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="balto-bench-"))
        config = Path(folder) / "serve_config.yaml"
        config.write_text(yaml.safe_dump(shipped_with(stages or {}, import_path), sort_keys=False))
        plan = ServicePlan({**settings_changes(provider), **(changes or {})}, config_path=config)
        service = stack.enter_context(own_service(plan, say))
        yield Victim(service, Deployment(service.url, service.admin_secret))


def shipped_with(stages: Mapping[str, Mapping[str, Any]], import_path: str) -> dict[str, Any]:
    """The shipped configuration with other settings of some deployments."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    application = config["applications"][0]
    application["import_path"] = import_path
    for deployment in application["deployments"]:
        _merge(deployment, copy.deepcopy(dict(stages.get(deployment["name"], {}))))
    return config


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for name, value in more.items():
        if isinstance(value, Mapping) and isinstance(into.get(name), dict):
            _merge(into[name], value)
        else:
            into[name] = value
