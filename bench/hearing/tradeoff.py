"""`python -m bench.hearing.tradeoff --out FOLDER`: sentences split against delay as the hangover grows."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from audio.settings import SegmenterSettings
from audio.silero import Silero
from bench.hearing import corpus
from bench.hearing.contenders import Heard, classic, ours, silero_alone
from bench.hearing.corpus import PARTS, Part, Scene
from bench.hearing.report import steady
from bench.hearing.score import mean, score

HANGOVERS_MS = range(330, 571, 30)
SNRS_DB: tuple[float | None, ...] = (None, 20.0, 10.0)
BAR_SPLIT, BAR_P50_S = 3.0, 0.45
Hear = Callable[[Scene, bytes], Heard]


def _adaptive(hangover_ms: int) -> Hear:
    chain = ours(SegmenterSettings(hangover_ms=hangover_ms), None)
    return lambda scene, pcm: chain(pcm)


def _fixed(hangover_ms: int) -> Hear:
    settings = SegmenterSettings(hangover_ms=hangover_ms, long_earlier_ms=0, noisy_later_ms=0)
    chain = ours(settings, None)
    return lambda scene, pcm: chain(pcm)


def _oracle(hangover_ms: int) -> Hear:
    """Who knows of every frame whether it is speech, and has nothing but the length of the silence to go by."""
    return lambda scene, pcm: Heard(scene.frames, classic(scene.frames, hangover_ms, 390, 1), 0.0)


def _silero(hangover_ms: int) -> Hear:
    """Silero on every step of the day, for what CPU could buy."""
    chain = silero_alone(Silero(), hangover_ms)
    return lambda scene, pcm: chain(pcm)


RULES: dict[str, Callable[[int], Hear]] = {
    "adaptive": _adaptive,
    "fixed": _fixed,
    "silero, fixed": _silero,
    "oracle, fixed": _oracle,
}


def curve(part: Part, seeds: int) -> Iterator[dict[str, object]]:
    """One point a rule, hangover and SNR: split sentences of 60 and the delay from the true end of speech."""
    scenes = [corpus.conversation(part, seed) for seed in range(seeds)]
    for snr_db in SNRS_DB:
        streams = [(scene, pcm) for scene in scenes for pcm in steady(part, snr_db, scene)]
        for name, rule in RULES.items():
            for hangover_ms in HANGOVERS_MS:
                hear = rule(hangover_ms)
                found = mean(score(scene, hear(scene, pcm)) for scene, pcm in streams)
                yield {
                    "rule": name,
                    "snr_db": snr_db,
                    "hangover_ms": hangover_ms,
                    "split_of_60": round(found.split, 2),
                    "delay_p50_s": round(found.delay_p50_s, 3),
                    "delay_p90_s": round(found.delay_p90_s, 3),
                }


def _plot(path: Path, points: list[dict[str, object]]) -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(SNRS_DB), figsize=(11, 4), sharey=True)
    for axis, snr_db in zip(axes, SNRS_DB, strict=True):
        for rule in RULES:
            mine = [one for one in points if one["rule"] == rule and one["snr_db"] == snr_db]
            axis.plot([o["delay_p50_s"] for o in mine], [o["split_of_60"] for o in mine], marker="o", label=rule)
        axis.axvline(BAR_P50_S, color="grey", lw=0.8, ls=":")
        axis.axhline(BAR_SPLIT, color="grey", lw=0.8, ls=":")
        axis.set_title("clean" if snr_db is None else f"{snr_db:g} dB")
        axis.set_xlabel("end of speech to emission, p50 (s)")
    axes[0].set_ylabel("sentences split, of 60")
    axes[-1].legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main() -> int:
    """Write tradeoff.json, and tradeoff.png where matplotlib is installed."""
    parser = argparse.ArgumentParser(prog="python -m bench.hearing.tradeoff", description=__doc__)
    parser.add_argument(
        "--part", choices=sorted(PARTS), default="tuning", help="the part that tuning may see, by default"
    )
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    points = []
    for point in curve(PARTS[options.part], max(1, options.seeds)):
        print(json.dumps(point))
        points.append(point)
    options.out.mkdir(parents=True, exist_ok=True)
    told = {"part": options.part, "seeds": options.seeds, "points": points}
    (options.out / "tradeoff.json").write_text(json.dumps(told, indent=1) + "\n")
    if importlib.util.find_spec("matplotlib") is None:
        print("matplotlib is not installed (requirements-bench.txt): no plot", file=sys.stderr)
        return 0
    _plot(options.out / "tradeoff.png", points)
    return 0


if __name__ == "__main__":
    sys.exit(main())
