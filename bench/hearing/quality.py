"""How near an estimate comes to what was said: SI-SDR, STOI, PESQ, frames cut, and words wrong."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Sequence

import numpy as np

from bench.hearing.noises import RATE, Signal

FRAME = 480
CUT_DB = 10.0
LEVEL_DB = 30.0
"""Frames of the clean speech within 30 dB of its loudest one are those that must not be cut."""
Measure = Callable[[Signal, Signal], float]


def si_sdr_db(truth: Signal, estimate: Signal) -> float:
    """Scale-invariant signal-to-distortion ratio (Le Roux et al., 2019)."""
    scaled = truth * (np.dot(estimate, truth) / np.dot(truth, truth))
    return float(10 * np.log10(np.sum(scaled**2) / np.sum((estimate - scaled) ** 2)))


def cut_share(truth: Signal, estimate: Signal) -> float:
    """Share of the speech's frames that came out more than 10 dB below what was said, 0..1."""
    count = len(truth) // FRAME * FRAME
    said, left = (10 * np.log10(np.mean(x[:count].reshape(-1, FRAME) ** 2, axis=1) + 1e-12) for x in (truth, estimate))
    speech = said > said.max() - LEVEL_DB
    return float(np.mean(left[speech] < said[speech] - CUT_DB))


def _stoi(truth: Signal, estimate: Signal) -> float:
    """Short-time objective intelligibility (Taal et al., 2011), 0..1."""
    return float(importlib.import_module("pystoi").stoi(truth, estimate, RATE))


def _pesq(truth: Signal, estimate: Signal) -> float:
    """Wide-band PESQ (ITU-T P.862.2), 1.0..4.6."""
    return float(importlib.import_module("pesq").pesq(RATE, truth, estimate, "wb"))


def measures() -> dict[str, Measure]:
    """What can be measured here: STOI and PESQ need the packages of requirements-bench.txt."""
    found: dict[str, Measure] = {"SI-SDR dB": si_sdr_db, "cut": cut_share}
    for name, package, measure in (("STOI", "pystoi", _stoi), ("PESQ", "pesq", _pesq)):
        if importlib.util.find_spec(package) is not None:
            found[name] = measure
    return found


def word_errors(said: Sequence[str], heard: Sequence[str]) -> int:
    """Least number of words inserted, left out and replaced that makes `said` into `heard` (Levenshtein)."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(said, 1):
        before, row[0] = row[0], number
        for at, other in enumerate(heard, 1):
            before, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, before + (word != other))
    return row[-1]
