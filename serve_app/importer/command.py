"""The importer's command line: where from, into the database of the settings, and a report of what became of it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from deployments.telemetry.errors import TelemetryError
from deployments.telemetry.opening import close_store, open_store
from deployments.telemetry.settings import TelemetrySettings
from privacy.redact import Redactor
from privacy.settings import RedactionSettings
from serve_app.importer.moving import Move, Moved, Report
from serve_app.importer.source import SourceError, open_source
from serve_app.run import CannotRun, load
from serve_app.settings import ROOT


async def move_in(
    where: str,
    telemetry: TelemetrySettings | None,
    redaction: RedactionSettings | None = None,
    timezone_name: str = "America/Sao_Paulo",
) -> Report:
    """Move the source at `where` into the database of `telemetry`; None: only look.

    Raises SourceError, StoreUnavailable, and ZoneInfoNotFoundError for an unknown time zone.
    """
    zone = ZoneInfo(timezone_name)
    redactor = Redactor(redaction)
    async with open_source(where) as source:
        if telemetry is None:
            return await Move(source, None, redactor, zone).run()
        store = open_store(telemetry)
        try:
            return await Move(source, store, redactor, zone).run()
        finally:
            await close_store(telemetry, store)


def main(arguments: list[str] | None = None) -> int:
    """Exit status 0 when everything that can be moved was; 1 with a reason otherwise."""
    parser = argparse.ArgumentParser(prog="python -m serve_app.importer", description=__doc__)
    parser.add_argument("source", help="a SQLite file, or postgresql://user:password@host/database")
    parser.add_argument("--dry-run", action="store_true", help="read and report; write nothing")
    parser.add_argument("--config", type=Path, default=ROOT / "serve_config.yaml")
    parser.add_argument("--timezone", default="America/Sao_Paulo", help="of the source's instants that have none")
    args = parser.parse_args(arguments)
    try:
        _, settings, _ = load(args.config, lean=True)
        telemetry = None if args.dry_run else settings.telemetry
        report = asyncio.run(move_in(args.source, telemetry, settings.session.redaction, args.timezone))
    except (SourceError, CannotRun) as exc:
        sys.stderr.write(f"importer: {exc}\n")
        return 1
    except ZoneInfoNotFoundError:
        sys.stderr.write(f"importer: no time zone {args.timezone}; write one like America/Manaus\n")
        return 1
    except TelemetryError as exc:
        reason = f"{type(exc).__name__} {exc}"
        sys.stderr.write(f"importer: the database took no more ({reason}); run it again, nothing is doubled\n")
        return 1
    sys.stdout.write("\n".join(lines_of(report, dry_run=args.dry_run)) + "\n")
    return 0


def lines_of(report: Report, *, dry_run: bool) -> Iterator[str]:
    """The report as people read it."""
    if dry_run:
        yield "dry run: nothing was written; `new` is what would be, or is there already"
    yield f"{'table':14} {'read':>8} {'new':>8} {'known':>8} {'left out':>8}"
    for name, moved in {**report.tables, "  (retornos)": report.feedback}.items():
        yield f"{name:14} {moved.read:8} {moved.new:8} {moved.known:8} {moved.refused.total():8}"
        yield from _reasons(moved)
    yield f"texts with something redacted: {report.redactions}"
    for title, names in (("missing tables", report.missing_tables), ("ignored tables", report.ignored_tables)):
        if names:
            yield f"{title}: {', '.join(names)}"
    for table, columns in sorted(report.ignored_columns.items()):
        yield f"ignored columns of {table}: {', '.join(columns)}"
    if report.clients:
        yield "codes of the clients (the old six digits can be guessed and are not taken over):"
        yield from (f"  {client.code}  {client.company} <{client.email}>" for client in report.clients)


def _reasons(moved: Moved) -> Iterator[str]:
    for reason, count in (*moved.refused.items(), *moved.notes.items()):
        yield f"  {count}: {reason}"
