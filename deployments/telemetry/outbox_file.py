"""One outbox on disk: rows waiting for the database, in a SQLite file that survives crashes and power cuts."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deployments.telemetry.errors import OutboxFailed, OutboxFull
from deployments.telemetry.rows import Row

log = logging.getLogger("balto.telemetry")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS waiting (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, row_id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, session_id TEXT NOT NULL,
  recorded_us INTEGER NOT NULL, payload TEXT NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
  retry_us INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS waiting_session ON waiting (session_id);
CREATE TABLE IF NOT EXISTS refused (
  row_id TEXT PRIMARY KEY, kind TEXT NOT NULL, session_id TEXT NOT NULL, recorded_us INTEGER NOT NULL,
  payload TEXT NOT NULL, reason TEXT NOT NULL);
"""
ROW_OVERHEAD_BYTES = 512
"""What a row takes besides its payload: ids, indexes, the unused ends of pages (measured: 300 to 700)."""
_ROW = "row_id, kind, session_id, recorded_us, payload"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row in the outbox; `attempts` counts how often the database refused it."""

    seq: int
    row: Row
    attempts: int


@dataclass(frozen=True, slots=True)
class OutboxStats:
    """What an outbox holds: rows waiting and set aside, the recording instant of the oldest waiting one (µs), bytes."""

    waiting: int
    refused: int
    oldest_us: int | None
    used_bytes: int


class OutboxFile:
    """An open outbox. Not thread-safe: one thread at a time. Every method may raise OutboxFailed.

    `add` returns once the rows are synced to the disk (WAL, synchronous=FULL), so that they survive a power cut.
    A file that SQLite cannot read is set aside as `<name>.corrupt-<n>` and an empty one takes its place.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self.path = path
        self._max_bytes = max_bytes
        try:
            self._db = _open(path)
        except sqlite3.DatabaseError as exc:
            if isinstance(exc, sqlite3.OperationalError):
                raise OutboxFailed(f"{path.name}: {_kind(exc)}") from exc
            self._db = _open(_set_aside(path))

    def add(self, rows: Sequence[Row]) -> None:
        """Keep `rows` durably, all or none; rows kept already change nothing. Raises OutboxFull, OutboxFailed."""
        incoming = sum(len(row.payload) + ROW_OVERHEAD_BYTES for row in rows)
        with self._guard():
            if self._used_bytes() + incoming > self._max_bytes:
                raise OutboxFull("outbox_max_mb is reached")
            with self._transaction():
                self._db.executemany(
                    f"INSERT OR IGNORE INTO waiting ({_ROW}) VALUES (?, ?, ?, ?, ?)",  # noqa: S608
                    [(r.row_id, r.kind, r.session_id, r.recorded_us, r.payload) for r in rows],
                )

    def batch(self, limit: int, now_us: int) -> list[Waiting]:
        """The oldest rows that are due at `now_us`, at most `limit`."""
        sql = f"SELECT seq, {_ROW}, attempts FROM waiting WHERE retry_us <= ? ORDER BY seq LIMIT ?"  # noqa: S608
        with self._guard():
            return [Waiting(r[0], Row(*r[1:6]), r[6]) for r in self._db.execute(sql, (now_us, limit))]

    def of_session(self, session_id: str) -> list[Row]:
        """The rows of one session that wait, oldest first."""
        sql = f"SELECT {_ROW} FROM waiting WHERE session_id = ? ORDER BY seq"  # noqa: S608
        with self._guard():
            return [Row(*r) for r in self._db.execute(sql, (session_id,))]

    def forget_session(self, session_id: str) -> int:
        """Erase one session's rows, those set aside too; returns how many."""
        with self._guard(), self._transaction():
            return _forget_session(self._db, session_id)

    def delete(self, seqs: Iterable[int]) -> None:
        """Forget rows that the database has committed."""
        with self._guard(), self._transaction():
            self._db.executemany("DELETE FROM waiting WHERE seq = ?", [(seq,) for seq in seqs])

    def defer(self, seq: int, retry_us: int) -> None:
        """Count one refusal of a row and leave it alone until `retry_us`."""
        with self._guard(), self._transaction():
            self._db.execute("UPDATE waiting SET attempts = attempts + 1, retry_us = ? WHERE seq = ?", (retry_us, seq))

    def set_aside(self, seq: int, reason: str) -> None:
        """Move a row that the database keeps refusing to the table `refused`, where a person can look at it."""
        with self._guard(), self._transaction():
            self._db.execute(
                f"INSERT OR REPLACE INTO refused SELECT {_ROW}, ? FROM waiting WHERE seq = ?",  # noqa: S608
                (reason, seq),
            )
            self._db.execute("DELETE FROM waiting WHERE seq = ?", (seq,))

    def adopt(self, rows: Sequence[Row], refused: Sequence[tuple[Row, str]]) -> None:
        """Take over a dead replica's rows, whatever the limit: the disk holds them already."""
        with self._guard(), self._transaction():
            self._db.executemany(
                f"INSERT OR IGNORE INTO waiting ({_ROW}) VALUES (?, ?, ?, ?, ?)",  # noqa: S608
                [(r.row_id, r.kind, r.session_id, r.recorded_us, r.payload) for r in rows],
            )
            self._db.executemany(
                "INSERT OR IGNORE INTO refused VALUES (?, ?, ?, ?, ?, ?)",
                [(r.row_id, r.kind, r.session_id, r.recorded_us, r.payload, reason) for r, reason in refused],
            )

    def refused(self) -> list[tuple[Row, str]]:
        """The rows set aside, with the kind of refusal."""
        with self._guard():
            return [(Row(*r[:5]), r[5]) for r in self._db.execute(f"SELECT {_ROW}, reason FROM refused")]  # noqa: S608

    def stats(self) -> OutboxStats:
        """What the outbox holds now."""
        with self._guard():
            waiting, oldest = self._db.execute("SELECT count(*), min(recorded_us) FROM waiting").fetchone()
            refused = self._db.execute("SELECT count(*) FROM refused").fetchone()[0]
            return OutboxStats(waiting, refused, oldest, self._used_bytes())

    def close(self) -> None:
        """Close the file; what it holds stays."""
        self._db.close()

    def _used_bytes(self) -> int:
        pages, free, size = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * size)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    @contextmanager
    def _guard(self) -> Iterator[None]:
        """SQLite's errors as ours; their texts may quote a row, so only their kind is passed on."""
        try:
            yield
        except sqlite3.OperationalError as exc:
            if "is full" in str(exc):
                raise OutboxFull("the outbox's disk is full") from None
            raise OutboxFailed(f"{self.path.name}: {_kind(exc)}") from None
        except sqlite3.DatabaseError as exc:
            if type(exc) is sqlite3.DatabaseError:  # SQLITE_CORRUPT, SQLITE_NOTADB
                self._db.close()
                self._db = _open(_set_aside(self.path))
            raise OutboxFailed(f"{self.path.name}: {_kind(exc)}") from None


