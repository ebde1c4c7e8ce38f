"""The command line finds what the service finds, and says in one line what is wrong with a file."""

import json

import numpy as np
import pytest

from audio.segment import main, utterances_of
from audio.segmenter import Segmenter
from audio.settings import SegmenterSettings


@pytest.fixture(scope="module")
def pcm(sounds):
    clean = np.concatenate([sounds.quiet(1), sounds.speech(-25), sounds.quiet(1.2), sounds.speech(-25)])
    return sounds.pcm(sounds.over(clean, -55))


def test_a_wavs_utterances_as_json(tmp_path, sounds, pcm, capsys):
    (tmp_path / "a.wav").write_bytes(sounds.wav(pcm))
    assert main([str(tmp_path / "a.wav"), "--json"]) == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["start_s"] == pytest.approx(0.7, abs=0.15)
    assert first["end_s"] < second["start_s"] <= 2.3 + sounds.sentence_s
    assert (first["cut_reason"], second["cut_reason"]) == ("silence", "end")
    assert first["gate"]["threshold_start_dbfs"] > first["gate"]["noise_floor_start_dbfs"]


def test_the_same_utterances_as_the_service(tmp_path, sounds, pcm):
    (tmp_path / "a.wav").write_bytes(sounds.wav(pcm))
    segmenter = Segmenter(SegmenterSettings())
    assert list(utterances_of(tmp_path / "a.wav", SegmenterSettings())) == segmenter.feed(pcm) + segmenter.flush()


def test_a_webms_utterances_as_lines_for_people(tmp_path, sounds, pcm, capsys):
    (tmp_path / "a.webm").write_bytes(sounds.webm(pcm))
    assert main([str(tmp_path / "a.webm")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert "silence" in lines[0]
    assert "dBFS" in lines[0]


def test_how_sure_the_confirming_model_is_comes_with_confirm(tmp_path, sounds, pcm, capsys):
    (tmp_path / "a.wav").write_bytes(sounds.wav(pcm))
    assert main([str(tmp_path / "a.wav"), "--json", "--confirm"]) == 0
    assert all(json.loads(line)["confidence"] > 0.8 for line in capsys.readouterr().out.splitlines())
    assert main([str(tmp_path / "a.wav"), "--confirm"]) == 0
    assert "confidence" in capsys.readouterr().out


def test_a_missing_model_is_said_in_one_line(tmp_path, sounds, pcm, capsys, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    (tmp_path / "a.wav").write_bytes(sounds.wav(pcm))
    assert main([str(tmp_path / "a.wav"), "--confirm"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "No such file"),
        (b"hello world", "WAV nem WebM"),
        (b"RIFF\0\0\0\0WAVEfmt ", "incompleto"),
        (b"", "WAV nem"),
    ],
)
def test_a_bad_file_is_said_in_one_line_with_status_2(tmp_path, content, told, capsys):
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    assert main([str(path)]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1
