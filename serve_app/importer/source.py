"""A previous installation's database, read only: a SQLite file or a PostgreSQL URL."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import asyncpg

BATCH_ROWS = 500
CONNECT_TIMEOUT_S = 10.0


class SourceError(Exception):
    """The source cannot be read; the text says why and what to do, and quotes no password and no row."""


class Source(Protocol):
    """Tables and their rows."""

    async def tables(self) -> dict[str, list[str]]:
        """The columns of every table, by its name."""

    def rows(self, table: str, columns: Sequence[str], order: str) -> AsyncIterator[list[dict[str, Any]]]:
        """All rows of a table in batches, ordered by a column of it."""


@asynccontextmanager
async def open_source(where: str) -> AsyncIterator[Source]:
    """The source at a path or a `postgresql://` URL. Raises SourceError."""
    if where.startswith(("postgres://", "postgresql://")):
        async with _postgres(where) as connection:
            yield PostgresSource(connection)
    else:
        db = _sqlite(Path(where))
        try:
            yield SqliteSource(db)
        except sqlite3.DatabaseError as exc:
            raise SourceError(f"{where}: SQLite cannot read it ({type(exc).__name__}); is the copy whole?") from None
        finally:
            db.close()


class SqliteSource:
    """A SQLite file."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    async def tables(self) -> dict[str, list[str]]:
        """See Source."""
        names = [n for (n,) in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        return {name: [row[1] for row in self._db.execute(f"PRAGMA table_info({_quoted(name)})")] for name in names}

    async def rows(self, table: str, columns: Sequence[str], order: str) -> AsyncIterator[list[dict[str, Any]]]:
        """See Source."""
        cursor = self._db.execute(_query(table, columns, order))
        while batch := cursor.fetchmany(BATCH_ROWS):
            yield [dict(zip(columns, row, strict=True)) for row in batch]


class PostgresSource:
    """A PostgreSQL database, inside one transaction that only reads."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def tables(self) -> dict[str, list[str]]:
        """See Source."""
        found: dict[str, list[str]] = {}
        for row in await self._connection.fetch(
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE table_schema = ANY (current_schemas(false)) ORDER BY table_name, ordinal_position"
        ):
            found.setdefault(row[0], []).append(row[1])
        return found

    async def rows(self, table: str, columns: Sequence[str], order: str) -> AsyncIterator[list[dict[str, Any]]]:
        """See Source."""
        cursor = await self._connection.cursor(_query(table, columns, order))
        while batch := await cursor.fetch(BATCH_ROWS):
            yield [dict(zip(columns, row.values(), strict=True)) for row in batch]


def _sqlite(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise SourceError(f"{path}: there is no such file; give a SQLite file or a postgresql:// URL")
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
        db.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.Error as exc:
        raise SourceError(f"{path}: not a SQLite database that can be read ({type(exc).__name__})") from None
    return db


@asynccontextmanager
async def _postgres(url: str) -> AsyncIterator[Any]:
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_TIMEOUT_S)
    except (OSError, ValueError, asyncio.TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as exc:
        raise SourceError(
            f"the source's PostgreSQL cannot be reached ({type(exc).__name__}): check host, user, password, database"
        ) from None
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            yield connection
    except asyncpg.PostgresError as exc:
        raise SourceError(f"the PostgreSQL of the source broke off ({type(exc).__name__}): run it again") from None
    finally:
        await connection.close(timeout=CONNECT_TIMEOUT_S)


def _query(table: str, columns: Sequence[str], order: str) -> str:
    names = ", ".join(_quoted(name) for name in columns)
    return f"SELECT {names} FROM {_quoted(table)} ORDER BY {_quoted(order)}"  # noqa: S608 - quoted names of the source


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
