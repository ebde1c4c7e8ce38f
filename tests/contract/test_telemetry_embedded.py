"""The embedded PostgreSQL starts again after anything that may have happened to it, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import asyncpg
import psutil
import pytest

from deployments.telemetry import embedded
from deployments.telemetry.errors import EmbeddedFailed
from deployments.telemetry.records import Interaction
from deployments.telemetry.settings import TelemetrySettings
from deployments.telemetry.stage import Telemetry

REPOSITORY = Path(__file__).resolve().parents[2]
OWNER = (
    "import sys, time, pathlib; from deployments.telemetry import embedded;"
    "print(embedded.start(pathlib.Path(sys.argv[1])), flush=True); time.sleep(60)"
)


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="balto-test-", dir="/tmp"))
    root.chmod(0o755)  # as root, PostgreSQL runs as another user, who must reach its data
    yield root
    shutil.rmtree(root)


@pytest.fixture(scope="module")
def initialised(root: Path) -> Iterator[Path]:
    data_dir = root / "pgdata"
    yield data_dir
    embedded.stop(data_dir)


@pytest.fixture
def data_dir(initialised: Path) -> Iterator[Path]:
    """A stopped server before and after each test."""
    embedded.stop(initialised)
    yield initialised
    embedded.stop(initialised)


def servers(data_dir: Path) -> list[psutil.Process]:
    return [p for p in psutil.process_iter() if embedded._serves(p, data_dir)]


def postmaster(data_dir: Path) -> psutil.Process:
    return psutil.Process(int((data_dir / "postmaster.pid").read_text().splitlines()[0]))


def kill_and_wait(process: psutil.Process) -> None:
    process.kill()
    psutil.wait_procs([process], timeout=5)


def ask(url: str, sql: str = "SELECT 1") -> object:
    async def run() -> object:
        connection = await asyncpg.connect(url, timeout=5)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(run())


def start_owner(data_dir: Path) -> tuple[subprocess.Popen[str], str]:
    """Another process that owns the server."""
    command = [sys.executable, "-c", OWNER, str(data_dir)]
    owner = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    return owner, owner.stdout.readline().strip()


def test_starting_twice_gives_the_same_server_and_stopping_leaves_no_process(data_dir: Path):
    url = embedded.start(data_dir)
    first = postmaster(data_dir)
    assert embedded.start(data_dir) == url
    assert postmaster(data_dir).pid == first.pid
    assert ask(url) == 1
    embedded.stop(data_dir)
    assert servers(data_dir) == []
    embedded.stop(data_dir)


def test_nobody_else_can_reach_it(data_dir: Path):
    url = embedded.start(data_dir)
    assert ask(url, "SHOW listen_addresses") == ""
    assert data_dir.stat().st_mode & 0o077 == 0


def test_it_takes_little_memory(data_dir: Path):
    embedded.start(data_dir)
    assert sum(p.memory_full_info().pss for p in servers(data_dir)) < 40e6


def test_the_data_survives_a_killed_server_even_when_nobody_reaps_it(data_dir: Path):
    url = embedded.start(data_dir)
    ask(url, "CREATE TABLE IF NOT EXISTS kept AS SELECT 42 AS x")
    kill_and_wait(postmaster(data_dir))
    assert ask(embedded.start(data_dir), "SELECT x FROM kept LIMIT 1") == 42


def test_a_lock_file_whose_number_is_now_somebody_elses_does_not_stop_the_start(data_dir: Path):
    embedded.start(data_dir)
    content = (data_dir / "postmaster.pid").read_text().splitlines()
    embedded.stop(data_dir)
    stranger = "\n".join([str(os.getpid()), *content[1:]]) + "\n"
    for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
        (data_dir / name).write_text(stranger)
    assert ask(embedded.start(data_dir)) == 1


def test_the_server_of_a_killed_owner_is_used_again_and_can_be_stopped(data_dir: Path):
    owner, url = start_owner(data_dir)
    before = postmaster(data_dir).pid
    owner.send_signal(signal.SIGKILL)
    owner.wait(5)
    assert embedded.start(data_dir) == url
    assert postmaster(data_dir).pid == before
    embedded.stop(data_dir)
    assert servers(data_dir) == []


def test_a_server_that_another_process_owns_too_is_left_running(data_dir: Path):
    owner, url = start_owner(data_dir)
    try:
        assert embedded.start(data_dir) == url
        embedded.stop(data_dir)
        assert ask(url) == 1
    finally:
        owner.kill()
        owner.wait(5)


def test_a_start_cut_short_leaves_nothing_in_the_way(root: Path):
    data_dir = root / "halfway" / "pgdata"
    (root / "halfway" / "pgdata.new" / "base").mkdir(parents=True)
    try:
        assert ask(embedded.start(data_dir)) == 1
        assert sorted(p.name for p in data_dir.parent.iterdir()) == ["pgdata", "pgdata.lock", "pgdata.owners"]
    finally:
        embedded.stop(data_dir)


def test_a_directory_of_something_else_is_not_touched(root: Path):
    (root / "photos").mkdir()
    (root / "photos" / "cat.jpg").write_text("miaow")
    with pytest.raises(EmbeddedFailed, match="not PostgreSQL's"):
        embedded.start(root / "photos")
    assert [p.name for p in (root / "photos").iterdir()] == ["cat.jpg"]


def test_a_server_that_cannot_start_says_where_to_read_why(data_dir: Path):
    embedded.start(data_dir)
    embedded.stop(data_dir)
    (data_dir / "postgresql.auto.conf").write_text("nonsense = 1\n")
    with pytest.raises(EmbeddedFailed, match=r"postgresql\.log"):
        embedded.start(data_dir)
    (data_dir / "postgresql.auto.conf").write_text("")
    assert ask(embedded.start(data_dir)) == 1


def test_a_path_too_long_for_a_socket_still_works(root: Path):
    data_dir = root / ("x" * 100) / "pgdata"
    url = embedded.start(data_dir)
    sockets = Path(url.split("host=")[1])
    try:
        assert ask(url) == 1
        assert sockets.stat().st_mode & 0o077 == 0
    finally:
        embedded.stop(data_dir)
        shutil.rmtree(sockets)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has this problem")
def test_as_root_no_closed_directory_is_opened(root: Path):
    closed = root / "closed"
    closed.mkdir(mode=0o700)
    url = embedded.start(closed / "state" / "pgdata")
    place = Path(url.split("host=")[1])
    try:
        assert ask(url) == 1
        assert closed.stat().st_mode & 0o077 == 0
        assert place.is_relative_to("/var/lib/balto")
    finally:
        embedded.stop(closed / "state" / "pgdata")
        shutil.rmtree(place.parent)
        if not any(place.parent.parent.iterdir()):
            place.parent.parent.rmdir()


def test_what_people_said_is_not_in_the_servers_log(data_dir: Path):
    url = embedded.start(data_dir)
    ask(url, "CREATE TABLE IF NOT EXISTS heard (text text PRIMARY KEY)")
    ask(url, "INSERT INTO heard VALUES ('dor de cabeça') ON CONFLICT DO NOTHING")
    for sql in ("INSERT INTO heard VALUES ('dor de cabeça')", "SELECT 'dor de cabeça'::int"):
        with pytest.raises(asyncpg.PostgresError):
            ask(url, sql)
    log = (data_dir / "postgresql.log").read_text()
    assert "ready to accept connections" in log
    assert "dor de" not in log


async def test_a_stage_that_owns_the_server_brings_it_back_and_stops_it_when_it_closes(root: Path):
    settings = TelemetrySettings(state_dir=root / "state", flush_interval_ms=10, retry_max_s=0.5)
    telemetry = Telemetry(settings)
    await telemetry.record([interaction("i-1")])
    await shipped(telemetry)
    await asyncio.to_thread(kill_and_wait, postmaster(settings.embedded_dir))
    await telemetry.record([interaction("i-2")])
    await shipped(telemetry)
    assert {r["interaction_id"] for r in await telemetry.interactions()} == {"i-1", "i-2"}
    await telemetry.close()
    assert servers(settings.embedded_dir) == []


def interaction(interaction_id: str) -> Interaction:
    return Interaction(
        interaction_id, "c", "b", "s", "u", "n", "4.0.0", "nada", speech_ended_at=datetime.now(timezone.utc)
    )


async def shipped(telemetry: Telemetry) -> None:
    """Wait until the outbox is empty, 20 s at most."""
    for _ in range(400):
        if (await telemetry.health())["outbox_rows"] == 0:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(await telemetry.health())
