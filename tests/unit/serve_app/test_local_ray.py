"""A Ray of our own: ports that nobody shares, secrets that nobody else reads, processes that are ours alone."""

import os
import socket
import stat
import subprocess
import sys

import psutil

from serve_app.local_ray import (
    MARK,
    LocalRay,
    _boot_id,
    _ports_of_serve,
    end_processes,
    free_port,
    is_free,
    wait_until,
    write_secret,
)


def test_a_port_that_somebody_listens_on_is_not_free():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
    assert is_free(free_port())


def test_serve_gets_ports_of_which_none_is_in_use(tmp_path):
    ray = LocalRay(tmp_path)
    first = ray._first_port()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)  # as a replica of another service would
        taken.bind(("0.0.0.0", first + 1))
        taken.listen()
        elsewhere = ray._first_port()
    assert elsewhere != first


def test_no_port_of_serve_is_shared_by_two_services(tmp_path):
    first = LocalRay(tmp_path / "one")._first_port()
    with socket.create_server(("", first)):  # as the first service does: the two names may lead to the same ports
        one, two = _ports_of_serve(first), _ports_of_serve(LocalRay(tmp_path / "two")._first_port())
    assert len(one) == 8
    assert len(set(one.values()) | set(two.values())) == 16


def test_two_state_directories_have_nothing_in_common(tmp_path):
    one, two = LocalRay(tmp_path / "one"), LocalRay(tmp_path / "two")
    assert one.temp_dir != two.temp_dir
    assert len(str(one.temp_dir / "h" / ("x" * 56) / "admin.sock")) <= 97


def test_a_secret_is_its_owners_from_the_first_byte(tmp_path):
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    write_secret(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_only_processes_that_carry_our_mark_are_ours_and_they_end(tmp_path):
    sleeper = [sys.executable, "-c", "import time; time.sleep(60)"]
    ours = subprocess.Popen(sleeper, env={**os.environ, MARK: str(tmp_path)})
    other = subprocess.Popen(sleeper, env={**os.environ, MARK: str(tmp_path / "other")})
    try:
        assert wait_until(lambda: LocalRay(tmp_path).processes(), 5, every_s=0.01)
        assert [process.pid for process in LocalRay(tmp_path).processes()] == [ours.pid]
        end_processes(LocalRay(tmp_path).processes())
        assert not psutil.pid_exists(ours.pid)
        assert other.poll() is None
    finally:
        ours.kill()
        other.kill()
        ours.wait()
        other.wait()


def test_a_process_without_our_mark_is_ours_by_the_session_that_it_was_started_in(tmp_path):
    ray = LocalRay(tmp_path)
    agent = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)", "ray::Agent"], start_new_session=True
    )
    other = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)", "ray::Agent"], start_new_session=True
    )
    try:
        ray._session_path.write_text(f"{_boot_id()} {agent.pid}")
        assert wait_until(ray.processes, 5, every_s=0.01)
        assert [process.pid for process in ray.processes()] == [agent.pid]
        ray._session_path.write_text(f"another-boot {agent.pid}")
        assert ray.processes() == []
        ray._session_path.write_text("garbage")
        assert ray.processes() == []
    finally:
        for process in (agent, other):
            process.kill()
            process.wait()


def test_why_serve_refused_the_application_is_read_from_its_log(tmp_path, monkeypatch):
    ray = LocalRay(tmp_path)
    logs = ray.temp_dir / "session_latest/logs/serve"
    logs.mkdir(parents=True)
    try:
        assert ray.refusal() is None
        (logs / "controller_1.log").write_text(
            "INFO 2026-11-22 10:00:00 controller 1 -- Building application 'balto'.\n"
            "ERROR 2026-11-22 10:00:01 controller 1 -- Deploying app 'balto' failed with exception:\n"
            "Traceback (most recent call last):\n  File …\nValueError: no such model\n\n"
            "WARNING 2026-11-22 10:00:02 controller 1 -- The deployment failed.\n"
        )
        assert ray.refusal() == "ValueError: no such model"
    finally:
        ray.stop(gracefully=False)
    assert not ray.temp_dir.exists()
