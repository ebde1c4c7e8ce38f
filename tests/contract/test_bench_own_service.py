"""What the bench starts is a service of its own, and nothing of it is left behind."""

import sys
import tempfile
from pathlib import Path

import psutil
import pytest

from bench.path import providers
from bench.path.service import BenchFailed, ServicePlan, own_service
from serve_app.local_ray import LocalRay

STANDS_READY = """
import signal, sys, time
def stop(*_): raise KeyboardInterrupt
signal.signal(signal.SIGINT, stop)
print("balto: ready after 0 s", flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    open(sys.argv[2] + ".stopped", "w").close()
    open(sys.argv[2].rsplit("/", 2)[0] + "/bench-was-stopped", "w").close()
"""


@pytest.fixture
def temporary(monkeypatch):
    """Where state directories are made. Not below pytest's own directory, which is closed to PostgreSQL's user."""
    with tempfile.TemporaryDirectory(prefix="balto-test-") as name:
        Path(name).chmod(0o711)
        monkeypatch.setattr("tempfile.tempdir", name)
        yield Path(name)


LEAVES_RAY_BEHIND = """
import os, signal, subprocess, sys, time
state_dir = os.path.dirname(sys.argv[2])
agent = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'], env={})"
subprocess.Popen([sys.executable, "-c", agent], env={**os.environ, "BALTO_RAY_OF": state_dir}, start_new_session=True)
time.sleep(0.5)
print("balto: ready after 0 s", flush=True)
time.sleep(60)
"""


def launcher(tmp_path, code):
    script = tmp_path / "launcher.py"
    script.write_text(code)
    return ServicePlan({}, launcher=(sys.executable, str(script)))


def gone(processes):
    return not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in processes)


def test_after_the_block_launcher_database_and_directory_are_gone(temporary):
    with own_service(launcher(temporary, STANDS_READY)) as service:
        processes = service.processes()
        assert len(processes) >= 3  # the launcher, and PostgreSQL's several
        assert service.state_dir.parent == temporary
    assert (temporary / "bench-was-stopped").exists()  # asked, not killed
    assert gone(processes)
    assert not service.state_dir.exists()


def test_a_block_that_fails_leaves_nothing_either(temporary):
    opened = own_service(launcher(temporary, STANDS_READY))
    processes = opened.__enter__().processes()
    assert opened.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None) is False
    assert gone(processes)
    assert [path.name for path in temporary.iterdir() if path.is_dir()] == []


def test_what_a_launcher_leaves_of_its_ray_is_ended_marked_or_not(temporary):
    with own_service(launcher(temporary, LEAVES_RAY_BEHIND)) as service:
        marked = LocalRay(service.state_dir).processes()
        unmarked = [child for process in marked for child in process.children()]
        assert len(marked) == len(unmarked) == 1
        assert {*marked, *unmarked} <= set(service.processes())
    assert gone([*marked, *unmarked])


def test_a_service_that_does_not_start_is_told_with_its_own_words(temporary):
    plan = launcher(temporary, "print('balto: port 1 is taken; set PORT to another one')")
    with pytest.raises(BenchFailed, match="port 1 is taken"), own_service(plan):
        pytest.fail("it is not there")
    assert [path.name for path in temporary.iterdir()] == ["launcher.py"]


def test_a_simulated_provider_listens_while_it_is_needed():
    with providers.elevenlabs(["oi"]) as provider:
        assert provider.process.is_running()
        assert provider.base_url.startswith("http://127.0.0.1:")
    assert not provider.process.is_running()
