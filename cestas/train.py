"""`python -m cestas.train [LABELS.jsonl …]`: learns what the rules guess and when they speak from labels."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from cestas import speak, speak_fit
from cestas.advise import advise
from cestas.catalogue import Catalogue
from cestas.data_files import DATA_DIR, read_json
from cestas.evaluate import Label, figures_of, read_labels
from cestas.guess import NOTHING, Guesser, fit
from cestas.judge import Judge
from cestas.lexicon import Lexicon
from cestas.speak_fit import ALARM, IDLE, NEED, Example
from cestas.text import BREAK, words_of

SURE, AHEAD = 0.33, 0.03
"""Where the cross-validated guess names the right macro category 9 times in 10 and seldom speaks on negatives."""
NEED_AT, ALARM_AT = 0.75, 0.5
"""Where, each author left out in turn, idle talk is taken up 2 times in 100 and 9 of 10 needs are, and where in fewer
than 1 in 100 sentences an alarm is raised that is none."""
FOLDS = 8
_LEAST_WEIGHT = 0.02
"""Smaller weights change nothing and are left out of the file."""

Said = tuple[str, str]
"""A text and the complaint that it is about."""


def phrases(directory: Path = DATA_DIR) -> list[Said]:
    """Every phrase of a symptom or disease, with its name."""
    records = read_json(directory / "symptoms.json")["sintomas"]
    heard = [record for record in records if record["tipo"] in ("sintoma", "doenca") and not record.get("so_falas")]
    named = [record for record in heard if record["categorias"]]
    return [(said, record["nome"]) for record in named for said in (record["nome"], *record["falas"])]


def labelled(labels: Sequence[Label], lexicon: Lexicon) -> list[Said]:
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
    known: Sequence[Said], held: Sequence[Said], lexicon: Lexicon, folds: int = FOLDS
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


def speak_examples(labels: Sequence[Label], lexicon: Lexicon) -> list[Example]:
    """What was said and what is due: nothing, a suggestion, or (in the labels of safety) the pharmacist."""
    kinds = [NEED if label.suggest else ALARM if label.kind == "seguranca" else IDLE for label in labels]
    return [_example(label.text, wanted, lexicon) for label, wanted in zip(labels, kinds, strict=True)]


def talk_examples(lexicon: Lexicon, directory: Path = DATA_DIR) -> list[Example]:
    """The sentences of `labels/talk.json`, written for this decision alone: their class is all that is labelled."""
    talk = read_json(directory / "labels" / "talk.json")
    classes = {"silencio": IDLE, "necessidade": NEED, "alarme": ALARM}
    return [_example(text, wanted, lexicon) for name, wanted in classes.items() for text in talk[name]]


def _example(text: str, wanted: int, lexicon: Lexicon) -> Example:
    spoken = tuple(word for word in words_of(text).words if word != BREAK)
    return Example(tuple(sorted(speak.features(text, lexicon))), spoken, wanted)


def learned(labels: Sequence[Label], lexicon: Lexicon) -> Lexicon:
    """`lexicon` with a guess and a judgement learned from its phrases, `labels` and `talk.json`, and nothing else."""
    guesser = fit([*phrases(), *labelled(labels, lexicon)], SURE, AHEAD)
    guessing = replace(lexicon, guesser=guesser)
    examples = [*speak_examples(labels, guessing), *talk_examples(guessing)]
    return replace(guessing, judge=speak_fit.fit(examples, NEED_AT, ALARM_AT))


def leave_one_author_out(authors: Mapping[str, Sequence[Label]], lexicon: Lexicon) -> dict[str, dict[str, Any]]:
    """Each author's labels answered by rules whose models learned from the other authors; figures by author.

    The phrases of the lexicon and the cues are not learned, and may have been written with these labels in sight.
    """
    catalogue, figures = Catalogue.load(), {}
    for name, labels in authors.items():
        others = [label for other, theirs in authors.items() if other != name for label in theirs]
        model = learned(others, lexicon)
        advices = [advise(label.text, model, catalogue) for label in labels]
        found = figures_of("regras", labels, advices, [0.0], model)
        calm = [bool(a.alert) for label, a in zip(labels, advices, strict=True) if label.kind != "seguranca"]
        emergencies = [label.kind == "seguranca" and not label.suggest for label in labels]
        called = [bool(a.alert) for urgent, a in zip(emergencies, advices, strict=True) if urgent]
        shown = {key: found[key] for key in _SHOWN} | {"queixas": found["entities"]["queixas"]["f1"]}
        alarms = {"alarms": share(called), "false_alarms": share(calm)}
        figures[name] = shown | alarms
    return figures


_SHOWN = ("sentences", "macro_top1", "micro", "suggest", "false_suggestions_on_negatives", "unsafe", "unsafe_ids")


def share(held: Sequence[bool]) -> float:
    """The share of what is true, 0..1; 0 of nothing."""
    return round(sum(held) / len(held), 4) if held else 0.0


def write_judge(judge: Judge, path: Path) -> None:
    """Store the weights; one feature a line."""
    rows = (f"  {json.dumps(name, ensure_ascii=False)}: {list(pair)}" for name, pair in sorted(judge.weights.items()))
    head = json.dumps({"bias": judge.bias, "need_at": judge.need_at, "alarm_at": judge.alarm_at})[:-1]
    body = ",\n".join(rows)
    path.write_text(f'{head}, "weights": {{\n{body}\n}}}}\n', encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures of models that have not seen the labels they are judged on; then learn all and write it."""
    parser = argparse.ArgumentParser(prog="python -m cestas.train", description=__doc__)
    parser.add_argument(
        "labels", type=Path, nargs="*", help="labels besides cestas/data/labels/dev.jsonl, a file an author"
    )
    parser.add_argument("--dry", action="store_true", help="print the figures only")
    options = parser.parse_args(arguments)
    lexicon = Lexicon.load()
    authors = {path.name: read_labels(path) for path in (DATA_DIR / "labels" / "dev.jsonl", *options.labels)}
    labels = [label for theirs in authors.values() for label in theirs]
    guess = cross_validate(phrases(), labelled(labels, lexicon), lexicon)
    figures = {"guess": guess, "leave_one_author_out": leave_one_author_out(authors, lexicon)}
    sys.stdout.write(f"{json.dumps(figures, indent=1)}\n")
    if not options.dry:
        model = learned(labels, lexicon)
        write(model.guesser, DATA_DIR / "weights.json")
        write_judge(model.judge, DATA_DIR / "speak.json")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
