"""A pharmacy's own recordings are scored against their truth; what is wrong with a file is said in one line."""

import json

import numpy as np
import pytest

from bench.hearing.__main__ import main
from bench.hearing.corpus import place
from bench.hearing.recordings import RecordingInvalid, load, save


@pytest.fixture(scope="module")
def folder(sounds, tmp_path_factory):
    """Two recordings made by the corpus maker: three sentences in a quiet shop, two in a loud one."""
    folder = tmp_path_factory.mktemp("recordings")
    for name, sentences, noise_dbfs in (("quiet", 3, -60), ("loud", 2, -40)):
        scene = place(name, [sounds.speech(-25)] * sentences, [2.5] + [1.5] * sentences)
        save(folder, name, scene, sounds.pcm(sounds.over(scene.clean, noise_dbfs)))
    return folder


def test_what_was_saved_is_what_is_loaded(folder):
    loud, quiet = (scene for scene, _ in load(folder))
    assert (loud.name, len(loud.spoken), quiet.name, len(quiet.spoken)) == ("loud", 2, "quiet", 3)
    assert loud.spoken[0].start == int(2.5 * 16_000)
    again = place("loud", [np.ones(16_000)], [1.0])
    assert again.frames.sum() == pytest.approx(33, abs=1)
    assert 0.5 * 100 < quiet.frames.sum() < len(quiet.frames)


def test_the_report_over_recordings_finds_every_sentence(folder, tmp_path, capsys):
    assert main(["--quick", "--recordings", str(folder), "--out", str(tmp_path)]) == 0
    tables = json.loads((tmp_path / "report.json").read_text())["tables"]
    assert set(tables) == {"all recordings, mean", "loud", "quiet"}
    for table in tables.values():
        ours = table["ours"]
        assert (ours["missed"], ours["merged"], ours["false"], ours["starts_cut"], ours["ends_cut"]) == (0, 0, 0, 0, 0)
        assert ours["f1"] > 0.85
        assert 0.35 < ours["delay_p50_s"] < 0.6
    assert "| previous |" in capsys.readouterr().out


def test_a_truth_without_speech_stretches_counts_whole_utterances(folder, tmp_path):
    truth = json.loads((folder / "quiet.json").read_text())
    (tmp_path / "a.wav").write_bytes((folder / "quiet.wav").read_bytes())
    (tmp_path / "a.json").write_text(json.dumps({"utterances": truth["utterances"]}))
    ((scene, _),) = load(tmp_path)
    spoken_s = sum(one["end_s"] - one["start_s"] for one in truth["utterances"])
    assert scene.frames.sum() * 0.03 == pytest.approx(spoken_s, abs=0.1)


@pytest.mark.parametrize(
    ("truth", "told"),
    [
        (None, "missing"),
        ("{", "a.json"),
        ("[]", "TypeError"),
        ('{"utterances": []}', "empty"),
        ('{"utterances": [{"start_s": 2, "end_s": 1}]}', "no stretch"),
        ('{"utterances": [{"start_s": 1, "end_s": 900}]}', "no stretch"),
        ('{"utterances": [{"start_s": 1, "end_s": 3}, {"start_s": 2, "end_s": 4}]}', "before"),
    ],
)
def test_a_wrong_truth_is_said_in_one_line_with_status_2(folder, tmp_path, truth, told, capsys):
    (tmp_path / "a.wav").write_bytes((folder / "quiet.wav").read_bytes())
    if truth is not None:
        (tmp_path / "a.json").write_text(truth)
    assert main(["--recordings", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.count("\n") == 1


def test_a_folder_without_recordings_and_a_file_of_another_kind_are_refused(sounds, tmp_path):
    with pytest.raises(RecordingInvalid, match=r"no \.wav"):
        list(load(tmp_path))
    (tmp_path / "a.wav").write_bytes(sounds.wav(bytes(4000), rate=8000))
    with pytest.raises(RecordingInvalid, match="8000 Hz"):
        list(load(tmp_path))
    (tmp_path / "a.wav").write_bytes(b"no audio")
    with pytest.raises(RecordingInvalid, match="not a WAV"):
        list(load(tmp_path))
