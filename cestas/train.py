"""`python -m cestas.train [LABELS.jsonl …]`: learns what the rules guess and when they speak from labels."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from cestas import speak
from cestas.data_files import DATA_DIR, read_json
from cestas.evaluate import Label, read_labels
from cestas.guess import NOTHING, Guesser, fit
from cestas.lexicon import Lexicon
from cestas.text import words_of

SURE, AHEAD = 0.33, 0.03
"""Where the cross-validated guess names the right macro category 9 times in 10 and seldom speaks on negatives."""
SPEAK_THRESHOLD, SILENCE_WEIGHT = 0.5, 2.5
"""Where the cross-validated decision to speak loses 3 of 100 rightful suggestions and half of the false ones."""
FOLDS = 8
_LEAST_WEIGHT = 0.02
"""Smaller weights change nothing and are left out of the file."""

Example = tuple[str, str]


def phrases(directory: Path = DATA_DIR) -> list[Example]:
    """Every phrase of a symptom or disease, with its name."""
    records = read_json(directory / "symptoms.json")["sintomas"]
    heard = [record for record in records if record["tipo"] in ("sintoma", "doenca") and not record.get("so_falas")]
    named = [record for record in heard if record["categorias"]]
    return [(said, record["nome"]) for record in named for said in (record["nome"], *record["falas"])]


def labelled(labels: Sequence[Label], lexicon: Lexicon) -> list[Example]:
    """Utterances about exactly one complaint, and those about none."""
    examples = []
    for label in labels:
        names = {lexicon.canonical_complaint(name) for name in (*label.sint, *label.doenca)}
        if label.kind in ("negativo", "ambiguo") or (not names and label.kind != "seguranca"):
            examples.append((label.text, NOTHING))
        elif len(names) == 1 and not label.med:
            complaint = lexicon.complaints.get(names.pop())
            if complaint is not None and complaint.categories:
                examples.append((label.text, complaint.name))
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


def speak_examples(labels: Sequence[Label], lexicon: Lexicon) -> list[speak.Example]:
    """What was said, as features, and whether a suggestion was due."""
    return [(speak.features(label.text, lexicon), label.suggest) for label in labels]


def cross_validate_speaking(examples: Sequence[speak.Example], folds: int = FOLDS) -> dict[str, float]:
    """Each example judged by a model that has not seen it: share of rightful words heeded, of idle ones taken up."""
    heeded: dict[bool, list[bool]] = {True: [], False: []}
    for fold in range(folds):
        seen = [example for at, example in enumerate(examples) if at % folds != fold]
        model = speak.fit(seen, SPEAK_THRESHOLD, SILENCE_WEIGHT)
        for found, wanted in examples[fold::folds]:
            heeded[wanted].append(model.probability(found) >= model.threshold)
    shares = {wanted: sum(spoke) / max(1, len(spoke)) for wanted, spoke in heeded.items()}
    return {"rightful": round(shares[True], 3), "idle": round(shares[False], 3)}


def write_speaker(model: speak.Speaker, path: Path) -> None:
    """Store the weights; one feature a line."""
    kept = {name: round(weight, 3) for name, weight in sorted(model.weights.items()) if abs(weight) >= _LEAST_WEIGHT}
    body = ",\n".join(f"  {json.dumps(name, ensure_ascii=False)}: {weight}" for name, weight in kept.items())
    head = json.dumps({"bias": round(model.bias, 3), "threshold": model.threshold})[:-1]
    path.write_text(f'{head}, "weights": {{\n{body}\n}}}}\n', encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, print the cross-validated figures, write the weights."""
    parser = argparse.ArgumentParser(prog="python -m cestas.train", description=__doc__)
    parser.add_argument("labels", type=Path, nargs="*", help="labels besides cestas/data/labels/dev.jsonl")
    options = parser.parse_args(arguments)
    lexicon = Lexicon.load()
    labels = [label for path in (DATA_DIR / "labels" / "dev.jsonl", *options.labels) for label in read_labels(path)]
    known, held = phrases(), labelled(labels, lexicon)
    examples = speak_examples(labels, lexicon)
    figures = {"guess": cross_validate(known, held, lexicon), "speak": cross_validate_speaking(examples)}
    sys.stdout.write(f"{json.dumps(figures)}\n")
    write(fit([*known, *held], SURE, AHEAD), DATA_DIR / "weights.json")
    write_speaker(speak.fit(examples, SPEAK_THRESHOLD, SILENCE_WEIGHT), DATA_DIR / "speak.json")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
