"""A pharmacy's own recordings as scenes: NAME.wav with its truth in NAME.json beside it.

The WAV is 16 kHz, mono, PCM of 16 bits. The JSON holds what was really said, in seconds from the start of the file, in
order and without overlap, as somebody with an audio editor marks it:

    {"utterances": [{"start_s": 2.51, "end_s": 4.02}, ...], "speech": [[2.51, 3.1], [3.42, 4.02], ...]}

An utterance is what should reach the recogniser in one piece. `speech` is optional: the stretches of speech inside the
utterances, without their pauses of 100 ms and more; without it every frame of an utterance counts as speech, and
frame F1 is lower for every chain by the share of pauses.
"""

from __future__ import annotations

import json
import wave
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from audio.frames import to_float
from bench.hearing.corpus import TRUTH_STEP, Scene, Spoken
from bench.hearing.noises import RATE


class RecordingInvalid(ValueError):
    """A recording or its truth cannot be used; the text names the file and what is wrong with it."""


def load(folder: Path) -> Iterator[tuple[Scene, bytes]]:
    """Every recording of `folder` with its PCM, by name; raises RecordingInvalid, also when there is none."""
    paths = sorted(folder.glob("*.wav"))
    if not paths:
        raise RecordingInvalid(f"{folder}: no .wav file")
    for path in paths:
        pcm = _pcm(path)
        yield _scene(path.with_suffix(".json"), path.stem, pcm), pcm


def save(folder: Path, name: str, scene: Scene, pcm: bytes) -> None:
    """Write a scene of the corpus in this format (for an example to listen to, and for the tests)."""
    folder.mkdir(parents=True, exist_ok=True)
    with wave.open(str(folder / f"{name}.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], scene.frames, [False]]).astype(int)))
    truth = {
        "utterances": [{"start_s": one.start / RATE, "end_s": one.end / RATE} for one in scene.spoken],
        "speech": [[float(edge) * TRUTH_STEP / RATE for edge in pair] for pair in edges.reshape(-1, 2)],
    }
    (folder / f"{name}.json").write_text(json.dumps(truth, indent=1))


def _pcm(path: Path) -> bytes:
    try:
        with wave.open(str(path)) as file:
            found = (file.getframerate(), file.getnchannels(), file.getsampwidth())
            pcm: bytes = file.readframes(file.getnframes())
    except (wave.Error, EOFError) as error:
        raise RecordingInvalid(f"{path}: not a WAV file of PCM ({error})") from error
    if found != (RATE, 1, 2):
        raise RecordingInvalid(f"{path}: must be 16 kHz, mono, 16 bits; is {found[0]} Hz, {found[1]} x {8 * found[2]}")
    return pcm[: len(pcm) - len(pcm) % (2 * TRUTH_STEP)]


def _scene(path: Path, name: str, pcm: bytes) -> Scene:
    try:
        truth: Any = json.loads(path.read_text())
        spoken = [(float(one["start_s"]), float(one["end_s"])) for one in truth["utterances"]]
        speech = [(float(start), float(end)) for start, end in truth.get("speech") or spoken]
    except FileNotFoundError as error:
        raise RecordingInvalid(f"{path}: the truth of the recording is missing") from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordingInvalid(f"{path}: {type(error).__name__} {error}") from error
    length_s = len(pcm) / (2 * RATE)
    _check(path, "utterances", spoken, length_s)
    _check(path, "speech", speech, length_s)
    frames = np.zeros(len(pcm) // (2 * TRUTH_STEP), dtype=bool)
    for start_s, end_s in speech:
        frames[int(start_s * RATE / TRUTH_STEP) : -int(-end_s * RATE // TRUTH_STEP)] = True
    utterances = tuple(Spoken(round(start_s * RATE), round(end_s * RATE)) for start_s, end_s in spoken)
    return Scene(name, to_float(pcm).astype(np.float64), frames, utterances)


def _check(path: Path, what: str, spans: list[tuple[float, float]], length_s: float) -> None:
    if not spans:
        raise RecordingInvalid(f"{path}: {what} is empty")
    for start_s, end_s in spans:
        if not 0 <= start_s < end_s <= length_s + 0.1:
            raise RecordingInvalid(f"{path}: {what}: {start_s:g} to {end_s:g} s is no stretch of {length_s:.1f} s")
    for (_, before), (after, _) in pairwise(spans):
        if after < before:
            raise RecordingInvalid(f"{path}: {what}: {after:g} s begins before {before:g} s has ended")
