"""What a chain got right and wrong of a scene whose truth is known."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np

from bench.hearing.contenders import Heard, Segment
from bench.hearing.corpus import Scene, Spoken
from bench.hearing.noises import RATE

TOLERANCE = RATE // 10
MERGE_GAP = RATE


@dataclass(frozen=True)
class Score:
    """Counts are per scene; delays and lengths in seconds. A mean over scenes is a Score too."""

    precision: float
    recall: float
    f1: float
    missed: float
    starts_cut: float
    ends_cut: float
    merged: float
    split: float
    false: float
    delay_p50_s: float
    delay_p90_s: float
    sent_ratio: float
    us_per_frame: float


def score(scene: Scene, heard: Heard) -> Score:
    """Compare."""
    count = min(len(scene.frames), len(heard.flags))
    truth, flags = scene.frames[:count], heard.flags[:count]
    hits = int(np.count_nonzero(truth & flags))
    precision, recall = hits / max(1, int(flags.sum())), hits / max(1, int(truth.sum()))
    touching = [[s for s in heard.segments if _overlap(s, one) > 0] for one in scene.spoken]
    delays = _delays(scene, touching)
    return Score(
        precision=precision,
        recall=recall,
        f1=2 * precision * recall / max(1e-9, precision + recall),
        missed=sum(not segments for segments in touching),
        starts_cut=sum(s[0].start > one.start + TOLERANCE for s, one in zip(touching, scene.spoken, strict=True) if s),
        ends_cut=sum(s[-1].end < one.end - TOLERANCE for s, one in zip(touching, scene.spoken, strict=True) if s),
        merged=_merged(scene, heard.segments),
        split=sum(sum(not s.capped for s in segments[:-1]) > 0 for segments in touching),
        false=sum(all(_overlap(s, one) <= 0 for one in scene.spoken) for s in heard.segments),
        delay_p50_s=float(np.percentile(delays, 50)) if delays else float("nan"),
        delay_p90_s=float(np.percentile(delays, 90)) if delays else float("nan"),
        sent_ratio=sum(s.end - s.start for s in heard.segments) / sum(one.end - one.start for one in scene.spoken),
        us_per_frame=1e6 * heard.cpu_s / max(1, count),
    )


def mean(scores: Iterable[Score]) -> Score:
    """The mean of every figure."""
    every = list(scores)
    return Score(*(float(np.mean([getattr(one, field.name) for one in every])) for field in fields(Score)))


def _overlap(segment: Segment, one: Spoken) -> int:
    return min(segment.end, one.end) - max(segment.start, one.start)


def _merged(scene: Scene, segments: tuple[Segment, ...]) -> int:
    """Pairs of neighbours with a gap of a second or more that share a segment."""
    pairs = [(a, b) for a, b in zip(scene.spoken, scene.spoken[1:], strict=False) if b.start - a.end >= MERGE_GAP]
    return sum(any(_overlap(s, a) > TOLERANCE and _overlap(s, b) > TOLERANCE for s in segments) for a, b in pairs)


def _delays(scene: Scene, touching: list[list[Segment]]) -> list[float]:
    """From the true end of speech to the emission of its last segment, where that ended in the gap that follows."""
    nexts = [one.start for one in scene.spoken[1:]] + [len(scene.clean)]
    delays = []
    for one, segments, following in zip(scene.spoken, touching, nexts, strict=True):
        if segments and segments[-1].end <= following and segments[-1].emitted >= one.end:
            delays.append((segments[-1].emitted - one.end) / RATE)
    return delays
