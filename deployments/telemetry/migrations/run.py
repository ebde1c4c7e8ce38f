"""`python -m deployments.telemetry.migrations.run`: upgrades the database named on stdin to the newest version."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import sys
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.ext.asyncio import create_async_engine

LOCK_KEY = 0x42616C746F  # "Balto"
"""Of pg_advisory_lock: one migration at a time, whoever starts it."""


def upgrade(connection: Connection) -> None:
    """Run every migration that the database lacks."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


async def upgrade_postgres(url: str) -> None:
    """Upgrade the PostgreSQL database at `url`, under an advisory lock that goes with the connection."""
    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(url, timeout=10))
    async with engine.connect() as connection:
        await connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": LOCK_KEY})
        await connection.commit()
        await connection.run_sync(upgrade)
        await connection.commit()
        await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": LOCK_KEY})
    await engine.dispose()


def upgrade_sqlite(path: Path) -> None:
    """Upgrade the SQLite database at `path`, which is made when missing, under a lock file beside it."""
    lock = os.open(path.with_name(path.name + ".migration-lock"), os.O_CREAT | os.O_RDWR, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    engine = create_engine(f"sqlite:///{path}")
    with engine.begin() as connection:
        upgrade(connection)
    engine.dispose()
    os.close(lock)


def main() -> int:
    """Exit status 0 when the database is up to date; otherwise the last line of stdout names the kind of fault."""
    target = json.load(sys.stdin)
    try:
        if "sqlite" in target:
            upgrade_sqlite(Path(target["sqlite"]))
        else:
            asyncio.run(upgrade_postgres(target["url"]))
    except Exception as exc:  # a process's rim: vendors' texts may carry the URL's password
        sys.stdout.write(f"{type(exc).__name__}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
