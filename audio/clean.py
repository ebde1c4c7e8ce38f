"""Takes a shop's steady noise out of an utterance, with the noise that preceded it as the profile."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audio.settings import CleanSettings
from audio.utterance import SAMPLE_RATE_HZ


def warm_up(settings: CleanSettings) -> None:
    """Import `noisereduce` (seconds) and run it once, so that the first utterance does not pay for it."""
    noise = np.random.default_rng(0).normal(scale=0.01, size=4 * settings.n_fft_samples).astype(np.float32)
    clean(noise, noise, settings)


def clean(
    samples: NDArray[np.float32], background: NDArray[np.float32], settings: CleanSettings
) -> NDArray[np.float32]:
    """`samples` with the noise of `background` taken out; both float32 in -1..1 at 16 kHz, shape (n,); same length.

    Either shorter than one FFT is too short for a profile: then `samples` is returned unchanged. Without a profile
    `noisereduce` takes the speech itself for the noise and cuts it.
    """
    if min(len(samples), len(background)) < settings.n_fft_samples:
        return samples
    reduced: Any = importlib.import_module("noisereduce").reduce_noise(
        y=samples,
        sr=SAMPLE_RATE_HZ,
        stationary=True,
        y_noise=background,
        prop_decrease=settings.prop_decrease,
        n_fft=settings.n_fft_samples,
        hop_length=settings.n_fft_samples // 2,  # its default of a quarter costs twice as much and is no better
        padding=settings.padding_samples,
    )
    return np.asarray(reduced, dtype=np.float32)
