"""A reproducible corpus of counter talk by espeak-ng (Debian package `espeak-ng`), with its exact truth."""

from __future__ import annotations

import functools
import io
import subprocess
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy.signal import resample_poly

from bench.hearing.noises import EVENTS, RATE, STEADY, Signal, at_level, room

SPEECH_DBFS = -25.0
TRUTH_STEP = 480
"""Truth is told for frames of 30 ms."""
TRUTH_BELOW_PEAK_DB = 40.0
"""A frame is speech when the clean signal in it is within 40 dB of its utterance's loudest frame ..."""
TRUTH_BRIDGE_FRAMES = 3
"""... or lies in a hole of at most 90 ms: the closure of a plosive is part of the word."""


@dataclass(frozen=True)
class Part:
    """What only tuning may see, or only the report."""

    name: str
    voices: tuple[str, ...]
    sentences: tuple[str, ...]
    seed: int


TUNING = Part(
    "tuning",
    ("pt-br", "pt-br+f2", "pt-br+m3"),
    (
        "Bom dia, a senhora tem dipirona em gotas",
        "Meu filho está com febre desde ontem à noite",
        "Quanto custa esse xarope para tosse",
        "Estou com muita dor de cabeça",
        "Queria um remédio para dor de garganta",
        "Sim",
        "Tem genérico desse aqui",
        "É para a minha mãe, ela é hipertensa",
        "Pode ser o de vinte comprimidos",
        "Não, obrigado, só isso mesmo",
        "Ela está com diarreia e vômito faz dois dias",
        "Vocês aceitam cartão",
        "Preciso de soro fisiológico",
        "O médico receitou amoxicilina",
    ),
    1000,
)
HELD_OUT = Part(
    "held-out",
    ("pt-br+m5", "pt-br+f4", "pt-br+m7", "pt-br+f1"),
    (
        "Boa tarde, queria ver um antialérgico",
        "Meu nariz está entupido há três dias",
        "Tem alguma coisa para azia e queimação",
        "Qual o preço do protetor solar",
        "Minha filha caiu e machucou o joelho",
        "Isso",
        "Serve para criança de quatro anos",
        "Estou grávida, posso tomar paracetamol",
        "Me vê duas caixas, por favor",
        "Obrigada, bom trabalho",
        "Estou sentindo muita dor nas costas quando levanto peso",
        "Aceita pix",
        "Quero um creme para assadura de bebê",
        "A pressão dele estava alta hoje cedo",
        "Não",
    ),
    9000,
)
PARTS = {part.name: part for part in (TUNING, HELD_OUT)}


@dataclass(frozen=True)
class Spoken:
    """One true utterance, in samples of its scene."""

    start: int
    end: int


@dataclass(frozen=True)
class Scene:
    """A stretch of a counter's day: what the microphone gives, and what is true of it."""

    name: str
    clean: Signal
    frames: NDArray[np.bool_]
    spoken: tuple[Spoken, ...]

    def over(self, noise: Signal) -> bytes:
        """The scene with `noise` added, as s16le."""
        return to_pcm(self.clean + noise[: len(self.clean)])


def to_pcm(signal: Signal) -> bytes:
    """s16le, rounded, clipped."""
    return np.clip(np.rint(signal * 32768), -32768, 32767).astype("<i2").tobytes()


