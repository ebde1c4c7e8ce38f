"""`python -m bench.redaction LABELS [--json]`: how much of what identifies people is redacted, and how much else is."""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from privacy.redact import KINDS, Redactor
from privacy.tokens import Span, normal, words

_MARK: Final = re.compile(r"\{([A-Z]+):([^{}]*)\}")
_SIGN: Final = re.compile(r"(?<!\d)[,.;:!?()]|[,.;:!?()](?!\d)")
_WORD: Final = re.compile(r"\w+")
_GLUE: Final = words("a o as os e é de da do das dos na no em pra para pro n nº")
"""Words that belong to neither side of a border: "no [número …]"."""
TIMED_ROUNDS: Final = 20


@dataclass(frozen=True, slots=True)
class Case:
    """One labelled text: `text` without marks, `spans` what identifies somebody in it."""

    name: str
    text: str
    spans: tuple[Span, ...]


def read_case(line: str) -> Case:
    """A line of a label file: JSON with `id` and `marked`, a text in which `{KIND:words}` marks what must go.

    Raises ValueError for a kind that does not exist.
    """
    raw = json.loads(line)
    text, spans, at = "", [], 0
    marked = normal(raw["marked"])
    for match in _MARK.finditer(marked):
        if match[1] not in KINDS:
            raise ValueError(f"{raw['id']}: no kind {match[1]}; there are {', '.join(KINDS)}")
        text += marked[at : match.start()]
        spans.append(Span(len(text), len(text) + len(match[2]), match[1]))
        text += match[2]
        at = match.end()
    return Case(raw["id"], text + marked[at:], tuple(spans))


def plain(case: Case) -> Case:
    """The case in small letters and with no signs but inside numbers, as some recognisers write."""
    return Case(case.name, _SIGN.sub(" ", case.text.lower()), case.spans)


def _words(text: str, span: Span) -> set[int]:
    """Where the words that count begin, of those that the span touches."""
    return {
        m.start()
        for m in _WORD.finditer(text)
        if m.start() < span.end and span.start < m.end() and m.group().lower() not in _GLUE
    }


def score(cases: list[Case], redactor: Redactor) -> dict[str, Any]:
    """Recall and precision in spans, by kind and over all.

    A labelled span is found when every word of it that counts is redacted; `typed` asks for the right kind as well. A
    redacted span is right when every word of it that counts is labelled, whatever its kind.
    """
    labelled, found, typed, made, right = (Counter[str]() for _ in range(5))
    missed: list[str] = []
    wrong: list[str] = []
    for case in cases:
        spans = redactor.redact(case.text).spans
        covered = set().union(*(_words(case.text, span) for span in spans))
        gold = set().union(*(_words(case.text, span) for span in case.spans))
        for span in case.spans:
            labelled[span.kind] += 1
            if _words(case.text, span) <= covered:
                found[span.kind] += 1
                typed[span.kind] += any(
                    s.kind == span.kind and s.start < span.end and span.start < s.end for s in spans
                )
            else:
                missed.append(f"{case.name} {span.kind}")
        for span in spans:
            made[span.kind] += 1
            if _words(case.text, span) <= gold:
                right[span.kind] += 1
            else:
                wrong.append(f"{case.name} {span.kind}")
    kinds = [kind for kind in KINDS if labelled[kind] or made[kind]]
    by_kind = {k: _figures(labelled[k], found[k], typed[k], made[k], right[k]) for k in kinds}
    total = _figures(*(counter.total() for counter in (labelled, found, typed, made, right)))
    return {"cases": len(cases), "total": total, "by_kind": by_kind, "missed": missed, "wrong": wrong}


def _figures(labelled: int, found: int, typed: int, made: int, right: int) -> dict[str, Any]:
    return {
        "labelled": labelled,
        "recall": round(found / labelled, 4) if labelled else None,
        "typed": round(typed / labelled, 4) if labelled else None,
        "made": made,
        "precision": round(right / made, 4) if made else None,
    }


def milliseconds(cases: list[Case], redactor: Redactor) -> dict[str, float]:
    """Time of one text in ms of this process's CPU: mean over all, and the slowest text's mean."""
    means = []
    for case in cases:
        begun = time.process_time()
        for _ in range(TIMED_ROUNDS):
            redactor.redact(case.text)
        means.append((time.process_time() - begun) / TIMED_ROUNDS * 1e3)
    return {"mean_ms": round(sum(means) / len(means), 4), "max_ms": round(max(means), 4)}


def _report(result: dict[str, Any], show: bool) -> Iterator[str]:
    yield f"{'kind':10} {'labelled':>8} {'recall':>7} {'typed':>7} {'made':>6} {'precision':>9}"
    for kind, row in {**result["by_kind"], "TOTAL": result["total"]}.items():
        shares = f"{row['recall']!s:>7} {row['typed']!s:>7} {row['made']:6} {row['precision']!s:>9}"
        yield f"{kind:10} {row['labelled']:8} {shares}"
    yield f"{result['cases']} texts, {result['time']['mean_ms']} ms each, the slowest {result['time']['max_ms']} ms"
    if show:
        yield from (f"missed {name}" for name in result["missed"])
        yield from (f"wrong  {name}" for name in result["wrong"])


def main() -> None:
    """Print the figures of one label file; `--show` names the cases, which held-out sets are not tuned by."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--show", action="store_true", help="name what was missed and what was wrong")
    parser.add_argument("--plain", action="store_true", help="in small letters and without signs (not e-mails)")
    args = parser.parse_args()
    cases = [read_case(line) for line in args.labels.read_text(encoding="utf-8").splitlines() if line.strip()]
    if args.plain:
        cases = [plain(case) for case in cases if not any(span.kind == "EMAIL" for span in case.spans)]
    redactor = Redactor()
    result = {**score(cases, redactor), "time": milliseconds(cases, redactor)}
    shown = result if args.show else {k: v for k, v in result.items() if k not in ("missed", "wrong")}
    print(json.dumps(shown, ensure_ascii=False, indent=2) if args.json else "\n".join(_report(result, args.show)))


if __name__ == "__main__":
    main()
