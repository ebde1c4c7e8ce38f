"""The outbox on disk keeps what it was given, says when it cannot, and never dies of a broken file."""

from __future__ import annotations

import logging
import sqlite3
import stat
from pathlib import Path

import pytest
from telemetry_fakes import NOW, interaction

from deployments.telemetry.errors import OutboxFailed, OutboxFull
from deployments.telemetry.outbox_file import OutboxFile, read_session
from deployments.telemetry.rows import encode
from deployments.telemetry.slots import MAX_SLOTS, adopt_leftovers, siblings, take_slot

MB = 1_000_000


def rows(*numbers: int, **fields: str):
    return [encode(interaction(number, **fields), NOW) for number in numbers]


def fill(outbox: OutboxFile) -> int:
    """Add ten rows at a time until the outbox refuses; returns the rows added."""
    for start in range(0, 10_000, 10):
        try:
            outbox.add(rows(*range(start, start + 10), text="x" * 1000))
        except OutboxFull:
            return start
    raise AssertionError("never full")


def ids(outbox: OutboxFile) -> list[str]:
    return [waiting.row.row_id for waiting in outbox.batch(1000, now_us=0)]


def test_rows_are_there_after_the_process_is_gone(tmp_path: Path):
    OutboxFile(tmp_path / "a.sqlite", MB).add(rows(1, 2))  # never closed: as if killed
    assert ids(OutboxFile(tmp_path / "a.sqlite", MB)) == ["interaction:i-1", "interaction:i-2"]


def test_the_disk_is_synced_at_every_commit(tmp_path: Path):
    outbox = OutboxFile(tmp_path / "a.sqlite", MB)
    assert outbox._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert outbox._db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_row_recorded_twice_waits_once(tmp_path: Path):
    outbox = OutboxFile(tmp_path / "a.sqlite", MB)
    outbox.add(rows(1))
    outbox.add(rows(1, 2))
    assert ids(outbox) == ["interaction:i-1", "interaction:i-2"]


def test_what_people_said_is_for_the_owners_eyes_only(tmp_path: Path):
    outbox = OutboxFile(tmp_path / "a.sqlite", MB)
    outbox.add(rows(1))
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_at_its_limit_it_refuses_all_or_nothing_and_accepts_again_once_it_is_emptied(tmp_path: Path):
    outbox = OutboxFile(tmp_path / "a.sqlite", MB)
    stored = fill(outbox)
    assert 0.9 * MB < outbox.stats().used_bytes < 1.02 * MB
    assert len(outbox.batch(10_000, now_us=0)) == stored
    outbox.delete(waiting.seq for waiting in outbox.batch(10_000, now_us=0))
    outbox.add(rows(1))
    assert outbox.stats().waiting == 1


def test_a_full_disk_is_said_to_be_full_and_nothing_of_the_call_is_kept(tmp_path: Path):
    outbox = OutboxFile(tmp_path / "a.sqlite", 100 * MB)
    outbox.add(rows(1))
    pages = outbox._db.execute("PRAGMA page_count").fetchone()[0]
    outbox._db.execute(f"PRAGMA max_page_count={pages + 2}")  # SQLite's own way to run out of space
    with pytest.raises(OutboxFull, match="disk"):
        outbox.add(rows(*range(2, 60), text="x" * 2000))
    assert ids(outbox) == ["interaction:i-1"]


def test_a_corrupt_file_is_set_aside_and_named_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = tmp_path / "a.sqlite"
    path.write_bytes(b"this is no database" * 500)
    with caplog.at_level(logging.ERROR, "balto"):
        outbox = OutboxFile(path, MB)
    outbox.add(rows(1))
    assert ids(outbox) == ["interaction:i-1"]
    assert (tmp_path / "a.sqlite.corrupt-0").read_bytes().startswith(b"this is no database")
    assert "outbox_corrupt" in caplog.text


def test_a_second_corruption_does_not_overwrite_the_first(tmp_path: Path):
    path = tmp_path / "a.sqlite"
    for content in (b"first", b"second"):
        path.write_bytes(content * 1000)
        OutboxFile(path, MB).close()
        path.unlink()
    assert (tmp_path / "a.sqlite.corrupt-0").read_bytes().startswith(b"first")
    assert (tmp_path / "a.sqlite.corrupt-1").read_bytes().startswith(b"second")


def test_a_file_that_breaks_while_it_is_open_fails_one_call_and_then_works_again(tmp_path: Path):
    path = tmp_path / "a.sqlite"
    outbox = OutboxFile(path, 10 * MB)
    outbox.add(rows(*range(200)))
    outbox._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    outbox._db.execute("PRAGMA cache_size=1")
    path.write_bytes(path.read_bytes()[:4096] + b"\xff" * (path.stat().st_size - 4096))
    with pytest.raises(OutboxFailed):
        outbox.add(rows(*range(1000, 1200)))
    outbox.add(rows(5000))
    assert ids(outbox) == ["interaction:i-5000"]


