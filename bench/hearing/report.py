"""Runs every chain over a part of the corpus and writes the figures as JSON, as tables, and as a plot where it can."""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np

from audio.segmenter import Segmenter
from audio.settings import SegmenterSettings
from audio.silero import Silero
from bench.hearing import corpus, recordings
from bench.hearing.contenders import Contender, ours, previous_generation, silero_alone, webrtc_alone
from bench.hearing.corpus import SPEECH_DBFS, Part, Scene, to_pcm
from bench.hearing.noises import EVENTS, RATE, STEADY, at_level
from bench.hearing.score import Score, mean, score

SNRS_DB: tuple[float | None, ...] = (None, 20.0, 10.0, 5.0)
LEVELS_DBFS = (-52, -46, -40, -32, -25, -18, -12)
MICROPHONE_DBFS = -85.0
Table = dict[str, dict[str, float]]


def contenders(quick: bool) -> dict[str, Contender]:
    """Every chain by name; the quick report leaves out what a full one shows again."""
    model = Silero()
    chains: dict[str, Contender] = {"ours": ours(SegmenterSettings(), model), "previous": previous_generation}
    for mode in (2,) if quick else (0, 1, 2, 3):
        chains[f"webrtcvad {mode}"] = webrtc_alone(mode)
    if not quick:
        chains["silero"] = silero_alone(model)
    return chains


