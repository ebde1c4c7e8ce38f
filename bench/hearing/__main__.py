"""`python -m bench.hearing`: how well Balto hears, against truth; over the corpus or over a counter's recordings."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from bench.hearing.corpus import PARTS
from bench.hearing.recordings import RecordingInvalid
from bench.hearing.report import Table, as_text, run, run_recordings, write


def main(arguments: list[str] | None = None) -> int:
    """Run the report; 2 when espeak-ng is missing or the recordings cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m bench.hearing", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short scene a condition, fewer chains (a minute)")
    parser.add_argument("--seeds", type=int, default=1, help="scenes a condition (each takes minutes in a full report)")
    parser.add_argument("--part", choices=sorted(PARTS), default="held-out", help="the part no tuning saw, by default")
    parser.add_argument(
        "--recordings",
        type=Path,
        metavar="DIR",
        help="instead of the corpus: every NAME.wav (16 kHz, mono, 16 bits) of DIR against the truth in NAME.json "
        "(format: bench/hearing/recordings.py)",
    )
    parser.add_argument("--out", type=Path, help="where report.json, report.md and f1.png go")
    options = parser.parse_args(arguments)
    if options.recordings is None and shutil.which("espeak-ng") is None:
        print("espeak-ng is missing: apt-get install espeak-ng", file=sys.stderr)
        return 2
    began = time.monotonic()
    try:
        tables = _tables(options)
    except RecordingInvalid as error:
        print(error, file=sys.stderr)
        return 2
    print(as_text(tables))
    if options.out:
        write(options.out, f"{options.recordings or f'{options.part} part'}", tables)
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    return 0


def _tables(options: argparse.Namespace) -> dict[str, Table]:
    if options.recordings is not None:
        return run_recordings(options.recordings, quick=options.quick, progress=_progress)
    return run(PARTS[options.part], quick=options.quick, seeds=max(1, options.seeds), progress=_progress)


def _progress(what: str) -> None:
    print(what, file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
