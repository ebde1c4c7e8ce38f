"""`python -m bench.hearing.denoise`: what cleaning does to speech and to noise, and what an utterance costs."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from audio.clean import clean, warm_up
from audio.measure import measure
from audio.settings import CleanSettings
from audio.silero import Silero
from bench.hearing import corpus
from bench.hearing.corpus import HELD_OUT, SPEECH_DBFS, Part
from bench.hearing.noises import RATE, STEADY, Signal

FRAME = 480
CUT_DB = 10.0
LEVEL_DB = 30.0
"""Frames of the clean speech within 30 dB of its loudest one are those that must not be cut."""


def si_sdr_db(truth: Signal, estimate: Signal) -> float:
    """Scale-invariant signal-to-distortion ratio (Le Roux et al., 2019)."""
    scaled = truth * (np.dot(estimate, truth) / np.dot(truth, truth))
    return float(10 * np.log10(np.sum(scaled**2) / np.sum((estimate - scaled) ** 2)))


def cut_share(truth: Signal, estimate: Signal) -> float:
    """Share of the speech's frames that came out more than 10 dB below what was said."""
    count = len(truth) // FRAME * FRAME
    said, left = (10 * np.log10(np.mean(x[:count].reshape(-1, FRAME) ** 2, axis=1) + 1e-12) for x in (truth, estimate))
    speech = said > said.max() - LEVEL_DB
    return float(np.mean(left[speech] < said[speech] - CUT_DB))


def _cleaned(settings: CleanSettings, noisy: Signal, background: Signal) -> Signal:
    return clean(noisy.astype(np.float32), background.astype(np.float32), settings).astype(np.float64)


def table(part: Part, sentences: int) -> list[str]:
    """Rows of Markdown: noise, SNR, SI-SDR before and after, frames cut, for two strengths and without a profile."""
    strengths = {"raw": None, ".6": CleanSettings(), ".85": CleanSettings(prop_decrease=0.85)}
    rows = ["| noise | SNR | " + " | ".join(f"SI-SDR {n} | cut {n}" for n in (*strengths, "own profile .85")) + " |"]
    rows += ["|---" * (2 + 2 * (len(strengths) + 1)) + "|"]
    spoken = [corpus.say(part.voices[n % len(part.voices)], 160, part.sentences[n]) for n in range(sentences)]
    for name in STEADY:
        for snr_db in (30.0, 20.0, 10.0, 5.0, 0.0):
            cells = {key: ([], []) for key in (*strengths, "own")}  # type: dict[str, tuple[list[float], list[float]]]
            for number, speech in enumerate(spoken):
                noise = corpus.steady_noise(part, name, number, RATE + len(speech), snr_db)
                background, noisy = noise[:RATE], speech + noise[RATE:]
                tried = {
                    key: noisy if setting is None else _cleaned(setting, noisy, background)
                    for key, setting in strengths.items()
                }
                tried["own"] = _cleaned(CleanSettings(prop_decrease=0.85), noisy, noisy)
                for key, estimate in tried.items():
                    cells[key][0].append(si_sdr_db(speech, estimate))
                    cells[key][1].append(cut_share(speech, estimate))
            figures = " | ".join(f"{np.mean(sdr):.1f} | {100 * np.mean(cut):.1f} %" for sdr, cut in cells.values())
            rows.append(f"| {name} | {snr_db:g} dB | {figures} |")
    return rows


def costs() -> list[str]:
    """CPU of one 3 s utterance by step, best of twenty."""
    rng, settings, model = np.random.default_rng(0), CleanSettings(), Silero()
    speech = np.tile(corpus.say("pt-br", 160, HELD_OUT.sentences[0]), 3)[: 3 * RATE]
    samples = (speech + rng.normal(scale=0.005, size=len(speech))).astype(np.float32)
    background = rng.normal(scale=0.005, size=RATE).astype(np.float32)
    warm_up(settings)
    steps: dict[str, Callable[[], object]] = {
        "measure": lambda: measure(samples, SPEECH_DBFS - 20),
        "confirm": lambda: model.confidence(samples, 0.5),
        "clean": lambda: clean(samples, background, settings),
    }
    return [f"{name}: {1000 * _best_s(step):.1f} ms" for name, step in steps.items()]


def _best_s(step: Callable[[], NDArray[np.float32] | object]) -> float:
    best = float("inf")
    for _ in range(20):
        began = time.process_time()
        step()
        best = min(best, time.process_time() - began)
    return best


def main() -> int:
    """Print the table and the costs."""
    parser = argparse.ArgumentParser(prog="python -m bench.hearing.denoise")
    parser.add_argument("--sentences", type=int, default=6)
    options = parser.parse_args()
    print("\n".join([*table(HELD_OUT, min(options.sentences, len(HELD_OUT.sentences))), "", *costs()]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
