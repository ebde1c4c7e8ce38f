"""`python -m bench.hearing [--quick] [--part tuning|held-out] [--out FOLDER]`: how well Balto hears, against truth."""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from pathlib import Path

from bench.hearing.corpus import PARTS
from bench.hearing.report import as_text, run, write


def main() -> int:
    """Run the report; 2 when espeak-ng is missing."""
    parser = argparse.ArgumentParser(prog="python -m bench.hearing", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one short scene a condition, fewer chains (a minute)")
    parser.add_argument("--seeds", type=int, default=1, help="scenes a condition (each takes minutes in a full report)")
    parser.add_argument("--part", choices=sorted(PARTS), default="held-out", help="the part no tuning saw, by default")
    parser.add_argument("--out", type=Path, help="where report.json, report.md and f1.png go")
    options = parser.parse_args()
    if shutil.which("espeak-ng") is None:
        print("espeak-ng is missing: apt-get install espeak-ng", file=sys.stderr)
        return 2
    began = time.monotonic()
    tables = run(
        PARTS[options.part],
        quick=options.quick,
        seeds=max(1, options.seeds),
        progress=lambda what: print(what, file=sys.stderr),
    )
    print(as_text(tables))
    if options.out:
        write(options.out, PARTS[options.part], tables)
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
