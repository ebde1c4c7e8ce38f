"""The telemetry stage: records what happened without anybody waiting for the database, and answers from it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from cestas.ordering import Tally, Uplift
from deployments.metrics import Metrics, NoMetrics
from deployments.telemetry.access import AccessRelay
from deployments.telemetry.audio_folder import AudioFolder, KeptAudio
from deployments.telemetry.console_queries import ROWS_MAX, SUMMARY, ConsoleRelay
from deployments.telemetry.costs import DAY_BEGINS_UTC_H, Cost
from deployments.telemetry.erasure import Erased, json_ready
from deployments.telemetry.errors import OutboxFailed, OutboxFull, StoreUnavailable
from deployments.telemetry.leases import Leases, RollAnswer, RollCall
from deployments.telemetry.opening import close_store, open_store
from deployments.telemetry.outbox import Outbox
from deployments.telemetry.records import Client, Counter, Feedback, Interaction, SessionState
from deployments.telemetry.retention import Retention
from deployments.telemetry.rollups import Rollups
from deployments.telemetry.rows import Row, decode, encode, microseconds, readable
from deployments.telemetry.session_state import session_state, without_database
from deployments.telemetry.settings import TelemetrySettings
from deployments.telemetry.shipper import Shipper
from deployments.telemetry.store import Store
from deployments.telemetry.traces import Traces

log = logging.getLogger("balto.telemetry")

EXPORT_ROWS = 500
"""Rows of a session in one answer: some 1.5 MB, where a message between processes may have 4 MiB."""
PING_TIMEOUT_S = 2.0
"""How long `health` waits for the database."""


class Telemetry(AccessRelay, ConsoleRelay):
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
        self._traces = Traces(settings.traces, self._metrics)
        self._make_store = make_store or open_store
        self._starting = asyncio.Lock()
        self._started: tuple[Outbox, Store, Shipper] | None = None
        self._retention: Retention | None = None
        self._rollups: Rollups | None = None
        self._audio = AudioFolder(settings.audio_dir, settings.seal, settings.audio.min_free_mb * 1_000_000)
        self._closed = False
        self._known: OrderedDict[str, Counter] = OrderedDict()
        self._leases = Leases()
        self._fresh: deque[Row] = deque(maxlen=ROWS_MAX)
        """The newest interactions, which the console's live list may show before the database has them."""

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
            self._traces.take(rows)
            self._fresh.extend(row for row in encoded if row.kind == "interaction")
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

    async def rotate_key(self, counter_id: str, key_hash: str) -> None:
        """See AccessStore."""
        await super().rotate_key(counter_id, key_hash)
        self._forget(counter_id)

    async def _relay(self, question: str, *args: Any) -> Any:
        return await getattr(await self._store(), question)(*args)

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

    async def costs(self, since: datetime, day_begins_utc_h: int = DAY_BEGINS_UTC_H, client_id: str = "") -> list[Cost]:
        """What was spent since then, by client and day, oldest day first; of one client, or of all."""
        return await (await self._store()).costs(since, day_begins_utc_h, client_id)

    async def item_tallies(self, client_id: str, window_days: int) -> dict[str, dict[str, Tally]]:
        """How often each item was shown and taken at a client's counters of late: cesta → item id → counts."""
        since = datetime.now(timezone.utc) - timedelta(days=window_days)
        return await (await self._store()).item_tallies(client_id, since)

    async def order_uplift(self, since: datetime, client_id: str = "") -> Uplift | None:
        """The learned order against the pharmacist's, of one client or of all; None: not known yet."""
        return await (await self._store()).order_uplift(since, client_id)

    async def latest(self, recorded_after: datetime, limit: int) -> list[dict[str, Any]]:
        """See ConsoleStore; what this replica recorded is there before the database has it."""
        rows = await (await self._store()).latest(recorded_after, limit)
        known = {row["interaction_id"] for row in rows}
        fresh = [readable(decode(row.kind, row.payload)) for row in self._fresh if _later(row, recorded_after)]
        rows += [{name: row[name] for name in SUMMARY} for row in fresh if row["interaction_id"] not in known]
        return sorted(rows, key=lambda row: (row["recorded_at"], row["happened_at"]), reverse=True)[:limit]

    async def session_state(self, session_id: str) -> SessionState:
        """What is recorded of a session, in the database and in this node's outboxes; `partial` without the database.

        Raises OutboxFailed.
        """
        outbox, store, _ = await self._parts()
        waiting = await outbox.of_session(session_id)  # first: a row on its way is then seen once or twice, never not
        try:
            rows = await store.session_rows(session_id)
        except StoreUnavailable as exc:
            self._metrics.count("telemetry_sessions_from_outbox")
            log.warning("session_state_partial error=%s", type(exc).__name__)
            return without_database(waiting, datetime.now(timezone.utc))
        return session_state(rows, waiting, datetime.now(timezone.utc))

    async def claim_session(self, session_id: str, epoch: int, replica: str) -> int | None:
        """See Leases.claim; needs no database."""
        return self._leases.claim(session_id, epoch, replica, time.time())

    async def roll_call(self, roll: RollCall) -> RollAnswer:
        """See Leases.call; needs no database."""
        return self._leases.call(roll, time.time())

    async def order_drain(self, node: str = "", *, leave: bool = True) -> None:
        """See Leases.order_drain; without `leave` the order is called off."""
        if leave:
            self._leases.order_drain(node, time.time())
        else:
            self._leases.call_off(node)

    async def erase_session(self, session_id: str) -> Erased:
        """Erase everything kept of a session; what of it still arrives is not written. Raises OutboxFailed too.

        What happens in the session from now on is kept again.
        """
        outbox, store, _ = await self._parts()
        at = datetime.now(timezone.utc)
        interactions, feedback = await store.erase_session(session_id, at)
        waiting = await outbox.forget_session(session_id)
        self._fresh = deque((row for row in self._fresh if row.session_id != session_id), ROWS_MAX)
        audio = await asyncio.to_thread(self._audio.forget_session, session_id)
        erased = Erased(interactions, feedback, waiting, audio)
        self._metrics.count("telemetry_sessions_erased")
        log.info("session_erased session=%s interactions=%d waiting=%d", session_id, interactions, erased.waiting)
        return erased

    async def export_session(self, session_id: str, limit: int = EXPORT_ROWS, offset: int = 0) -> dict[str, Any]:
        """Everything kept of a session, ready for JSON, at most `limit` rows of each table after the first `offset`:
        `sessao`, `interacoes`, `retornos`, `mais` (whether there are more), `na_fila` (rows of this node's outboxes
        that the database does not have yet), `audios` (utterances whose audio this node keeps). Raises OutboxFailed
        too."""
        outbox, store, _ = await self._parts()
        waiting = await outbox.of_session(session_id)  # first: a row on its way is then seen once or twice, never not
        contents = await store.session_contents(session_id, limit, offset)
        return {
            "sessao": session_id,
            "interacoes": json_ready(contents.interactions),
            "retornos": json_ready(contents.feedback),
            "mais": max(len(contents.interactions), len(contents.feedback)) >= limit,
            "na_fila": json_ready([readable(decode(row.kind, row.payload)) for row in waiting]),
            "audios": await asyncio.to_thread(self._audio.of_session, session_id),
        }

    async def keep_audio(self, audio: KeptAudio) -> bool:
        """Keep an utterance's audio on this node's disk, sealed, where that is switched on; whether it was kept.

        Raises OutboxFull where the disk is short of space, OutboxFailed where it cannot be written.
        """
        if not self._settings.audio.keep:
            return False
        try:
            await asyncio.to_thread(self._audio.keep, audio)
        except OSError as exc:
            raise OutboxFailed(f"audio: {type(exc).__name__}") from None
        self._metrics.count("telemetry_audio_kept")
        return True

    async def kept_audio(self, session_id: str, utterance_id: str) -> bytes | None:
        """An utterance's audio (16 kHz mono s16le), where this node keeps it. Raises SealBroken."""
        return await asyncio.to_thread(self._audio.read, session_id, utterance_id)

    def _forget_old_audio(self, now: datetime) -> int:
        return self._audio.forget_before((now - timedelta(days=self._settings.audio.days)).date())

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
        if self._retention is not None:
            await self._retention.close()
        if self._rollups is not None:
            await self._rollups.close()
        await shipper.close()
        await self._traces.close()
        await outbox.close()
        await close_store(self._settings, store)

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
                outbox = Outbox(settings.outbox_dir, settings.outbox_max_mb * 1_000_000, self._metrics, settings.seal)
                await outbox.open()
                store = self._make_store(settings)
                shipper = Shipper(outbox, store, settings, self._metrics)
                shipper.start()
                self._retention = Retention(
                    settings.retention, store, self._metrics, forget_audio=self._forget_old_audio
                )
                self._retention.start()
                self._rollups = Rollups(store, self._metrics, settings.figures_every_s)
                self._rollups.start()
                self._started = (outbox, store, shipper)
            return self._started


def _later(row: Row, instant: datetime) -> bool:
    return row.recorded_us > microseconds(instant)
