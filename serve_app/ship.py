"""`python -m serve_app.ship`: sends what dead telemetry replicas left on this node to the database, and ends."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from deployments.metrics import NoMetrics
from deployments.telemetry.errors import TelemetryError
from deployments.telemetry.opening import close_store, open_store
from deployments.telemetry.outbox import Outbox
from deployments.telemetry.settings import TelemetrySettings
from deployments.telemetry.shipper import Shipper
from serve_app.run import CannotRun, load
from serve_app.settings import ROOT


async def ship_leftovers(settings: TelemetrySettings) -> int:
    """Ship every row in an outbox of this node that no living replica holds; returns how many.

    For a cluster, where a telemetry replica may be replaced on another node than its outbox. Whatever happens, a row
    that was not shipped stays where it is. Raises TelemetryError.
    """
    metrics = NoMetrics()
    outbox, store = Outbox(settings.outbox_dir, settings.outbox_max_mb * 1_000_000, metrics, settings.seal), None
    await outbox.open()
    try:
        await outbox.adopt()
        if (await outbox.stats()).waiting == 0:
            return 0
        store = open_store(settings)
        shipper = Shipper(outbox, store, settings, metrics)
        shipped = 0
        while rows := await shipper.ship_once():
            shipped += rows
        return shipped
    finally:
        await outbox.close()
        if store is not None:
            await close_store(settings, store)


def main() -> int:
    """Ship, and say how many rows it was; 1 where the database or the disk cannot be reached."""
    parser = argparse.ArgumentParser(prog="python -m serve_app.ship", description=__doc__)
    parser.add_argument("--config", type=Path, default=ROOT / "serve_config.yaml")
    try:
        _, settings, _ = load(parser.parse_args().config, lean=False)
        rows = asyncio.run(ship_leftovers(settings.telemetry))
    except (CannotRun, TelemetryError) as exc:
        sys.stderr.write(f"balto: nothing was lost, but not everything was shipped: {exc}\n")
        return 1
    sys.stdout.write(f"balto: shipped {rows} rows that were left here\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