def run(part: Part, *, quick: bool, seeds: int, progress: Callable[[str], None]) -> dict[str, Table]:
    """Every table of the report, by title: rows are chains, columns the figures of Score; means over `seeds` scenes."""
    chains, tables = contenders(quick), {}
    length = 24 if quick else 60
    scenes = [corpus.conversation(part, seed, length) for seed in range(seeds)]
    dense = [corpus.dense(part, seed, length // 2) for seed in range(seeds)]
    for title, group, snrs in (("conversation", scenes, SNRS_DB), ("dense dialogue", dense, (20.0, 10.0))):
        for snr in snrs:
            name = f"{title}, {'clean' if snr is None else f'{snr:g} dB'}"
            progress(name)
            tables[name] = _compare(chains, partial(steady, part, snr), group)
    progress("babble")
    tables["babble, 10 dB"] = _compare(
        chains, lambda s: [s.over(corpus.babble(part, 0, len(s.clean), 10.0))], scenes[:1]
    )
    progress("steps")
    tables["noise that steps by 12 dB"] = _compare(
        chains, lambda s: [s.over(corpus.step_noise(part, 0, len(s.clean)))], scenes[:1]
    )
    progress("levels")
    for level in LEVELS_DBFS[:: 3 if quick else 1]:
        tables[f"level {level} dBFS"] = _compare(chains, partial(_levelled, level), scenes[:1])
    progress("events")
    tables["false segments a minute"] = _events(chains, part, seeds)
    tables["cost"] = {"ours": _cost(scenes[0])}
    return tables


def run_recordings(folder: Path, *, quick: bool, progress: Callable[[str], None]) -> dict[str, Table]:
    """The same figures over recordings of a counter: a table for each and their mean; raises RecordingInvalid."""
    chains, tables = contenders(quick), {}
    scores: dict[str, list[Score]] = {name: [] for name in chains}
    for scene, pcm in recordings.load(folder):
        progress(scene.name)
        found = {name: score(scene, chain(pcm)) for name, chain in chains.items()}
        tables[scene.name] = {name: asdict(one) for name, one in found.items()}
        for name, one in found.items():
            scores[name].append(one)
    return {"all recordings, mean": {name: asdict(mean(every)) for name, every in scores.items()}, **tables}


def steady(part: Part, snr: float | None, scene: Scene) -> Iterable[bytes]:
    """The scene over each stationary noise at `snr` dB; alone, as a microphone gives it, where that is None."""
    if snr is None:
        return [_at(scene, SPEECH_DBFS)]
    count = len(scene.clean)
    return [scene.over(corpus.steady_noise(part, name, count % 7, count, snr)) for name in STEADY]


def _levelled(level_dbfs: float, scene: Scene) -> list[bytes]:
    return [_at(scene, level_dbfs)]


def _at(scene: Scene, level_dbfs: float) -> bytes:
    """The clean scene at another level, with a microphone's own noise at -85 dBFS."""
    hiss = at_level(np.random.default_rng(5).normal(size=len(scene.clean)), MICROPHONE_DBFS)
    return to_pcm(scene.clean * 10 ** ((level_dbfs - SPEECH_DBFS) / 20) + hiss)


def _compare(chains: dict[str, Contender], streams: Callable[[Scene], Iterable[bytes]], scenes: list[Scene]) -> Table:
    scores: dict[str, list[Score]] = {name: [] for name in chains}
    for scene in scenes:
        for pcm in streams(scene):
            for name, chain in chains.items():
                scores[name].append(score(scene, chain(pcm)))
    return {name: asdict(mean(every)) for name, every in scores.items()}


def _events(chains: dict[str, Contender], part: Part, minutes: int) -> Table:
    table: Table = {name: {} for name in chains}
    for event in EVENTS:
        streams = [corpus.events(part, event, minute) for minute in range(minutes)]
        for name, chain in chains.items():
            table[name][event] = sum(len(chain(pcm).segments) for pcm in streams) / minutes
    return table


def _cost(scene: Scene) -> dict[str, float]:
    """CPU of the segmenter at 250 ms chunks: while people talk (20 dB) and while nobody does, best of thirty."""
    talk = to_pcm(scene.clean + at_level(np.random.default_rng(1).normal(size=len(scene.clean)), SPEECH_DBFS - 20))
    idle = to_pcm(at_level(np.random.default_rng(2).normal(size=60 * RATE), SPEECH_DBFS - 20))
    figures = {}
    for name, pcm in (("talk", talk), ("idle", idle)):
        best = min(_cpu_s(pcm) for _ in range(30))
        figures[f"{name}_us_per_250ms"] = 1e6 * best / (len(pcm) / 8000)
        figures[f"{name}_streams_per_core"] = len(pcm) / (2 * RATE) / best
    return figures


def _cpu_s(pcm: bytes) -> float:
    segmenter, chunks = Segmenter(SegmenterSettings()), [pcm[at : at + 8000] for at in range(0, len(pcm), 8000)]
    began = time.process_time()
    for chunk in chunks:
        segmenter.feed(chunk)
    return time.process_time() - began


COLUMNS = {
    "f1": "F1", "precision": "P", "recall": "R", "missed": "missed", "starts_cut": "start cut", "ends_cut": "end cut",
    "merged": "merged", "split": "split", "false": "false", "delay_p50_s": "p50 s", "delay_p90_s": "p90 s",
    "sent_ratio": "sent", "us_per_frame": "us/frame",
}  # fmt: skip


def as_text(tables: dict[str, Table]) -> str:
    """The tables as Markdown."""
    out = []
    for title, table in tables.items():
        names = list(next(iter(table.values())))
        out += [f"### {title}", "", "| chain | " + " | ".join(COLUMNS.get(name, name) for name in names) + " |"]
        out += ["|---|" + "---|" * len(names)]
        out += [f"| {chain} | " + " | ".join(_cell(row[name]) for name in names) + " |" for chain, row in table.items()]
        out += [""]
    return "\n".join(out)


def _cell(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.0f}"


def write(folder: Path, source: str, tables: dict[str, Table]) -> None:
    """`report.json`, `report.md`, and `f1.png` where matplotlib is installed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps({"source": source, "tables": tables}, indent=1))
    (folder / "report.md").write_text(f"# Hearing, {source}\n\n{as_text(tables)}")
    if importlib.util.find_spec("matplotlib") is None:
        print("matplotlib is not installed: no plot", file=sys.stderr)
        return
    _plot(folder / "f1.png", tables)


def _plot(path: Path, tables: dict[str, Table]) -> None:
    import matplotlib.pyplot as plt

    titles = [title for title in tables if title.startswith("conversation")] or list(tables)
    figure, axes = plt.subplots(figsize=(7, 4))
    for chain in next(iter(tables.values())):
        axes.plot([tables[title][chain]["f1"] for title in titles], marker="o", label=chain)
    axes.set_xticks(range(len(titles)), [title.split(", ")[-1] for title in titles])
    axes.set_ylabel("frame F1")
    axes.set_ylim(0.3, 1.0)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)