@functools.lru_cache(maxsize=2000)
def say(voice: str, words_per_minute: int, sentence: str) -> Signal:
    """One sentence at SPEECH_DBFS, without the silence around it, 16 kHz."""
    command = ["espeak-ng", "-v", voice, "-s", str(words_per_minute), "--stdout", sentence]
    spoken = subprocess.run(command, capture_output=True, check=True, timeout=20).stdout
    with wave.open(io.BytesIO(spoken)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
        rate = file.getframerate()
    samples = resample_poly(samples, RATE // 50, rate // 50)
    loud = np.flatnonzero(np.abs(samples) > 0.01 * np.abs(samples).max())
    return at_level(samples[loud[0] : loud[-1] + 1], SPEECH_DBFS)


def _utterance(part: Part, rng: Generator, voice: str) -> Signal:
    """One to three sentences by one voice, with pauses of 0.2 to 0.45 s."""
    pieces: list[Signal] = []
    for number in range(int(rng.choice([1, 1, 2, 3]))):
        if number:
            pieces.append(np.zeros(int(rng.uniform(0.2, 0.45) * RATE)))
        pieces.append(say(voice, int(rng.integers(13, 20)) * 10, str(rng.choice(list(part.sentences)))))
    return np.concatenate(pieces)


def place(name: str, pieces: Sequence[Signal], gaps_s: Sequence[float]) -> Scene:
    """A scene of the pieces (16 kHz, full scale 1.0) with a gap before each, and 2.5 s behind the last."""
    parts, spoken, at = [], [], 0
    for piece, gap_s in zip(pieces, gaps_s, strict=False):
        gap = np.zeros(int(gap_s * RATE))
        at += len(gap)
        spoken.append(Spoken(at, at + len(piece)))
        at += len(piece)
        parts += [gap, piece]
    clean = np.concatenate([*parts, np.zeros(int(2.5 * RATE))])
    clean = clean[: len(clean) - len(clean) % TRUTH_STEP]
    return Scene(name, clean, _truth(clean, spoken), tuple(spoken))


def _truth(clean: Signal, spoken: Sequence[Spoken]) -> NDArray[np.bool_]:
    levels = 10 * np.log10(np.mean(clean.reshape(-1, TRUTH_STEP) ** 2, axis=1) + 1e-12)
    truth = np.zeros(len(levels), dtype=bool)
    for one in spoken:
        span = slice(one.start // TRUTH_STEP, -(-one.end // TRUTH_STEP))
        truth[span] |= levels[span] > levels[span].max() - TRUTH_BELOW_PEAK_DB
    return bridge(truth, TRUTH_BRIDGE_FRAMES)


def bridge(flags: NDArray[np.bool_], longest: int) -> NDArray[np.bool_]:
    """`flags` with holes of at most `longest` frames filled."""
    out, at = flags.copy(), np.flatnonzero(flags)
    for before, after in pairwise(at):
        if after - before - 1 <= longest:
            out[before:after] = True
    return out


def conversation(part: Part, seed: int, utterances: int = 60) -> Scene:
    """Turns of several voices with gaps of 0.6 to 4 s, two thirds of them of 1 s and more."""
    rng = np.random.default_rng(part.seed + seed)
    pieces = [_utterance(part, rng, str(rng.choice(part.voices))) for _ in range(utterances)]
    gaps = [2.5] + [float(rng.choice([rng.uniform(0.7, 1), rng.uniform(1, 2), rng.uniform(1.5, 4)])) for _ in pieces]
    return place("conversation", pieces, gaps)


def dense(part: Part, seed: int, utterances: int = 30) -> Scene:
    """Dialogue without rest, more than four fifths of it speech."""
    rng = np.random.default_rng(part.seed + seed + 50)
    pieces = [_utterance(part, rng, part.voices[turn % len(part.voices)]) for turn in range(utterances)]
    return place("dense", pieces, [2.5] + [float(rng.uniform(0.15, 0.5)) for _ in pieces])


def steady_noise(part: Part, name: str, seed: int, samples: int, snr_db: float) -> Signal:
    """A stationary noise `snr_db` below the speech."""
    return _unlevelled(name, part.seed + seed + 100 + list(STEADY).index(name), samples) * 10 ** (
        (SPEECH_DBFS - snr_db) / 20
    )


@functools.lru_cache(maxsize=len(STEADY))
def _unlevelled(name: str, seed: int, samples: int) -> Signal:
    """The same noise serves every SNR of a scene; at 0 dBFS."""
    return at_level(STEADY[name](np.random.default_rng(seed), samples), 0.0)


def babble(part: Part, seed: int, samples: int, snr_db: float) -> Signal:
    """Six other people talking all the time."""
    rng = np.random.default_rng(part.seed + seed + 200)
    total = np.zeros(samples)
    for _ in range(6):
        voice, at = str(rng.choice(part.voices)), -int(rng.integers(0, RATE))
        while at < samples:
            piece = say(voice, 160, str(rng.choice(list(part.sentences))))
            start, stop = max(at, 0), max(0, min(at + len(piece), samples))
            total[start:stop] += piece[start - at : stop - at]
            at += len(piece) + int(rng.integers(0, RATE // 4))
    return at_level(room(rng, total), SPEECH_DBFS - snr_db)


def step_noise(part: Part, seed: int, samples: int) -> Signal:
    """A fan that is switched up (by 12 dB, to 15 dB SNR) after the first third and down again after the second."""
    level = np.where((np.arange(samples) * 3 // samples) == 1, 1.0, 10 ** (-12 / 20))
    return steady_noise(part, "fan", seed, samples, 15.0) * level


def events(part: Part, name: str, seed: int, seconds: float = 60.0) -> bytes:
    """A quiet shop (fan at -55 dBFS) in which one kind of event happens every two to four seconds, at -30..-12 dBFS."""
    rng = np.random.default_rng(part.seed + seed + 300 + list(EVENTS).index(name))
    samples = int(seconds * RATE)
    track = at_level(STEADY["fan"](rng, samples), -55.0)
    at = 3 * RATE
    while True:
        event = EVENTS[name](rng)
        if at + len(event) > samples:
            return to_pcm(track)
        peak = 10 ** (rng.uniform(-30, -12) / 20)
        track[at : at + len(event)] += event * peak / np.sqrt(np.max(np.convolve(event**2, np.ones(480) / 480, "same")))
        at += len(event) + int(rng.uniform(2, 4) * RATE)
