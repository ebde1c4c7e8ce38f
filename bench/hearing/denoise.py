"""`python -m bench.hearing.denoise`: what cleaning does to speech, to noise and to word errors, and what it costs."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from audio.clean import clean, warm_up
from audio.measure import measure
from audio.settings import CleanSettings
from audio.silero import Silero
from bench.hearing import corpus
from bench.hearing.corpus import HELD_OUT, SPEECH_DBFS, TUNING, Part, to_pcm
from bench.hearing.noises import RATE, STEADY, Signal
from bench.hearing.quality import Measure, measures, word_errors

SNRS_DB = (30.0, 20.0, 10.0, 5.0, 0.0)
WORDS_SNRS_DB = (30.0, 20.0, 15.0, 10.0, 5.0)
DECODE_LIMIT_S = 60.0
VARIANTS = ("raw", ".6", ".85", "own .85")
"""Untouched; two strengths with the preceding second as the profile; and the utterance itself as its own profile."""
SENTENCES_IT_KNOWS = (
    "bom dia estou com dor de cabeça",
    "meu filho está com diarreia desde ontem",
    "tem alguma coisa para tosse seca",
    "minha filha está com febre alta",
    "estou com nariz entupido e coriza",
    "boa tarde você tem dipirona",
    "preciso de soro fisiológico e gaze",
    "queria omeprazol por favor",
    "estou com insônia e ansiedade",
    "vou levar paracetamol e vitamina c",
)
"""All their words are in the demonstration recogniser's vocabulary; with others it could only be wrong."""


@dataclass(frozen=True)
class Row:
    """One noise at one SNR: by figure and by variant."""

    noise: str
    snr_db: float
    cells: dict[str, dict[str, float]]


def variants(noisy: Signal, background: Signal, names: Iterable[str] = VARIANTS) -> dict[str, Signal]:
    """What each way of cleaning makes of `noisy`, float64 at 16 kHz."""
    strong = CleanSettings(prop_decrease=0.85)
    ways: dict[str, Callable[[], Signal]] = {
        "raw": lambda: noisy,
        ".6": lambda: _cleaned(CleanSettings(prop_decrease=0.6), noisy, background),
        ".85": lambda: _cleaned(strong, noisy, background),
        "own .85": lambda: _cleaned(strong, noisy, noisy),
    }
    return {name: ways[name]() for name in names}


def _cleaned(settings: CleanSettings, noisy: Signal, background: Signal) -> Signal:
    return clean(noisy.astype(np.float32), background.astype(np.float32), settings).astype(np.float64)


def _noisy(part: Part, spoken: list[Signal], name: str, snr_db: float) -> Iterator[tuple[Signal, Signal, Signal]]:
    """Each sentence: clean, in the noise, and the second of the noise before it."""
    for number, speech in enumerate(spoken):
        noise = corpus.steady_noise(part, name, number, RATE + len(speech), snr_db)
        yield speech, speech + noise[RATE:], noise[:RATE]


def quality_rows(part: Part, sentences: int, figures: dict[str, Measure]) -> Iterator[Row]:
    """By noise and SNR: every figure of every variant, means over the sentences."""
    spoken = [corpus.say(part.voices[n % len(part.voices)], 160, part.sentences[n]) for n in range(sentences)]
    for name in STEADY:
        for snr_db in SNRS_DB:
            found: dict[str, dict[str, list[float]]] = {f: defaultdict(list) for f in figures}
            for speech, noisy, background in _noisy(part, spoken, name, snr_db):
                for variant, estimate in variants(noisy, background).items():
                    for figure, how in figures.items():
                        found[figure][variant].append(how(speech, estimate))
            cells = {f: {v: float(np.mean(x)) for v, x in by.items()} for f, by in found.items()}
            yield Row(name, snr_db, cells)


def word_rows(part: Part, sentences: int) -> Iterator[Row]:
    """By noise and SNR: share of words wrong of the demonstration recogniser, raw and cleaned, without a cut."""
    from deployments.speech_to_text.demonstration import confident
    from deployments.speech_to_text.sphinx import SphinxProcess

    said = SENTENCES_IT_KNOWS[:sentences]
    spoken = [np.pad(corpus.say(part.voices[n % len(part.voices)], 140, s), RATE // 3) for n, s in enumerate(said)]
    decoder = SphinxProcess()
    try:
        for name in STEADY:
            for snr_db in WORDS_SNRS_DB:
                errors: dict[str, int] = defaultdict(int)
                for sentence, (_, noisy, background) in zip(said, _noisy(part, spoken, name, snr_db), strict=True):
                    for variant, signal in variants(noisy, background, VARIANTS[:3]).items():
                        heard = confident(decoder.hear(to_pcm(signal), DECODE_LIMIT_S), 0.0)
                        errors[variant] += word_errors(sentence.split(), " ".join(w.text for w in heard).split())
                total = sum(len(sentence.split()) for sentence in said)
                cells = {"word errors": {variant: count / total for variant, count in errors.items()}}
                yield Row(name, snr_db, cells)
    finally:
        decoder.close()


def as_text(rows: list[Row]) -> str:
    """Markdown: a row a noise and SNR, a cell a figure with its variants; below, the means over the noises."""
    first = rows[0].cells
    titles = [f"{figure}: {', '.join(by)}" for figure, by in first.items()]
    out = [f"| noise | SNR | {' | '.join(titles)} |", "|---" * (2 + len(first)) + "|"]
    out += [_line(row.noise, row.snr_db, row.cells) for row in rows]
    for snr_db in dict.fromkeys(row.snr_db for row in rows):
        same = [row.cells for row in rows if row.snr_db == snr_db]
        means = {f: {v: float(np.mean([one[f][v] for one in same])) for v in by} for f, by in first.items()}
        out.append(_line("**mean**", snr_db, means))
    return "\n".join(out)


def _line(name: str, snr_db: float, cells: dict[str, dict[str, float]]) -> str:
    digits = {"SI-SDR dB": 1, "cut": 3}
    told = " | ".join(" / ".join(f"{x:.{digits.get(f, 2)}f}" for x in by.values()) for f, by in cells.items())
    return f"| {name} | {snr_db:g} dB | {told} |"


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


def _best_s(step: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(20):
        began = time.process_time()
        step()
        best = min(best, time.process_time() - began)
    return best


def main() -> int:
    """Print the tables and the costs; with `--out`, write denoise.json too."""
    parser = argparse.ArgumentParser(prog="python -m bench.hearing.denoise", description=__doc__)
    parser.add_argument("--sentences", type=int, default=6, help="sentences a condition")
    parser.add_argument("--no-words", action="store_true", help="leave the word errors out (they take minutes)")
    parser.add_argument("--out", type=Path, help="folder for denoise.json")
    options = parser.parse_args()
    figures = measures()
    if len(figures) < 4:
        print("without STOI or PESQ: pip install -r requirements-bench.txt", file=sys.stderr)
    rows = list(quality_rows(HELD_OUT, min(options.sentences, len(HELD_OUT.sentences)), figures))
    print(as_text(rows), end="\n\n")
    words: list[Row] = []
    if not options.no_words and importlib.util.find_spec("pocketsphinx") is None:
        print("no word errors: pocketsphinx is not installed", file=sys.stderr)
    elif not options.no_words:
        words = list(word_rows(TUNING, options.sentences))
        print(as_text(words), end="\n\n")
    print("\n".join(costs()))
    if options.out:
        told = {"quality": [asdict(row) for row in rows], "words": [asdict(row) for row in words]}
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "denoise.json").write_text(json.dumps(told, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
