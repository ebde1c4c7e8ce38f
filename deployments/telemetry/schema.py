"""Brings a database's schema up to date before it is used, in a process of its own that then gives its memory back."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import asyncpg

from deployments.telemetry.errors import StoreUnavailable

log = logging.getLogger("balto.telemetry")

HEAD = "0006"
"""The newest migration. Revisions are four digits, so that they compare as text."""
MIGRATION_TIMEOUT_S = 120.0
_ROOT = Path(__file__).resolve().parents[2]


async def ensure_postgres(url: str, connect_timeout_s: float) -> None:
    """Migrate the PostgreSQL database at `url` if it is behind. Safe from several replicas at once.

    Raises StoreUnavailable; errors of the first connection come as asyncpg raises them.
    """
    connection = await asyncpg.connect(url, timeout=connect_timeout_s, command_timeout=connect_timeout_s)
    try:
        revision = await connection.fetchval("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        revision = None
    finally:
        connection.terminate()
    if not _current(revision):
        await asyncio.to_thread(_run, {"url": url})


def ensure_sqlite(path: Path) -> None:
    """Migrate the SQLite database at `path` if it is behind or missing. Raises StoreUnavailable."""
    if not _current(_sqlite_revision(path)):
        _run({"sqlite": str(path)})


def _sqlite_revision(path: Path) -> str | None:
    if not path.exists():
        return None
    with closing(sqlite3.connect(path, timeout=5.0)) as db:
        try:
            row = db.execute("SELECT version_num FROM alembic_version").fetchone()
        except sqlite3.OperationalError:
            return None
    return row[0] if row else None


def _current(revision: str | None) -> bool:
    if revision is not None and revision > HEAD:
        log.warning("schema_newer_than_software revision=%s known=%s", revision, HEAD)
        return True
    return revision == HEAD


def _run(target: dict[str, str]) -> None:
    """Run the migrations in a process of their own; Alembic would keep 35 MB of this one. The URL goes by stdin."""
    command = [sys.executable, "-m", "deployments.telemetry.migrations.run"]
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            command, input=json.dumps(target), text=True, capture_output=True, cwd=_ROOT, timeout=MIGRATION_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise StoreUnavailable(f"migration: {type(exc).__name__}") from None
    if done.returncode != 0:
        reason = (done.stdout.strip() or done.stderr.strip()).splitlines()[-1:] or [f"exit {done.returncode}"]
        log.error("migration_failed reason=%s", reason[0])
        raise StoreUnavailable(f"migration: {reason[0]}")
    log.info("schema_migrated revision=%s", HEAD)
