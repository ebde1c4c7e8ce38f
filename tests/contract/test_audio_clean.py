"""Cleaning takes the shop's noise and leaves the speech."""

import numpy as np
import pytest

from audio.clean import clean, warm_up
from audio.frames import to_float, to_pcm
from audio.settings import CleanSettings

DEFAULTS = CleanSettings()


def level_db(samples):
    return 20 * np.log10(np.std(samples))


def test_the_noise_goes_down_and_the_speech_stays(sounds):
    noisy = sounds.over(np.concatenate([sounds.quiet(0.5), sounds.speech(-25)]), -40).astype(np.float32)
    background = sounds.noise(1, -40, seed=7).astype(np.float32)
    warm_up(DEFAULTS)
    cleaned = clean(noisy, background, DEFAULTS)
    assert cleaned.shape == noisy.shape
    assert level_db(cleaned[1600:6400]) < level_db(noisy[1600:6400]) - 4
    assert level_db(cleaned[8000:]) == pytest.approx(level_db(noisy[8000:]), abs=2)


def test_clean_speech_is_left_alone(sounds):
    speech = sounds.speech(-25).astype(np.float32)
    cleaned = clean(speech, sounds.noise(1, -75).astype(np.float32), DEFAULTS)
    frames = np.sqrt(np.mean(np.stack([speech, cleaned])[:, : 480 * 40].reshape(2, -1, 480) ** 2, axis=2))
    loud = frames[0] > 0.003
    assert np.mean(frames[1][loud] < frames[0][loud] * 10 ** (-10 / 20)) <= 0.01


@pytest.mark.parametrize(("samples", "background"), [(1000, 16_000), (16_000, 0), (0, 16_000)])
def test_what_is_too_short_for_a_profile_is_returned_unchanged(sounds, samples, background):
    speech = sounds.speech(-25).astype(np.float32)[:samples]
    assert clean(speech, sounds.noise(1, -50).astype(np.float32)[:background], DEFAULTS) is speech


def test_a_silent_background_changes_nothing_audible(sounds):
    speech = sounds.speech(-25).astype(np.float32)
    cleaned = clean(speech, np.zeros(16_000, np.float32), DEFAULTS)
    assert np.isfinite(cleaned).all()
    assert level_db(cleaned) == pytest.approx(level_db(speech), abs=0.5)


def test_samples_survive_the_way_to_floats_and_back():
    pcm = np.array([-32768, -1, 0, 1, 32767], "<i2").tobytes()
    assert to_pcm(to_float(pcm)) == pcm
    assert to_pcm(np.array([-2.0, 2.0])) == np.array([-32768, 32767], "<i2").tobytes()
