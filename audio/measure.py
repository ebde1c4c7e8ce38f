"""The figures of one utterance: pitch where it is voiced, SNR, spectrum, zero crossings, clipping, offset and bands."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from audio.frames import FRAME_SAMPLES, FULL_SCALE, SILENCE_DBFS
from audio.utterance import SAMPLE_RATE_HZ

PITCH_MIN_HZ, PITCH_MAX_HZ = 65.0, 400.0
"""Speaking voices, a low man's to a child's."""
PITCH_RATE_HZ = SAMPLE_RATE_HZ // 2
"""Pitch is looked for at 8 kHz: half the work, and no period is shorter than 20 samples."""
PITCH_HOP = FRAME_SAMPLES // 2
PITCH_WINDOW = 320
"""40 ms: more than two periods of the lowest pitch."""
VOICED_CORRELATION = 0.5
"""A frame is voiced when its autocorrelation at the period is at least half of its energy (Boersma 1993: .45)."""
FIRST_PEAK_SHARE = 0.9
"""The shortest period whose peak reaches nine tenths of the highest: guards against the octave below."""
SPECTRUM_FFT = 512
BAND_EDGES_HZ = (0, 250, 500, 1000, 2000, 4000, 8000)
CLIPPED = 32767.0 / FULL_SCALE
SNR_LIMIT_DB = 80.0
AUDIBLE_DB = 3.0
"""A frame this far above the noise floor holds something besides the noise (twice its energy)."""


@dataclass(frozen=True, slots=True)
class Measures:
    """Figures of one utterance; None where it cannot be measured. RMS values are in int16 units (0..32768).

    `zero_crossing_rate` is crossings per sample (0..1); `band_energies_db` are the levels in dBFS between
    BAND_EDGES_HZ; `voiced_ratio` and `audible_ms` count frames of 30 ms.
    """

    duration_s: float
    pitch_mean_hz: float | None
    pitch_std_hz: float | None
    voiced_ratio: float
    audible_ms: float
    snr_db: float
    spectral_centroid_hz: float
    zero_crossing_rate: float
    rms_mean: float
    rms_max: float
    peak_dbfs: float
    clipping_ratio: float
    dc_offset: float
    band_energies_db: tuple[float, ...]


def measure(samples: NDArray[np.float32], noise_floor_dbfs: float) -> Measures:
    """Measure `samples`, float32 in -1..1 at 16 kHz, shape (n,), any length; the floor is the segmenter's.

    SNR is of the frames above the floor: (their power - the floor's) over the floor's, in dB, within +-SNR_LIMIT_DB.
    `dc_offset` is in full scales; the offset is taken off before anything else but the peak and the clipping.
    """
    count = max(1, len(samples))
    offset = float(samples.mean()) if len(samples) else 0.0
    peak = float(np.abs(samples).max()) if len(samples) else 0.0
    clipped = int(np.count_nonzero(np.abs(samples) >= CLIPPED))
    centred = samples - np.float32(offset)
    frames = _padded_frames(centred)
    powers = np.einsum("ij,ij->i", frames, frames) / FRAME_SAMPLES
    noise = 10.0 ** (noise_floor_dbfs / 10.0)
    audible = powers >= noise * 10.0 ** (AUDIBLE_DB / 10.0)
    pitches = _pitches(centred, np.flatnonzero(audible))
    spectrum = _power_spectrum(frames)
    signs = np.signbit(centred)
    return Measures(
        duration_s=len(samples) / SAMPLE_RATE_HZ,
        pitch_mean_hz=float(pitches.mean()) if len(pitches) else None,
        pitch_std_hz=float(pitches.std()) if len(pitches) else None,
        voiced_ratio=len(pitches) / len(frames),
        audible_ms=1000.0 * FRAME_SAMPLES / SAMPLE_RATE_HZ * int(np.count_nonzero(audible)),
        snr_db=_snr_db(powers[audible], noise),
        spectral_centroid_hz=_centroid_hz(spectrum),
        zero_crossing_rate=int(np.count_nonzero(signs[1:] != signs[:-1])) / count,
        rms_mean=FULL_SCALE * float(np.sqrt(powers.mean())),
        rms_max=FULL_SCALE * float(np.sqrt(powers.max())),
        peak_dbfs=_db(peak * peak),
        clipping_ratio=clipped / count,
        dc_offset=offset,
        band_energies_db=_bands_db(spectrum),
    )


def noise_change_db(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    """How much cleaning changed the background, in dB: the quietest tenth of `before`'s frames, in both."""
    first, second = _padded_frames(before), _padded_frames(after)
    powers = np.einsum("ij,ij->i", first, first)
    quietest = np.argsort(powers)[: max(1, len(powers) // 10)]
    cleaned = np.einsum("ij,ij->i", second[quietest], second[quietest])
    return _db(float(cleaned.mean())) - _db(float(powers[quietest].mean()))


def _padded_frames(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Frames of 30 ms, at least one; the last one is dropped unless it is whole, the only one is padded with zeros."""
    whole = len(samples) // FRAME_SAMPLES
    if whole:
        return samples[: whole * FRAME_SAMPLES].reshape(whole, FRAME_SAMPLES)
    frame = np.zeros((1, FRAME_SAMPLES), dtype=np.float32)
    frame[0, : len(samples)] = samples
    return frame


def _db(power: float) -> float:
    return max(SILENCE_DBFS, 10.0 * float(np.log10(power))) if power > 0 else SILENCE_DBFS


def _snr_db(audible_powers: NDArray[np.float32], noise: float) -> float:
    if not len(audible_powers):
        return -SNR_LIMIT_DB
    ratio = (float(audible_powers.mean()) - noise) / noise
    return float(np.clip(10.0 * np.log10(max(ratio, 1e-12)), -SNR_LIMIT_DB, SNR_LIMIT_DB))


_HANN = np.hanning(FRAME_SAMPLES).astype(np.float32)
_HANN_POWER = float(np.sum(_HANN**2))
_FREQUENCIES = np.fft.rfftfreq(SPECTRUM_FFT, 1.0 / SAMPLE_RATE_HZ)


def _power_spectrum(frames: NDArray[np.float32]) -> NDArray[np.float64]:
    """One-sided mean power of every bin of a Hann-windowed FFT; the bins add up to the mean square."""
    bins = np.fft.rfft(frames * _HANN, SPECTRUM_FFT)
    power: NDArray[np.float64] = (bins.real**2 + bins.imag**2).astype(np.float64).mean(axis=0)
    power *= 2.0 / (_HANN_POWER * SPECTRUM_FFT)
    power[[0, -1]] /= 2.0
    return power


def _centroid_hz(power: NDArray[np.float64]) -> float:
    """Centre of mass of the magnitude spectrum, as librosa defines it."""
    magnitude = np.sqrt(power)
    total = float(magnitude.sum())
    return float(np.dot(_FREQUENCIES, magnitude)) / total if total > 0 else 0.0


def _bands_db(power: NDArray[np.float64]) -> tuple[float, ...]:
    edges = np.searchsorted(_FREQUENCIES, BAND_EDGES_HZ)
    edges[-1] = len(power)
    return tuple(_db(float(power[low:high].sum())) for low, high in pairwise(edges))


_LAG_MIN = int(PITCH_RATE_HZ / PITCH_MAX_HZ)
_LAG_MAX = int(PITCH_RATE_HZ / PITCH_MIN_HZ)
_PITCH_FFT = 512
"""At least window + longest lag - 1, so that the circular correlation does not wrap."""
_PITCH_HANN = np.hanning(PITCH_WINDOW).astype(np.float32)


def _autocorrelation(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    bins = np.fft.rfft(windows, _PITCH_FFT)
    return np.asarray(np.fft.irfft(bins.real**2 + bins.imag**2)[:, : _LAG_MAX + 2], dtype=np.float32)


_HANN_CORRELATION = _autocorrelation(_PITCH_HANN[None])[0]
_HANN_CORRELATION /= _HANN_CORRELATION[0]


def _pitches(samples: NDArray[np.float32], frames: NDArray[np.intp]) -> NDArray[np.float64]:
    """Pitch in Hz of those of the given frames that are voiced.

    Autocorrelation of a Hann window divided by the window's own (P. Boersma, 1993), the first peak that reaches
    FIRST_PEAK_SHARE of the highest, refined by a parabola through its neighbours.
    """
    whole = len(samples) - len(samples) % 2
    halved = (samples[0:whole:2] + samples[1:whole:2]) * np.float32(0.5)
    starts = frames[frames * PITCH_HOP + PITCH_WINDOW <= len(halved)] * PITCH_HOP
    if not len(starts):
        return np.empty(0)
    windows = np.lib.stride_tricks.sliding_window_view(halved, PITCH_WINDOW)[starts]
    windows = (windows - windows.mean(axis=1, keepdims=True)) * _PITCH_HANN
    correlation = _autocorrelation(windows)
    energy = np.maximum(correlation[:, :1], np.finfo(np.float32).tiny)
    normal = correlation / (energy * _HANN_CORRELATION)
    inner = normal[:, _LAG_MIN : _LAG_MAX + 1]
    peaks = (inner >= normal[:, _LAG_MIN - 1 : _LAG_MAX]) & (inner >= normal[:, _LAG_MIN + 1 : _LAG_MAX + 2])
    heights = np.where(peaks, inner, 0.0)
    highest = heights.max(axis=1)
    voiced = np.flatnonzero(highest >= VOICED_CORRELATION)
    chosen = np.argmax(heights[voiced] >= FIRST_PEAK_SHARE * highest[voiced, None], axis=1) + _LAG_MIN
    before, at, after = (normal[voiced, chosen + step].astype(np.float64) for step in (-1, 0, 1))
    curvature = before - 2.0 * at + after
    shift = np.where(curvature < 0, 0.5 * (before - after) / np.where(curvature < 0, curvature, -1.0), 0.0)
    return np.asarray(PITCH_RATE_HZ / (chosen + shift), dtype=np.float64)
