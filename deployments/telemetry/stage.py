"""The telemetry stage: records what happened without anybody waiting for the database, and answers from it."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

from deployments.metrics import Metrics, NoMetrics
from deployments.telemetry import embedded, schema
from deployments.telemetry.errors import EmbeddedFailed, OutboxFailed, OutboxFull, StoreUnavailable
from deployments.telemetry.outbox import Outbox
from deployments.telemetry.postgres import PostgresStore
from deployments.telemetry.records import Client, Counter, Feedback, Interaction, SessionState
from deployments.telemetry.rows import Row, encode
from deployments.telemetry.session_state import session_state
from deployments.telemetry.settings import TelemetrySettings
from deployments.telemetry.shipper import Shipper
from deployments.telemetry.sqlite import SqliteStore
from deployments.telemetry.store import Store

log = logging.getLogger("balto.telemetry")

PING_TIMEOUT_S = 2.0
"""How long `health` waits for the database."""


class Telemetry:
    """One replica of the stage. Every method starts it first; none of them needs the database to be there, save the
    look-ups, which raise StoreUnavailable without it. Errors are those of `errors.py`; they cross processes.
    """

    def __init__(
        self,
        settings: TelemetrySettings,
        metrics: Metrics | None = None,
        make_store: Callable[[TelemetrySettings], Store] | None = None,
    ) -> None:
        self._settings = settings
        self._metrics: Metrics = metrics or NoMetrics()
        self._embedded = settings.store == "postgres" and settings.database_url is None
        self._make_store = make_store or self._open_store
        self._starting = asyncio.Lock()
        self._started: tuple[Outbox, Store, Shipper] | None = None
        self._closed = False
        self._known: OrderedDict[str, Counter] = OrderedDict()

    async def start(self) -> None:
        """Open the outbox and begin shipping; again: nothing. Raises OutboxFailed."""
        await self._parts()

    async def record(self, rows: Sequence[Interaction | Feedback]) -> int:
        """Keep `rows`, all or none; returns their number once they are synced to this node's disk.

        Raises OutboxFull and OutboxFailed (nothing was recorded: try again later), and ValueError, naming the field,
        for an instant without a time zone.
        """
        outbox, _, _ = await self._parts()
        now = datetime.now(timezone.utc)
        encoded = [encode(row, now) for row in rows]
        if encoded:
            await self._keep(outbox, encoded)
        return len(encoded)

    async def _keep(self, outbox: Outbox, rows: list[Row]) -> None:
        try:
            await outbox.record(rows)
        except OutboxFull as exc:
            self._metrics.count("telemetry_outbox_full", len(rows))
            log.error("outbox_full refused_rows=%d reason=%s", len(rows), exc)
            raise

    async def find_counter(self, key_hash: str) -> Counter | None:
        """The counter whose key has this SHA-256 (hexadecimal), revoked or not; None: no such key.

        While the database is away, counters that this replica has seen are answered from memory.
        """
        try:
            counter = await (await self._store()).find_counter(key_hash)
        except StoreUnavailable:
            if key_hash not in self._known:
                raise
            self._metrics.count("telemetry_counters_from_memory")
            return self._known[key_hash]
        self._remember(key_hash, counter)
        return counter

    def _remember(self, key_hash: str, counter: Counter | None) -> None:
        self._known.pop(key_hash, None)
        if counter is not None:
            self._known[key_hash] = counter
        while len(self._known) > self._settings.known_counters_max:
            self._known.popitem(last=False)

    async def find_client(self, code: str) -> Client | None:
        """The client of this code."""
        return await (await self._store()).find_client(code)

    async def create_client(self, email: str, company: str, phone: str) -> Client:
        """A new client with a code that cannot be guessed. Raises EmailTaken."""
        return await (await self._store()).create_client(email, company, phone)

    async def create_counter(self, client_code: str, name: str, key_hash: str) -> Counter:
        """A new counter of a client. Raises UnknownClient, KeyTaken."""
        return await (await self._store()).create_counter(client_code, name, key_hash)

    async def revoke_counter(self, counter_id: str) -> None:
        """From now on the counter's key opens nothing. Raises UnknownCounter."""
        await (await self._store()).revoke_counter(counter_id)
        self._forget(counter_id)

    async def counters_of(self, client_code: str) -> list[Counter]:
        """A client's counters by name. Raises UnknownClient."""
        return await (await self._store()).counters_of(client_code)

    async def set_vad_settings(self, counter_id: str, settings: Mapping[str, float] | None) -> None:
        """Keep a counter's gate settings (None: the service's). Raises UnknownCounter."""
        await (await self._store()).set_vad_settings(counter_id, settings)
        self._forget(counter_id)

    def _forget(self, counter_id: str) -> None:
        for key_hash in [k for k, counter in self._known.items() if counter.counter_id == counter_id]:
            del self._known[key_hash]

    async def interactions(
        self,
        limit: int = 100,
        offset: int = 0,
        counter_id: str | None = None,
        client_id: str | None = None,
        session_id: str | None = None,
        since: datetime | None = None,
        before: datetime | None = None,
    ) -> list[dict[str, Any]]:
        """Interactions in the database, newest first, with all columns; at most 10,000 at once."""
        store = await self._store()
        return await store.interactions(
            limit,
            offset,
            counter_id=counter_id,
            client_id=client_id,
            session_id=session_id,
            since=since,
            before=before,
        )

    async def counter_metrics(self, counter_id: str, since: datetime | None = None) -> dict[str, Any]:
        """A counter's figures: `interacoes`, `por_desfecho`, `atraso` (`p50_ms`, `p95_ms`, `max_ms` from the end of
        speech to the suggestion on the socket, over `amostras`), `custo_stt_usd`, `custo_llm_usd`, `audio_s`,
        `retornos`."""
        return await (await self._store()).counter_metrics(counter_id, since)

    async def session_state(self, session_id: str) -> SessionState:
        """What is recorded of a session, in the database and in this node's outboxes. Raises OutboxFailed too."""
        outbox, store, _ = await self._parts()
        waiting = await outbox.of_session(session_id)  # first: a row on its way is then seen once or twice, never not
        return session_state(await store.session_rows(session_id), waiting)

    async def health(self) -> dict[str, Any]:
        """`degraded`, `store`, `database_up`, `outbox_rows`, `outbox_oldest_s`, `outbox_mb`, `rows_set_aside` (in the
        outbox), `rows_written`, `rows_refused` (by this replica)."""
        outbox, store, shipper = await self._parts()
        stats = await outbox.stats()
        age_s = 0.0 if stats.oldest_us is None else max(0.0, time.time() - stats.oldest_us / 1e6)
        database_up = await self._database_up(store)
        return {
            "degraded": not database_up,
            "store": self._settings.store,
            "database_up": database_up,
            "outbox_rows": stats.waiting,
            "outbox_oldest_s": round(age_s, 3),
            "outbox_mb": round(stats.used_bytes / 1e6, 3),
            "rows_set_aside": stats.refused,
            "rows_written": shipper.rows_written,
            "rows_refused": shipper.rows_refused,
        }

    async def close(self) -> None:
        """Ship what is left for a stated while, then close everything, for good; again: nothing."""
        async with self._starting:
            parts, self._started, self._closed = self._started, None, True
        if parts is None:
            return
        outbox, store, shipper = parts
        await shipper.close()
        await outbox.close()
        await store.close()
        if self._embedded:
            await asyncio.to_thread(embedded.stop, self._settings.embedded_dir)

    async def _database_up(self, store: Store) -> bool:
        try:
            await asyncio.wait_for(store.ping(), PING_TIMEOUT_S)
        except (StoreUnavailable, asyncio.TimeoutError):
            return False
        return True

    async def _store(self) -> Store:
        return (await self._parts())[1]

    async def _parts(self) -> tuple[Outbox, Store, Shipper]:
        async with self._starting:
            if self._closed:
                raise OutboxFailed("telemetry is closed")
            if self._started is None:
                settings = self._settings
                outbox = Outbox(settings.outbox_dir, settings.outbox_max_mb * 1_000_000, self._metrics)
                await outbox.open()
                store = self._make_store(settings)
                shipper = Shipper(outbox, store, settings, self._metrics)
                shipper.start()
                self._started = (outbox, store, shipper)
            return self._started

    def _open_store(self, settings: TelemetrySettings) -> Store:
        if settings.store == "sqlite":
            return SqliteStore(settings.sqlite_file)
        migrate = functools.partial(schema.ensure_postgres, connect_timeout_s=settings.connect_timeout_s)
        return PostgresStore(settings, self._find_url, migrate)

    async def _find_url(self) -> str:
        url = self._settings.database_url
        if url is not None:
            return url.get_secret_value()
        try:
            return await asyncio.to_thread(embedded.start, self._settings.embedded_dir)
        except EmbeddedFailed as exc:
            log.error("embedded_failed reason=%s", exc)
            raise StoreUnavailable("the embedded PostgreSQL does not start") from None