def test_a_place_that_cannot_be_written_is_a_typed_error(tmp_path: Path):
    (tmp_path / "a.sqlite").mkdir()
    with pytest.raises((OutboxFailed, OSError)):
        OutboxFile(tmp_path / "a.sqlite", MB)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutboxFailed):
        take_slot(tmp_path / "file" / "outbox")


def test_errors_do_not_quote_rows(tmp_path: Path):
    outbox = OutboxFile(tmp_path / "a.sqlite", MB)
    outbox._db.execute("CREATE TRIGGER t BEFORE INSERT ON waiting BEGIN SELECT RAISE(ABORT, 'dor de cabeça'); END")
    with pytest.raises(OutboxFailed) as caught:
        outbox.add(rows(1, text="dor de cabeça"))
    assert "cabeça" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_deferred_row_waits_its_time_while_others_pass(tmp_path: Path):
    outbox = OutboxFile(tmp_path / "a.sqlite", MB)
    outbox.add(rows(1, 2))
    outbox.defer(outbox.batch(1, now_us=0)[0].seq, retry_us=100)
    assert [w.row.row_id for w in outbox.batch(10, now_us=99)] == ["interaction:i-2"]
    assert [(w.row.row_id, w.attempts) for w in outbox.batch(1, now_us=100)] == [("interaction:i-1", 1)]


def test_a_row_set_aside_can_still_be_read_by_a_person(tmp_path: Path):
    outbox = OutboxFile(tmp_path / "a.sqlite", MB)
    outbox.add(rows(1, 2))
    outbox.set_aside(outbox.batch(1, now_us=0)[0].seq, "DataError 22P02")
    [(row, reason)] = outbox.refused()
    assert (row, reason) == (rows(1)[0], "DataError 22P02")
    assert (outbox.stats().waiting, outbox.stats().refused) == (1, 1)


def test_every_replica_gets_a_slot_of_its_own_and_a_freed_one_is_taken_again(tmp_path: Path):
    first, second = take_slot(tmp_path / "outbox"), take_slot(tmp_path / "outbox")
    assert (first.path.name, second.path.name) == ("outbox-0.sqlite", "outbox-1.sqlite")
    first.release()
    third = take_slot(tmp_path / "outbox")
    assert third.path.name == "outbox-0.sqlite"
    third.release()
    second.release()


def test_more_replicas_than_slots_are_told_so(tmp_path: Path):
    taken = [take_slot(tmp_path) for _ in range(MAX_SLOTS)]
    with pytest.raises(OutboxFailed, match="slots are taken"):
        take_slot(tmp_path)
    for slot in taken:
        slot.release()


def test_what_a_dead_replica_left_is_taken_over_and_a_living_ones_is_left_alone(tmp_path: Path):
    mine, dead, living = (take_slot(tmp_path) for _ in range(3))
    left = OutboxFile(dead.path, MB)
    left.add(rows(2, 3))
    left.set_aside(left.batch(1, now_us=0)[0].seq, "DataError")
    dead.release()  # the process was killed: its lock is gone, its file is not
    OutboxFile(living.path, MB).add(rows(4))

    outbox = OutboxFile(mine.path, MB)
    outbox.add(rows(1))
    assert adopt_leftovers(outbox) == 1
    assert ids(outbox) == ["interaction:i-1", "interaction:i-3"]
    assert [row.row_id for row, _ in outbox.refused()] == ["interaction:i-2"]
    assert siblings(mine.path) == [living.path]
    mine.release()
    living.release()


def test_rows_adopted_twice_after_a_crash_wait_once(tmp_path: Path):
    mine, dead = take_slot(tmp_path), take_slot(tmp_path)
    OutboxFile(dead.path, MB).add(rows(1, 2))
    dead.release()
    outbox = OutboxFile(mine.path, MB)
    outbox.add(rows(1))  # adopted before, but the crash came before the deletion
    adopt_leftovers(outbox)
    assert ids(outbox) == ["interaction:i-1", "interaction:i-2"]
    mine.release()


@pytest.mark.parametrize("closed", [False, True])
def test_a_session_is_read_from_another_replicas_outbox(tmp_path: Path, closed: bool):
    other = OutboxFile(tmp_path / "outbox-1.sqlite", MB)
    other.add(rows(1) + rows(2, session_id="s-2"))
    if closed:
        other.close()
    assert [row.row_id for row in read_session(tmp_path / "outbox-1.sqlite", "s-2")] == ["interaction:i-2"]


def test_an_outbox_that_has_just_gone_holds_nothing_of_a_session(tmp_path: Path):
    assert read_session(tmp_path / "outbox-1.sqlite", "s-1") == []
    sqlite3.connect(tmp_path / "outbox-2.sqlite").close()
    assert read_session(tmp_path / "outbox-2.sqlite", "s-1") == []
