"""`python -m bench.load.cold`: what a piece of audio costs the segmenter right after another one, and after a pause.

Between two pieces of one counter's stream a machine does other work, its own and its neighbours'. On cores that are
shared (most cheap VPSes) code and data are out of the caches after some milliseconds: the same work then costs a
multiple, and a figure taken in a loop says little of a service.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from typing import Final

from audio.segmenter import Segmenter
from audio.settings import SegmenterSettings
from bench.load.script import loop
from bench.load.stream import stream_of
from bench.path.report import machine

PIECE_MS: Final = 250
PAUSES_MS: Final = (0.0, 0.2, 1.0, 3.0, 5.0, 10.0)


def main() -> int:
    """Print one JSON document: microseconds of CPU a piece by the pause before it, spinning and asleep."""
    parser = argparse.ArgumentParser(prog="python -m bench.load.cold", description=main.__doc__)
    parser.add_argument("--counters", type=int, default=50, help="whose streams are fed in turn")
    parser.add_argument("--pieces", type=int, default=400, help="for each figure")
    options = parser.parse_args()
    pieces = stream_of(loop(), "pcm", PIECE_MS).pieces
    crowd = [Segmenter(SegmenterSettings()) for _ in range(options.counters)]
    found = []
    for pause_ms in PAUSES_MS:
        for awake in (True, False):
            used = [
                _fed_us(crowd[at % len(crowd)], pieces[at % len(pieces)], pause_ms, awake)
                for at in range(options.pieces)
            ]
            quantiles = statistics.quantiles(used, n=10)
            found.append(
                {
                    "pause_ms": pause_ms,
                    "between": "spins" if awake else "sleeps",
                    "mean_us": round(statistics.fmean(used), 1),
                    "p10_us": round(quantiles[0], 1),
                    "p90_us": round(quantiles[-1], 1),
                }
            )
    report = {"bench": "load.cold", "machine": machine(), "counters": options.counters, "pieces": found}
    sys.stdout.write(json.dumps(report, ensure_ascii=False, indent=1) + "\n")
    return 0


def _fed_us(segmenter: Segmenter, piece: bytes, pause_ms: float, awake: bool) -> float:
    """CPU of feeding one piece after a pause, in microseconds."""
    if pause_ms and not awake:
        time.sleep(pause_ms / 1000)
    until_s = time.perf_counter() + pause_ms / 1000
    while awake and time.perf_counter() < until_s:
        pass
    begun_s = time.thread_time()
    segmenter.feed(piece)
    return (time.thread_time() - begun_s) * 1e6


if __name__ == "__main__":
    sys.exit(main())
