"""A Whisper model in this process, by faster-whisper: refuses at start what cannot work, then recognises in batches."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from audio.utterance import SAMPLE_RATE_HZ
from deployments.speech_to_text.adapter_settings import LocalSettings

WINDOW_S = 30
"""What Whisper's encoder takes at once; longer audio is cut into such windows."""

NEEDED_FILES = ("model.bin", "config.json", "tokenizer.json")
"""Without its tokenizer the library would fetch one from the network in the middle of a start."""


class LocalNotUsable(ValueError):
    """The local model cannot work here; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """What the model made of one utterance. `text` is empty where the model doubts that anybody spoke."""

    text: str
    no_speech: float
    """Probability that nobody spoke, 0..1."""
    log_probability: float
    """Mean log-probability of a token."""


def check_local(settings: LocalSettings) -> None:
    """Raise LocalNotUsable for what can be seen without loading the model: the library, the files, the machine."""
    if find_spec("faster_whisper") is None:
        raise LocalNotUsable("speech_to_text.local needs faster-whisper: pip install -r requirements-local.txt")
    cores = os.cpu_count() or 1
    if settings.device == "cpu" and settings.threads > cores:
        raise LocalNotUsable(f"speech_to_text.local.threads: {settings.threads} on a machine with {cores} cores")
    if settings.device == "cuda":
        import ctranslate2

        if not ctranslate2.get_cuda_device_count():
            raise LocalNotUsable("speech_to_text.local.device: cuda, but no GPU is visible here; use cpu")
    if not settings.download:
        _check_memory(_directory(settings), settings)


def _directory(settings: LocalSettings) -> Path:
    """Where the model's files are; raises LocalNotUsable when they are not there, or not all."""
    place = Path(settings.model)
    if not place.is_dir():
        place = _cached(settings)
    missing = [name for name in NEEDED_FILES if not (place / name).is_file()]
    if missing:
        raise LocalNotUsable(
            f"speech_to_text.local.model: {place} has no {', '.join(missing)}; "
            "convert the model for CTranslate2 with its tokenizer.json beside it"
        )
    return place


def _cached(settings: LocalSettings) -> Path:
    from faster_whisper.utils import download_model

    try:
        found = download_model(settings.model, local_files_only=not settings.download, cache_dir=settings.download_dir)
    except Exception as error:  # the hub's client has dozens of kinds, and every one means the same here
        raise LocalNotUsable(
            f"speech_to_text.local.model: {settings.model!r} is neither a directory nor a model in the cache "
            f"({type(error).__name__}); give the directory of a converted model, or set local.download: true"
        ) from None
    return Path(found)


def _check_memory(place: Path, settings: LocalSettings) -> None:
    """A loaded model takes about its file's size; working memory comes on top."""
    needed_mb = (place / "model.bin").stat().st_size / 2**20 + settings.min_free_memory_mb
    free_mb = psutil.virtual_memory().available / 2**20
    if settings.device == "cpu" and needed_mb > free_mb:
        raise LocalNotUsable(
            f"speech_to_text.local: the model needs {needed_mb:.0f} MB with min_free_memory_mb, {free_mb:.0f} MB are "
            "free; use a smaller model or a larger machine"
        )


class Whisper:
    """The loaded model. Its methods block and are for one thread at a time."""

    def __init__(self, settings: LocalSettings) -> None:
        """Load the model and recognise a second of silence with it; raises LocalNotUsable."""
        check_local(settings)
        from faster_whisper import WhisperModel
        from faster_whisper.tokenizer import Tokenizer

        self._settings = settings
        place = _directory(settings)
        _check_memory(place, settings)
        try:
            self._model: Any = WhisperModel(
                str(place),
                device=settings.device,
                compute_type=settings.compute_type,
                cpu_threads=settings.threads,
                local_files_only=True,
            )
            several = self._model.model.is_multilingual
            self._tokenizer: Any = Tokenizer(
                self._model.hf_tokenizer, several, task="transcribe", language=settings.language_code
            )
        except (RuntimeError, ValueError, OSError) as error:
            raise LocalNotUsable(f"speech_to_text.local: {place} cannot be loaded: {error}") from None
        if not several and settings.language_code != "en":
            raise LocalNotUsable(f"speech_to_text.local.model: {place} knows English only; take a multilingual model")
        self._check_speed()

    def recognise(self, utterances: Sequence[bytes], keyterms: Sequence[str]) -> list[Recognised]:
        """What was said in each of `utterances` (16 kHz mono s16le), all with the same `keyterms`."""
        windows = [_windows(pcm) for pcm in utterances]
        features = np.stack([self._features(window) for parts in windows for window in parts])
        results = iter(self._generate(features, self._prompt(keyterms)))
        return [self._together([next(results) for _ in parts]) for parts in windows]

    def _check_speed(self) -> None:
        """Twice: the first run sets things up."""
        took_s = math.inf
        for _ in range(2):
            started = time.monotonic()
            self.recognise([bytes(2 * SAMPLE_RATE_HZ)], ())
            took_s = time.monotonic() - started
        if took_s > self._settings.start_limit_s:
            raise LocalNotUsable(
                f"speech_to_text.local: this machine is too small for {self._settings.model!r}: one second of audio "
                f"took {took_s:.1f} s (start_limit_s {self._settings.start_limit_s:g}); use a smaller model"
            )

    def _features(self, samples: np.ndarray) -> np.ndarray:
        """The log-mel spectrogram of one window, [mels, 3000], float32."""
        from faster_whisper.audio import pad_or_trim

        features: np.ndarray = pad_or_trim(self._model.feature_extractor(samples))
        return features

    def _prompt(self, keyterms: Sequence[str]) -> list[int]:
        before: list[int] = []
        if keyterms:
            before = self._tokenizer.encode(" " + ", ".join(keyterms))[: self._settings.keyterms_max_tokens]
        prompt: list[int] = self._model.get_prompt(self._tokenizer, before, without_timestamps=True)
        return prompt

    def _generate(self, features: np.ndarray, prompt: list[int]) -> list[Any]:
        results: list[Any] = self._model.model.generate(
            self._model.encode(features),
            [list(prompt) for _ in features],
            beam_size=self._settings.beam_size,
            max_length=len(prompt) + self._settings.max_new_tokens,
            return_scores=True,
            return_no_speech_prob=True,
            suppress_blank=True,
        )
        return results

    def _together(self, results: Sequence[Any]) -> Recognised:
        """The windows of one utterance as one."""
        texts = [self._tokenizer.decode(result.sequences_ids[0]).strip() for result in results]
        log_probability = float(np.mean([result.scores[0] for result in results]))
        no_speech = float(np.mean([result.no_speech_prob for result in results]))
        settings = self._settings
        doubtful = no_speech > settings.no_speech_threshold and log_probability < settings.log_prob_threshold
        return Recognised("" if doubtful else " ".join(texts).strip(), no_speech, log_probability)


def _windows(pcm: bytes) -> list[np.ndarray]:
    """`pcm` as float32 samples in −1..1, cut into windows of at most 30 s."""
    samples = np.frombuffer(pcm, dtype="<i2").astype(np.float32) / 32768
    size = WINDOW_S * SAMPLE_RATE_HZ
    return [samples[start : start + size] for start in range(0, len(samples), size)]
