"""`python -m bench.hearing.fuzz_webm [--cases N]`: damaged WebM must end in samples or a refusal, quickly and small."""

from __future__ import annotations

import argparse
import io
import resource
import sys
import time
from collections import Counter

import av
import numpy as np
from numpy.random import Generator

from audio.decode import decoder_for
from audio.errors import AudioInvalid

SLOWEST_S = 2.0
GROWTH_MAX_MB = 64.0


def recording(seconds: float = 1.0) -> bytes:
    """A live WebM of a buzz, as MediaRecorder makes it."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="webm", options={"live": "1"}) as container:
        stream = container.add_stream("libopus", rate=48_000)
        stream.layout = "mono"
        stream.options = {"frame_duration": "60"}
        samples = (8000 * np.sin(np.arange(int(48_000 * seconds)) / 50) ** 3).astype("<i2")[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = 48_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return buffer.getvalue()


def damage(rng: Generator, good: bytes) -> bytes:
    """`good` with bytes changed, pieces cut out, doubled or replaced by noise, or cut short."""
    data = bytearray(good)
    for _ in range(int(rng.integers(1, 6))):
        at, length = int(rng.integers(0, len(data))), int(rng.integers(1, 60))
        kind = int(rng.integers(0, 5))
        if kind == 0:
            data[at] = int(rng.integers(0, 256))
        elif kind == 1:
            del data[at : at + length]
        elif kind == 2:
            data[at:at] = data[at : at + length] * int(rng.integers(1, 20))
        elif kind == 3:
            data[at : at + length] = rng.bytes(length)
        else:
            del data[max(1, at) :]
        if not data:
            return good[:1]
    return bytes(data)


def outcome_of(data: bytes, chunk: int) -> str:
    """`decoded` or the refusal's words."""
    try:
        decoder = decoder_for("webm_opus")
        for at in range(0, len(data), chunk):
            decoder.feed(data[at : at + chunk])
        decoder.flush()
    except AudioInvalid as error:
        return str(error)
    return "decoded"


def main() -> int:
    """1 when a case was slow, or memory grew; anything but AudioInvalid stops it with a traceback."""
    parser = argparse.ArgumentParser(prog="python -m bench.hearing.fuzz_webm")
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng, good, outcomes, slowest = np.random.default_rng(options.seed), recording(), Counter[str](), 0.0
    outcome_of(good, 1000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(options.cases):
        data = damage(rng, good)
        began = time.process_time()
        outcomes[outcome_of(data, int(rng.choice([7, 100, 1000, 100_000])))] += 1
        slowest = max(slowest, time.process_time() - began)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    for outcome, count in outcomes.most_common():
        print(f"{count:7} {outcome}")
    print(f"slowest {1000 * slowest:.0f} ms, memory grew by {grown_mb:.0f} MB at the most")
    return int(slowest > SLOWEST_S or grown_mb > GROWTH_MAX_MB)


if __name__ == "__main__":
    sys.exit(main())
