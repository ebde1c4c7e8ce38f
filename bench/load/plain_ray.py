"""`python -m bench.load.plain_ray`: the launcher with Serve as it comes, without the fast ingress: to compare with."""

from __future__ import annotations

import argparse
import contextlib
import signal
import time
from pathlib import Path

from serve_app.local_ray import LocalRay
from serve_app.run import Service
from serve_app.settings import FAST_INGRESS_FLAGS


class PlainRay(LocalRay):
    """A Ray whose Serve has its default proxy."""

    def _environment(self, settings_env: dict[str, str]) -> dict[str, str]:
        found = super()._environment(settings_env)
        return {name: value for name, value in found.items() if name not in FAST_INGRESS_FLAGS}


class PlainService(Service):
    """The service on it."""

    def __init__(self, config_path: Path, *, lean: bool) -> None:
        super().__init__(config_path, lean=lean)
        self.ray = PlainRay(self.state_dir, lean, self.environment.metrics_port)


def main() -> None:
    """Serve until SIGINT or SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m bench.load.plain_ray", description=main.__doc__)
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--lean", action="store_true")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), PlainService(options.config, lean=options.lean).started():
        while True:
            time.sleep(1.0)


if __name__ == "__main__":
    main()
