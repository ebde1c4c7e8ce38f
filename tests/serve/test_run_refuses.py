"""`make run` says in one line what keeps it from starting."""

import os
import socket
import subprocess
import sys

import pytest
import yaml

from serve_app.local_ray import free_port
from tests.support.services import ROOT


def run(tmp_path, *options, **env):
    done = subprocess.run(
        [sys.executable, "-m", "serve_app.run", *options],
        cwd=ROOT,
        env={**os.environ, "BALTO_STATE_DIR": str(tmp_path / "state"), "PORT": str(free_port()), **env},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


def changed_config(tmp_path, change):
    config = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    change(config["applications"][0]["args"])
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(config))
    return str(path)


def test_a_taken_port(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, said = run(tmp_path, PORT=str(taken.getsockname()[1]))
    assert code == 1
    assert "is taken; set PORT" in said


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda args: args["voice"].update(denoize="on"), "voice.denoize"),
        (lambda args: args["session"].update(deadline_ms="soon"), "session.deadline_ms"),
        (lambda args: args.update(colour="red"), "colour"),
        (lambda args: args["speech_to_text"].update(provider="nobody"), "speech_to_text.provider"),
    ],
)
def test_an_unknown_or_badly_typed_key_is_named(tmp_path, change, names):
    code, said = run(tmp_path, "--config", changed_config(tmp_path, change))
    assert code == 1
    assert names in said
    assert len(said.strip().splitlines()) == 1


def test_a_bad_environment_is_named(tmp_path):
    code, said = run(tmp_path, PORT="many")
    assert code == 1
    assert "port" in said
    assert len(said.strip().splitlines()) == 1


def test_a_missing_or_broken_config(tmp_path):
    broken = tmp_path / "broken.yaml"
    broken.write_text("applications: [")
    for path in (tmp_path / "nowhere.yaml", broken):
        code, said = run(tmp_path, "--config", str(path))
        assert code == 1
        assert path.name in said
        assert len(said.strip().splitlines()) == 1


def test_a_state_directory_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    code, said = run(tmp_path, BALTO_STATE_DIR=str(tmp_path / "file" / "state"))
    assert code == 1
    assert "set BALTO_STATE_DIR" in said
    assert len(said.strip().splitlines()) == 1
