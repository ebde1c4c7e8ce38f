"""The figures of an utterance agree with signals whose figures are known."""

import numpy as np
import pytest

from audio.measure import BAND_EDGES_HZ, measure, noise_change_db

RATE = 16_000
T = np.arange(3 * RATE) / RATE


def voice(pitch_hz, dbfs=-20.0, seconds=3.0):
    """A buzz with harmonics that fall by 6 dB an octave."""
    t = T[: int(seconds * RATE)]
    wave = sum(np.sin(2 * np.pi * pitch_hz * k * t) / k for k in range(1, 10) if pitch_hz * k < 7000)
    return (wave * 10 ** (dbfs / 20) / wave.std()).astype(np.float32)


def noise(dbfs, seconds=3.0, seed=0):
    white = np.random.default_rng(seed).normal(size=int(seconds * RATE))
    return (white * 10 ** (dbfs / 20) / white.std()).astype(np.float32)


@pytest.mark.parametrize("pitch_hz", [75, 110, 160, 220, 300, 390])
def test_the_pitch_of_a_voice(pitch_hz):
    figures = measure(voice(pitch_hz) + noise(-45), -45)
    assert figures.pitch_mean_hz == pytest.approx(pitch_hz, rel=0.005)
    assert figures.pitch_std_hz < 1
    assert figures.voiced_ratio > 0.95


def test_the_spread_of_a_gliding_pitch():
    glide_hz = np.linspace(120, 200, len(T))
    wave = (0.1 * np.sign(np.sin(2 * np.pi * np.cumsum(glide_hz) / RATE))).astype(np.float32)
    figures = measure(wave, -60)
    assert figures.pitch_mean_hz == pytest.approx(160, rel=0.02)
    assert figures.pitch_std_hz == pytest.approx(80 / np.sqrt(12), rel=0.05)


@pytest.mark.parametrize("signal", [noise(-20), np.zeros(RATE, np.float32)])
def test_there_is_no_pitch_where_nothing_is_voiced(signal):
    figures = measure(signal, -40)
    assert (figures.pitch_mean_hz, figures.pitch_std_hz) == (None, None)
    assert figures.voiced_ratio == 0


def test_only_the_voiced_part_counts_as_voiced():
    half = np.concatenate([voice(150, seconds=1.5), noise(-30, seconds=1.5)])
    figures = measure(half, -60)
    assert figures.voiced_ratio == pytest.approx(0.5, abs=0.04)
    assert figures.pitch_mean_hz == pytest.approx(150, rel=0.01)


@pytest.mark.parametrize("snr_db", [0, 5, 20, 40])
def test_the_snr_against_the_floor(snr_db):
    figures = measure(voice(150, dbfs=-50 + snr_db) + noise(-50), -50)
    assert figures.snr_db == pytest.approx(snr_db, abs=1)


def test_the_snr_has_limits():
    assert measure(np.zeros(RATE, np.float32), -60).snr_db == -80
    assert measure(voice(100, dbfs=-1), -95).snr_db == 80


def test_the_pauses_do_not_lower_the_snr():
    talk = voice(150, dbfs=-30)
    talk[RATE : 2 * RATE] = 0
    assert measure(talk + noise(-50), -50).snr_db == pytest.approx(20, abs=0.5)


def test_a_sine_of_known_level():
    sine = (0.5 * np.sin(2 * np.pi * 1000 * T)).astype(np.float32)
    figures = measure(sine, -60)
    assert figures.duration_s == 3
    assert figures.rms_mean == pytest.approx(0.5 / np.sqrt(2) * 32768, rel=0.001)
    assert figures.rms_max == pytest.approx(figures.rms_mean, rel=0.01)
    assert figures.peak_dbfs == pytest.approx(-6.02, abs=0.01)
    assert figures.zero_crossing_rate == pytest.approx(2000 / RATE, rel=0.01)
    assert figures.spectral_centroid_hz == pytest.approx(1000, rel=0.05)
    levels = dict(zip(BAND_EDGES_HZ, figures.band_energies_db, strict=False))
    assert max(levels, key=levels.get) in (500, 1000)
    assert 10 * np.log10(sum(10 ** (level / 10) for level in levels.values())) == pytest.approx(-9.03, abs=0.05)


def test_white_noise_is_even_over_the_spectrum():
    figures = measure(noise(-20), -60)
    assert figures.spectral_centroid_hz == pytest.approx(4000, rel=0.02)
    assert figures.zero_crossing_rate == pytest.approx(0.5, abs=0.01)
    widths = np.diff(BAND_EDGES_HZ)
    for width, level in zip(widths, figures.band_energies_db, strict=True):
        assert level == pytest.approx(-20 + 10 * np.log10(width / 8000), abs=0.6)


def test_clipping_is_the_share_of_samples_at_full_scale():
    wave = (np.clip(2 * np.sin(2 * np.pi * 100 * T), -1, 32767 / 32768)).astype(np.float32)
    assert measure(wave, -60).clipping_ratio == pytest.approx(2 / 3, abs=0.01)
    assert measure(voice(100), -60).clipping_ratio == 0


def test_the_offset_is_told_and_does_not_disturb_the_rest():
    plain, shifted = measure(voice(150), -60), measure(voice(150) + np.float32(0.2), -60)
    assert shifted.dc_offset == pytest.approx(0.2, abs=0.001)
    assert shifted.rms_mean == pytest.approx(plain.rms_mean, rel=0.001)
    assert shifted.pitch_mean_hz == pytest.approx(plain.pitch_mean_hz, rel=0.001)
    assert shifted.zero_crossing_rate == pytest.approx(plain.zero_crossing_rate, abs=0.001)


def test_audible_milliseconds_are_those_above_the_floor():
    mixed = np.concatenate([noise(-60, 1), noise(-30, 0.6), noise(-60, 1)])
    assert measure(mixed, -60).audible_ms == pytest.approx(600, abs=60)


@pytest.mark.parametrize("samples", [0, 1, 100, 479, 481])
def test_the_shortest_signals_have_figures_too(samples):
    figures = measure(noise(-20)[:samples], -60)
    assert figures.duration_s == samples / RATE
    assert len(figures.band_energies_db) == len(BAND_EDGES_HZ) - 1


def test_what_cleaning_did_to_the_background_is_told_in_db():
    before = np.concatenate([noise(-50, 1), voice(150, seconds=1)])
    after = before.copy()
    after[:RATE] *= np.float32(0.5)
    assert noise_change_db(before, after) == pytest.approx(-6, abs=0.2)
    assert noise_change_db(before, before) == 0
