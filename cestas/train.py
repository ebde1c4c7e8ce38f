"""`python -m cestas.train`: learns the guess at complaints from the project's phrases and development labels."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from cestas.data_files import DATA_DIR, read_json
from cestas.evaluate import Label, read_labels
from cestas.guess import NOTHING, Guesser, fit
from cestas.lexicon import Lexicon
from cestas.text import words_of

SURE, AHEAD = 0.33, 0.03
"""Where the cross-validated guess names the right macro category 9 times in 10 and seldom speaks on negatives."""
FOLDS = 8
_LEAST_WEIGHT = 0.02
"""Smaller weights change nothing and are left out of the file."""

Example = tuple[str, str]


def phrases(directory: Path = DATA_DIR) -> list[Example]:
    """Every phrase of a symptom or disease, with its name."""
    records = read_json(directory / "symptoms.json")["sintomas"]
    named = [record for record in records if record["tipo"] in ("sintoma", "doenca") and not record.get("so_falas")]
    return [(said, record["nome"]) for record in named for said in (record["nome"], *record["falas"])]


def labelled(labels: Sequence[Label], lexicon: Lexicon) -> list[Example]:
    """Utterances about exactly one complaint, and those about none."""
    examples = []
    for label in labels:
        names = {lexicon.canonical_complaint(name) for name in (*label.sint, *label.doenca)}
        if label.kind in ("negativo", "ambiguo") or (not names and label.kind != "seguranca"):
            examples.append((label.text, NOTHING))
        elif len(names) == 1 and not label.med and names <= set(lexicon.complaints):
            examples.append((label.text, names.pop()))
    return examples


def cross_validate(
    known: Sequence[Example], held: Sequence[Example], lexicon: Lexicon, folds: int = FOLDS
) -> dict[str, float]:
    """Each of `held` guessed by a model that has not seen it: coverage, exactness, macro precision, false guesses."""
    told = right = same_macro = complaints = false = silent = 0
    for fold in range(folds):
        seen = [example for at, example in enumerate(held) if at % folds != fold]
        guesser = fit([*known, *seen], SURE, AHEAD)
        for text, name in held[fold::folds]:
            guess = guesser.guess(words_of(text))
            complaints += name != NOTHING
            silent += name == NOTHING
            false += name == NOTHING and guess != NOTHING
            if name != NOTHING and guess != NOTHING:
                told += 1
                right += guess == name
                same_macro += _macro(guess, lexicon) == _macro(name, lexicon)
    return {
        "coverage": round(told / max(1, complaints), 3),
        "exact": round(right / max(1, told), 3),
        "macro": round(same_macro / max(1, told), 3),
        "guesses_on_negatives": round(false / max(1, silent), 3),
    }


def _macro(name: str, lexicon: Lexicon) -> str:
    return lexicon.complaints[name].categories[0][0]


def write(guesser: Guesser, path: Path) -> None:
    """Store the weights; one feature a line."""
    lines = []
    for name in sorted(guesser.weights):
        pairs = [pair for pair in guesser.weights[name] if pair[1] >= _LEAST_WEIGHT]
        if pairs:
            lines.append(f"  {json.dumps(name)}: {json.dumps([guesser.rarity[name], pairs])}")
    head = {"classes": guesser.classes, "sure": guesser.sure, "ahead": guesser.ahead}
    body = ",\n".join(lines)
    path.write_text(f'{json.dumps(head, ensure_ascii=False)[:-1]}, "features": {{\n{body}\n}}}}\n', encoding="utf-8")


def main() -> int:
    """Train, print the cross-validated figures, write the weights."""
    lexicon = Lexicon.load()
    known = phrases()
    held = labelled(read_labels(DATA_DIR / "labels" / "dev.jsonl"), lexicon)
    sys.stdout.write(f"{json.dumps(cross_validate(known, held, lexicon))}\n")
    write(fit([*known, *held], SURE, AHEAD), DATA_DIR / "weights.json")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
