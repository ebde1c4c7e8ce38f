"""`python -m bench.protocol --url http://HOST:8765`: REST and counters of every generation against any deployment."""

from __future__ import annotations

import argparse
import inspect
import json
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import httpx

from bench.load.deployment import Deployment
from bench.protocol import rest, sockets
from bench.protocol.checks import Bench, Check, CheckFailed, CheckSkipped, expect
from bench.protocol.report import Outcome, Report

AREAS = {"REST": rest.CHECKS, "Counters": sockets.CHECKS}


def main() -> int:
    """Check a deployment against the protocol, and write protocol.md and protocol.json with the rows as proof.

    It registers a client and some counters of its own and leaves them there; nobody else's are touched.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.protocol", description=main.__doc__)
    parser.add_argument("--url", required=True, help="http://HOST:PORT or https://HOST")
    parser.add_argument("--admin-secret", default="", help="the administrator's token")
    parser.add_argument("--admin-secret-file", type=Path, help="a file that holds it: it is not seen in `ps`")
    parser.add_argument("--out", type=Path, default=Path("reports/protocol"), metavar="DIR")
    parser.add_argument("--json", action="store_true", help="print the JSON document too")
    options = parser.parse_args()
    try:
        secret = options.admin_secret_file.read_text().strip() if options.admin_secret_file else options.admin_secret
    except OSError as exc:
        parser.error(f"{options.admin_secret_file}: {exc.strerror}")
    report = check(Deployment(options.url.rstrip("/"), secret))
    report.write(options.out)
    if options.json:
        print(json.dumps(report.document(), ensure_ascii=False, indent=1))
    print(f"{report.summary()}: {options.out / 'protocol.md'}", file=sys.stderr)
    return 0 if report.passed else 1


def check(deployment: Deployment) -> Report:
    """Every check, one after another."""
    bench, begun_at = Bench(deployment), datetime.now(timezone.utc).isoformat(timespec="seconds")
    outcomes = [_one(area, made, bench) for area, checks in AREAS.items() for made in checks]
    return Report(deployment.url, begun_at, outcomes, _proof(bench))


def _one(area: str, made: Check, bench: Bench) -> Outcome:
    begun = time.monotonic()
    promise = (inspect.getdoc(made) or made.__name__).splitlines()[0]
    try:
        result, found = "passed", made(bench)
    except CheckSkipped as exc:
        result, found = "skipped", str(exc)
    except CheckFailed as exc:
        result, found = "failed", str(exc)
    except (httpx.HTTPError, KeyError, ValueError, TypeError) as exc:
        result, found = "failed", f"{type(exc).__name__}: the answer is not what the protocol says"
    print(f"{result:<8}{promise}: {found}", file=sys.stderr, flush=True)
    return Outcome(area, made.__name__, promise, result, found, round(time.monotonic() - begun, 2))  # type: ignore[arg-type]


def _proof(bench: Bench) -> Sequence[dict[str, Any]]:
    """All rows of the counters that were made."""
    rows: list[dict[str, Any]] = []
    if not bench.deployment.admin_secret:
        return rows
    with bench.deployment.http() as http:
        for counter_id in bench.counters.values():
            try:
                page = expect(http.get("/api/data/interacoes", params={"balcao": counter_id, "limite": 1000}), 200)
            except (CheckFailed, httpx.HTTPError) as exc:
                print(f"rows of {counter_id} could not be read: {type(exc).__name__}", file=sys.stderr)
                continue
            rows += page["interacoes"]
    return rows


if __name__ == "__main__":
    sys.exit(main())
