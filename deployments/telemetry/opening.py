"""Opens the database that the settings name: PostgreSQL, the embedded one, or SQLite."""

from __future__ import annotations

import asyncio
import functools
import logging

from deployments.telemetry import embedded, schema
from deployments.telemetry.errors import EmbeddedFailed, StoreUnavailable
from deployments.telemetry.postgres import PostgresStore
from deployments.telemetry.settings import TelemetrySettings
from deployments.telemetry.sqlite import SqliteStore
from deployments.telemetry.store import Store

log = logging.getLogger("balto.telemetry")


def open_store(settings: TelemetrySettings) -> Store:
    """The store of `settings`; it is reached, started where it is embedded, and migrated at its first use."""
    if settings.store == "sqlite":
        return SqliteStore(settings.sqlite_file)
    migrate = functools.partial(schema.ensure_postgres, connect_timeout_s=settings.connect_timeout_s)
    return PostgresStore(settings, functools.partial(_find_url, settings), migrate)


async def close_store(settings: TelemetrySettings, store: Store) -> None:
    """Close a store that `open_store` opened, and stop the embedded PostgreSQL unless somebody else owns it too."""
    await store.close()
    if settings.embedded:
        await asyncio.to_thread(embedded.stop, settings.embedded_dir)


async def _find_url(settings: TelemetrySettings) -> str:
    if settings.database_url is not None:
        return settings.database_url.get_secret_value()
    try:
        return await asyncio.to_thread(embedded.start, settings.embedded_dir)
    except EmbeddedFailed as exc:
        log.error("embedded_failed reason=%s", exc)
        raise StoreUnavailable("the embedded PostgreSQL does not start") from None
