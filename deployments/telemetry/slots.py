"""Which outbox is whose: each replica of a node locks a slot of its own and takes over what dead ones left."""

from __future__ import annotations

import fcntl
import logging
import os
from contextlib import closing
from pathlib import Path

from deployments.telemetry.errors import OutboxFailed
from deployments.telemetry.outbox_file import OutboxFile

log = logging.getLogger("balto.telemetry")

MAX_SLOTS = 64
"""Replicas of telemetry on one node, at most."""


class Slot:
    """A locked slot: `path` is its outbox. The lock goes with the process, however that ends."""

    def __init__(self, path: Path, lock_fd: int) -> None:
        self.path = path
        self._lock_fd = lock_fd

    def release(self) -> None:
        """Let another replica take the slot."""
        os.close(self._lock_fd)


def take_slot(directory: Path) -> Slot:
    """Lock the first free slot of `directory`, which is made when missing. Raises OutboxFailed where none is free."""
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for number in range(MAX_SLOTS):
            slot = _try_slot(directory / f"outbox-{number}.sqlite")
            if slot is not None:
                return slot
    except OSError as exc:
        raise OutboxFailed(f"{directory}: {exc.strerror}") from exc
    raise OutboxFailed(f"{directory}: all {MAX_SLOTS} slots are taken")


def _try_slot(path: Path) -> Slot | None:
    fd = os.open(path.with_suffix(".lock"), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except BaseException:
        os.close(fd)
        raise
    return Slot(path, fd)


def siblings(mine: Path) -> list[Path]:
    """The other outboxes of the same directory, whether their owners live or not."""
    return sorted(path for path in mine.parent.glob("outbox-*.sqlite") if path != mine)


def adopt_leftovers(mine: OutboxFile) -> int:
    """Move what dead replicas left into `mine`, under their locks, and remove their files; returns the rows moved.

    A crash in between leaves rows in both outboxes, which the database's keys make harmless. Raises OutboxFailed.
    """
    adopted = 0
    for path in siblings(mine.path):
        slot = _try_slot(path)
        if slot is None:
            continue
        try:
            adopted += _move(path, mine) if path.exists() else 0
        finally:
            slot.release()
    return adopted


def _move(path: Path, mine: OutboxFile) -> int:
    moved = 0
    with closing(OutboxFile(path, max_bytes=0)) as left:
        mine.adopt([], left.refused())
        while batch := left.batch(1000, now_us=1 << 62):
            mine.adopt([waiting.row for waiting in batch], [])
            left.delete(waiting.seq for waiting in batch)
            moved += len(batch)
    for suffix in ("-wal", "-shm", ""):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    log.info("outbox_adopted file=%s rows=%d", path.name, moved)
    return moved
