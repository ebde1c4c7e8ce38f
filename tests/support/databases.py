"""Real databases for tests: an embedded PostgreSQL of their own, fresh databases in it, and SQLite files."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from deployments.telemetry import embedded, schema
from deployments.telemetry.postgres import PostgresStore
from deployments.telemetry.settings import TelemetrySettings


@contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL that runs until the end of the block."""
    root = Path(tempfile.mkdtemp(prefix="balto-test-", dir="/tmp"))
    root.chmod(0o755)  # as root, PostgreSQL runs as another user, who must reach its data
    try:
        yield embedded.start(root / "pgdata")
    finally:
        embedded.stop(root / "pgdata")
        shutil.rmtree(root)


async def new_database(server_url: str, template: str = "template1") -> str:
    """The URL of a new database."""
    name = f"t{uuid.uuid4().hex}"
    connection = await asyncpg.connect(server_url)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    await connection.close()
    return server_url.replace("/postgres?", f"/{name}?")


def postgres_store(url: str, **given: Any) -> PostgresStore:
    """A store on the database at `url`, migrated at its first use."""

    async def find_url() -> str:
        return url

    async def migrate(url: str) -> None:
        await schema.ensure_postgres(url, 5.0)

    return PostgresStore(TelemetrySettings(**given), find_url, migrate)
