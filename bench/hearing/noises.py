"""The shop's sounds, synthesised: steady noises, babble, and the events that must not be taken for speech."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from scipy.signal import butter, fftconvolve, sosfilt

RATE = 16_000
Signal = NDArray[np.float64]


def at_level(signal: Signal, dbfs: float) -> Signal:
    """`signal` scaled to an RMS of `dbfs`."""
    rms = float(np.sqrt(np.mean(signal**2)))
    return signal * (10 ** (dbfs / 20) / rms) if rms > 0 else signal


def _shaped(rng: Generator, samples: int, exponent: float, corner_hz: float = 20.0) -> Signal:
    """Noise whose power falls with f^-exponent above the corner."""
    length = next_fast_len(samples, real=True)  # a length with a large prime factor takes twenty times as long
    spectrum = np.fft.rfft(rng.normal(size=length))
    frequencies = np.maximum(np.fft.rfftfreq(length, 1 / RATE), corner_hz)
    return np.asarray(np.fft.irfft(spectrum * frequencies ** (-exponent / 2), length)[:samples])


def _t(samples: int) -> Signal:
    return np.arange(samples) / RATE


def fan(rng: Generator, samples: int) -> Signal:
    """A ceiling fan or an air conditioner: falling broadband noise, blades that modulate it a little."""
    blades_hz = rng.uniform(3, 9)
    rush = at_level(_shaped(rng, samples, 1.3, 80), 0)
    hum = sum(np.sin(2 * np.pi * k * rng.uniform(55, 65) * _t(samples)) / k for k in range(1, 5))
    return rush * (1 + 0.1 * np.sin(2 * np.pi * blades_hz * _t(samples))) + 0.2 * hum


def hum(rng: Generator, samples: int) -> Signal:
    """Mains hum at 60 Hz with harmonics and a refrigerator's compressor."""
    t = _t(samples)
    mains = np.zeros(samples)
    for k in range(1, 9):
        mains += rng.uniform(0.2, 1) / k * np.sin(2 * np.pi * 60 * k * t + rng.uniform(0, 6))
    return at_level(mains, 0) + 0.5 * at_level(_shaped(rng, samples, 1.0, 100), 0)


def traffic(rng: Generator, samples: int) -> Signal:
    """A street behind an open door: low rumble that swells and ebbs by some decibels."""
    rumble = at_level(_shaped(rng, samples, 1.7, 60), 0)
    swell_db = 2.5 * np.sin(2 * np.pi * rng.uniform(0.05, 0.12) * _t(samples) + rng.uniform(0, 6))
    return rumble * 10 ** (swell_db / 20)


def white(rng: Generator, samples: int) -> Signal:
    """A bad microphone's hiss."""
    return np.asarray(rng.normal(size=samples))


def _decay(samples: int, seconds: float) -> Signal:
    return np.exp(-_t(samples) / seconds)


def _band(rng: Generator, samples: int, low_hz: float, high_hz: float) -> Signal:
    sos = butter(2, (low_hz, high_hz), "bandpass", fs=RATE, output="sos")
    return np.asarray(sosfilt(sos, rng.normal(size=samples)))


def _seconds(seconds: float) -> int:
    return int(seconds * RATE)


def door(rng: Generator) -> Signal:
    """A slam: a low thump and a rattle."""
    n = _seconds(0.7)
    thump = np.sin(2 * np.pi * rng.uniform(50, 90) * _t(n)) * _decay(n, 0.12)
    return thump + 0.6 * at_level(_band(rng, n, 100, 1500), 0) * _decay(n, 0.07)


def beep(rng: Generator) -> Signal:
    """The point of sale: one to three tones."""
    tone_hz = rng.uniform(1500, 3200)
    n, gap = _seconds(rng.uniform(0.08, 0.3)), np.zeros(_seconds(0.08))
    tone = np.sin(2 * np.pi * tone_hz * _t(n)) + 0.3 * np.sin(4 * np.pi * tone_hz * _t(n))
    return np.concatenate([np.concatenate([tone, gap])] * int(rng.integers(1, 4)))


def keyboard(rng: Generator) -> Signal:
    """A burst of typing."""
    out = np.zeros(_seconds(1.5))
    for _ in range(int(rng.integers(5, 12))):
        n = _seconds(0.03)
        at = int(rng.integers(0, len(out) - n))
        out[at : at + n] += _band(rng, n, 1500, 6000) * _decay(n, 0.006)
    return out


def music(rng: Generator) -> Signal:
    """A few seconds of a melody with chords and a beat, as from a shop's loudspeaker."""
    out = np.zeros(_seconds(3))
    for step in range(12):
        n = _seconds(0.25)
        root_hz = 220 * 2 ** (int(rng.integers(0, 13)) / 12)
        chord = sum(np.sin(2 * np.pi * root_hz * r * _t(n)) for r in (1, 1.26, 1.5, 2)) * _decay(n, 0.2)
        out[step * n : (step + 1) * n] = chord
        out[step * n : step * n + 400] += rng.normal(size=400) * _decay(400, 0.01)
    return out


def click(rng: Generator) -> Signal:
    """A switch or a plug."""
    n = _seconds(0.02)
    return np.asarray(rng.normal(size=n)) * _decay(n, 0.003)


def cough(rng: Generator) -> Signal:
    """One to three coughs: a burst and a short voiced tail."""
    out = []
    for _ in range(int(rng.integers(1, 4))):
        n = _seconds(rng.uniform(0.25, 0.4))
        burst = at_level(_band(rng, n, 300, 3000), 0) * _decay(n, 0.06)
        pitch_hz = rng.uniform(120, 250)
        tail = sum(np.sin(2 * np.pi * pitch_hz * k * _t(n)) / k for k in range(1, 6)) * _decay(n, 0.05)
        out += [burst + 0.2 * tail, np.zeros(_seconds(0.15))]
    return np.concatenate(out)


def coins(rng: Generator) -> Signal:
    """Coins on the counter."""
    out = np.zeros(_seconds(0.9))
    for _ in range(int(rng.integers(3, 8))):
        n = _seconds(0.15)
        at = int(rng.integers(0, len(out) - n))
        ring = sum(np.sin(2 * np.pi * rng.uniform(3500, 7000) * _t(n)) for _ in range(4)) * _decay(n, 0.03)
        out[at : at + n] += ring
    return out


def chair(rng: Generator) -> Signal:
    """A chair's legs drawn over tiles: a scrape with a wandering resonance."""
    n = _seconds(rng.uniform(0.4, 0.9))
    wander_hz = rng.uniform(300, 700) * (1 + 0.2 * np.cumsum(rng.normal(size=n)) / np.sqrt(n))
    saw = (np.cumsum(wander_hz) / RATE) % 1.0 - 0.5
    return (saw + 0.3 * rng.normal(size=n)) * np.hanning(n)


STEADY: dict[str, Callable[[Generator, int], Signal]] = {"fan": fan, "hum": hum, "traffic": traffic, "white": white}
EVENTS: dict[str, Callable[[Generator], Signal]] = {
    "door": door,
    "beep": beep,
    "keyboard": keyboard,
    "music": music,
    "click": click,
    "cough": cough,
    "coins": coins,
    "chair": chair,
}


def room(rng: Generator, signal: Signal) -> Signal:
    """`signal` in a small tiled room (a decaying noise tail of 0.2 s behind the direct sound)."""
    n = _seconds(0.2)
    response = 0.02 * rng.normal(size=n) * _decay(n, 0.04)
    response[0] = 1.0
    return np.asarray(fftconvolve(signal, response)[: len(signal)])