def read_session(path: Path, session_id: str) -> list[Row]:
    """The rows of a session that wait in another replica's outbox; none where it is gone. Raises OutboxFailed."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1.0)) as db:
            sql = f"SELECT {_ROW} FROM waiting WHERE session_id = ? ORDER BY seq"  # noqa: S608
            return [Row(*r) for r in db.execute(sql, (session_id,))]
    except sqlite3.Error as exc:
        if not path.exists() or "no such table" in str(exc):
            return []
        raise OutboxFailed(f"{path.name}: {_kind(exc)}") from None


def forget_session(path: Path, session_id: str) -> int:
    """Erase a session's rows from another replica's outbox; returns how many. Raises OutboxFailed."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=rw", uri=True, timeout=5.0)) as db, db:
            return _forget_session(db, session_id)
    except sqlite3.Error as exc:
        if not path.exists() or "no such table" in str(exc):
            return 0
        raise OutboxFailed(f"{path.name}: {_kind(exc)}") from None


def _forget_session(db: sqlite3.Connection, session_id: str) -> int:
    tables = ("waiting", "refused")
    return sum(db.execute(f"DELETE FROM {t} WHERE session_id = ?", (session_id,)).rowcount for t in tables)  # noqa: S608


def _open(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))  # people's health data: for the owner's eyes only
    db = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA secure_delete=ON")  # what is shipped or erased does not stay in the file's free pages
        db.execute(f"PRAGMA journal_size_limit={4 << 20}")
        if db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("quick_check")
        db.executescript(_SCHEMA)
    except BaseException:
        db.close()
        raise
    return db


def _set_aside(path: Path) -> Path:
    taken = {p.name for p in path.parent.glob(f"{path.name}.corrupt-*")}
    aside = next(p for n in range(len(taken) + 1) if (p := f"{path.name}.corrupt-{n}") not in taken)
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(path.with_name(aside + suffix))
    log.error("outbox_corrupt set_aside=%s", path.with_name(aside))
    return path


def _kind(exc: sqlite3.Error) -> str:
    name = getattr(exc, "sqlite_errorname", None)  # Python 3.11 and later
    return str(name or type(exc).__name__)
