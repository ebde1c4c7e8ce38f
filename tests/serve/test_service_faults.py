"""What an operator fears at night: a killed service, a dead database, a killed stage, Ctrl-C."""

import asyncio
import contextlib
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from serve_app.client import ClientSettings, CounterClient, source_from_file
from tests.support.services import ROOT, running_service

SAMPLE = ROOT / "samples" / "balcao.wav"
OUTAGE_S = 30
COUNTERS = 10
pytestmark = pytest.mark.timeout(400)


def processes_of(service):
    """What runs for this state directory: its Ray, its launcher, its PostgreSQL."""
    found = {process.pid for process in service.ray.processes()}
    for process in psutil.process_iter(["cmdline"]):
        if str(service.state_dir) in " ".join(process.info["cmdline"] or []) and process.pid != os.getpid():
            found.add(process.pid)
    return found


def alive(pids):
    """Those of `pids` that still run."""
    return {pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE}


async def speak(service, counters, speed):
    """Stream the bundled conversation from several counters at once; their session ids."""
    clients = [CounterClient(ClientSettings(url=service.url, speed=speed), service.key) for _ in range(counters)]
    runs = (client.run(source_from_file(SAMPLE), lambda event: None) for client in clients)
    await asyncio.wait_for(asyncio.gather(*runs), 200)
    return [client.session_id for client in clients]


def stop_database(data_dir: Path):
    """A fast shutdown, as an administrator would; returns when it has ended."""
    pid = int((data_dir / "postmaster.pid").read_text().split()[0])
    postmaster = psutil.Process(pid)
    postmaster.send_signal(signal.SIGINT)
    psutil.wait_procs([postmaster], timeout=20)


def start_database(data_dir: Path):
    """Start it from a process that ends: one that lived on would own it, and keep it running for good."""
    start = "import sys, pathlib; from deployments.telemetry import embedded; embedded.start(pathlib.Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", start, str(data_dir)], cwd=ROOT, check=True, timeout=60)


def test_a_database_that_is_away_for_30_s_under_10_counters_delays_rows_and_loses_none(service):
    data_dir = Path(service.state_dir) / "pgdata"
    asyncio.run(speak(service, 1, speed=8.0))  # the key is known before the database goes
    os.kill(service.process.pid, signal.SIGSTOP)  # or the launcher would bring the database back at once
    try:
        stop_database(data_dir)
        stopped = time.monotonic()
        sessions = asyncio.run(speak(service, COUNTERS, speed=2.0))
        time.sleep(max(0.0, OUTAGE_S - (time.monotonic() - stopped)))
        start_database(data_dir)
    finally:
        os.kill(service.process.pid, signal.SIGCONT)
    reference = asyncio.run(speak(service, 1, speed=2.0))[0]
    expected = len(service.rows(reference, at_least=5))
    assert expected >= 5
    for session in sessions:
        rows = service.rows(session, at_least=expected, within_s=40)
        intervals = sorted((row["first_sample"], row["end_sample"]) for row in rows)
        assert len(intervals) >= expected - 1  # the tail of the sample may fall into a neighbour
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(intervals))
        assert "perdido" not in {row["outcome"] for row in rows}


def test_a_killed_stage_costs_no_utterance(service):
    async def speak_while_stages_die():
        speaking = asyncio.create_task(speak(service, 3, speed=2.0))
        await asyncio.sleep(6)
        for process in service.ray.processes():
            with contextlib.suppress(psutil.Error):
                if any(f"ServeReplica:balto:{name}" in process.name() + " ".join(process.cmdline()) for name in STAGES):
                    process.kill()
        return await speaking

    sessions = asyncio.run(speak_while_stages_die())
    for session in sessions:
        rows = service.rows(session, at_least=5, within_s=30)
        assert len(rows) >= 5
        assert all(row["outcome"] for row in rows)
    deadline = time.monotonic() + 60
    while service.get("/saude")["estado"] != "ok":
        assert time.monotonic() < deadline
        time.sleep(0.5)


STAGES = ("Voice", "Recommender")


def test_killed_minus_9_it_starts_again_cleanly_and_ctrl_c_leaves_nothing():
    with running_service("--lean") as service:
        key = service.key
        service.process.kill()
        service.process.wait(10)
        orphans = {process.pid for process in service.ray.processes()}  # its PostgreSQL is taken over as it is
        assert orphans, "a killed launcher leaves its Ray behind: that is what the next start must end"
        service.start()
        assert not alive(orphans)
        assert service.key == key
        sessions = asyncio.run(speak(service, 1, speed=4.0))
        assert len(service.rows(sessions[0], at_least=5)) >= 5
        everything = processes_of(service)
        took_s = service.stop()
        assert took_s < 15
        assert not alive(everything)
        assert not service.ray.temp_dir.exists()
