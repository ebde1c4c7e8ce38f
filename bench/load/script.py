"""What every simulated counter says: one loop of six utterances with the pauses between them; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from audio.utterance import SAMPLE_RATE_HZ
from bench.path.counters import clips

Samples = NDArray[np.int16]

LOOP_MS: Final = 52_500
"""A whole number of 60 ms Opus packets and of the usual chunks: the loop has no seam."""
PHASE_MS: Final = 1_500
"""Counters begin at multiples of this into the loop: a whole number of packets and of 60 and 250 ms chunks."""
PAIRS: Final = ((9, 3), (7, 6), (8, 0), (5, 9), (1, 7), (3, 0))
"""Sentences of the sample that make an utterance: 4.3 to 4.5 s each, 4.4 in the mean."""
BREATH_S: Final = 0.2
"""Between the two sentences of an utterance: less than the hangover."""
GAP_S: Final = 2.0
"""Between the utterances of a customer; the two customers of a loop are further apart."""
EDGE_S: Final = 0.03
NOISE_DBFS: Final = -58.0


@dataclass(frozen=True, slots=True)
class Said:
    """One utterance of the loop: where its speech begins and ends, in seconds from the loop's start."""

    begin_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Loop:
    """The audio (16 kHz, int16) and what is said in it, in order."""

    samples: Samples
    said: tuple[Said, ...]

    @property
    def length_ms(self) -> int:
        """How long it is."""
        return len(self.samples) * 1000 // SAMPLE_RATE_HZ

    @property
    def pcm(self) -> bytes:
        """As s16le."""
        return self.samples.astype("<i2").tobytes()

    def spoken(self, phase_ms: int, stream_s: float) -> list[Said]:
        """What is said wholly within the first `stream_s` of a stream that begins `phase_ms` into the loop, in the
        stream's own seconds."""
        length_s, found = self.length_ms / 1000, []
        for turn in range(int((stream_s + phase_ms / 1000) // length_s) + 1):
            shift_s = turn * length_s - phase_ms / 1000
            found += [Said(one.begin_s + shift_s, one.end_s + shift_s) for one in self.said]
        return [one for one in found if one.begin_s >= 0 and one.end_s <= stream_s]


def loop(sentences: Sequence[Samples] | None = None) -> Loop:
    """The loop, the same every time; `sentences` are those of the sample where none are given."""
    sentences = clips() if sentences is None else sentences
    made = [_utterance(sentences[first], sentences[second]) for first, second in PAIRS]
    rest_s = LOOP_MS / 1000 - sum(len(one) for one in made) / SAMPLE_RATE_HZ - (len(made) - 2) * GAP_S
    samples = _noise()
    at = int(rest_s / 4 * SAMPLE_RATE_HZ)
    said = []
    for number, one in enumerate(made):
        samples[at : at + len(one)] += one
        end = at + len(one)
        said.append(Said(at / SAMPLE_RATE_HZ + EDGE_S, end / SAMPLE_RATE_HZ - EDGE_S))
        at = end + int((rest_s / 2 if number == len(made) // 2 - 1 else GAP_S) * SAMPLE_RATE_HZ)
    return Loop(np.clip(samples, -32768, 32767).astype(np.int16), tuple(said))


def _utterance(first: Samples, second: Samples) -> NDArray[np.float32]:
    breath = np.zeros(int(BREATH_S * SAMPLE_RATE_HZ), np.float32)
    return np.concatenate([first.astype(np.float32), breath, second.astype(np.float32)])


def _noise() -> NDArray[np.float32]:
    noise = np.random.default_rng(1).standard_normal(LOOP_MS * SAMPLE_RATE_HZ // 1000, dtype=np.float32)
    return noise * np.float32(32768 * 10 ** (NOISE_DBFS / 20))
