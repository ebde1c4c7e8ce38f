"""`python -m cestas.evaluate LABELS.jsonl`: how well the rules understand labelled utterances, how safe they are."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from cestas.advise import RulesAdvice, advise, prepare
from cestas.catalogue import Catalogue
from cestas.data_files import DATA_DIR, read_json
from cestas.knowledge import Product
from cestas.lexicon import Lexicon, shipped
from cestas.model import Item
from cestas.text import word_set

NOTHING = "OUTRO"
"""The macro that labels give to what is about nothing; advice without a macro counts as it."""

ELSEWHERE = "cestas knows the rules alone; for a language model run: python -m deployments.recommender.evaluate"


class LabelsError(Exception):
    """A line of the labels cannot be used; the text names the line and the reason, never the utterance."""


@dataclass(frozen=True, slots=True)
class Label:
    """One labelled utterance; lists are alternatives that are all right, `forbidden` names ingredients or classes."""

    id: str
    kind: str
    text: str
    med: tuple[str, ...]
    sint: tuple[str, ...]
    doenca: tuple[str, ...]
    macros: tuple[str, ...]
    micros: tuple[str, ...]
    suggest: bool
    forbidden: tuple[str, ...]


@dataclass(slots=True)
class Score:
    """True positives, false positives and false negatives."""

    hits: int = 0
    extra: int = 0
    missed: int = 0

    def add(self, said: Iterable[str], found: Iterable[str]) -> None:
        """Compare two sets of canonical names."""
        said, found = set(said), set(found)
        self.hits += len(said & found)
        self.extra += len(found - said)
        self.missed += len(said - found)

    def figures(self) -> dict[str, float]:
        """Precision, recall and F1, 0..1; 1 where there was nothing to find."""
        precision = _share(self.hits, self.hits + self.extra)
        recall = _share(self.hits, self.hits + self.missed)
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        return {"precision": round(precision, 4), "recall": round(recall, 4), "f1": round(f1, 4)}


@dataclass(slots=True)
class Tally:
    """What is counted over a set of labels."""

    sentences: int = 0
    macro_right: int = 0
    micro_asked: int = 0
    micro_right: int = 0
    suggest: Score = field(default_factory=Score)
    negatives: int = 0
    negatives_suggested: int = 0
    unsafe: list[str] = field(default_factory=list)
    entities: dict[str, Score] = field(
        default_factory=lambda: {"medicamentos": Score(), "sintomas": Score(), "doencas": Score(), "queixas": Score()}
    )
    confusions: Counter[str] = field(default_factory=Counter)
    wrong: list[dict[str, Any]] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """All figures as plain values; shares are 0..1."""
        return {
            "sentences": self.sentences,
            "macro_top1": round(_share(self.macro_right, self.sentences), 4),
            "micro": round(_share(self.micro_right, self.micro_asked), 4),
            "suggest": self.suggest.figures(),
            "negatives": self.negatives,
            "false_suggestions_on_negatives": round(_share(self.negatives_suggested, self.negatives, empty=0.0), 4),
            "unsafe": len(self.unsafe),
            "unsafe_ids": self.unsafe,
            "entities": {name: score.figures() for name, score in self.entities.items()},
            "confusions": dict(self.confusions.most_common(8)),
        }


def read_labels(path: Path) -> list[Label]:
    """The labelled utterances of a JSON-lines file; raises LabelsError with the line and the reason."""
    labels = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            labels.append(_label(json.loads(line)))
        except (ValueError, KeyError, TypeError) as exc:
            raise LabelsError(f"{path.name}: line {number}: {type(exc).__name__}") from None
    return labels


def _label(r: dict[str, Any]) -> Label:
    lists = {key: tuple(r[key]) for key in ("med", "sint", "doenca", "macros", "micros", "forbidden")}
    return Label(id=r["id"], kind=r["kind"], text=r["text"], suggest=bool(r["suggest"]), **lists)


def figures_of(
    advisor: str, labels: Sequence[Label], advices: Sequence[RulesAdvice], took_ms: Sequence[float], lexicon: Lexicon
) -> dict[str, Any]:
    """All figures of whoever gave `advices` on `labels`, one each, per kind too, with the ids of what went wrong.

    Raises LabelsError for a word of `forbidden` that nobody has given a meaning.
    """
    for word in {word for label in labels for word in label.forbidden}:
        _meaning(word, lexicon)
    whole, kinds = Tally(), dict[str, Tally]()
    for label, advice in zip(labels, advices, strict=True):
        for tally in (whole, kinds.setdefault(label.kind, Tally())):
            _count(tally, label, advice, lexicon)
    return {
        "advisor": advisor,
        **whole.figures(),
        "latency_ms": {"p50": round(_percentile(took_ms, 0.5), 3), "p99": round(_percentile(took_ms, 0.99), 3)},
        "kinds": {kind: tally.figures() for kind, tally in sorted(kinds.items())},
        "wrong": whole.wrong,
    }


def _count(tally: Tally, label: Label, advice: RulesAdvice, lexicon: Lexicon) -> None:
    tally.sentences += 1
    macro = advice.classification.macro or NOTHING
    heeded = advice.intent == "sintoma_ou_pedido"
    right = macro in label.macros or (not heeded and NOTHING in label.macros)
    tally.macro_right += right
    if not right:
        tally.confusions[f"{label.macros[0]} → {macro}"] += 1
    if label.micros:
        tally.micro_asked += 1
        tally.micro_right += advice.classification.micro in label.micros
    _count_suggestion(tally, label, advice)
    _count_entities(tally, label, advice, lexicon)
    if any(is_unsafe(item, label.forbidden, lexicon) for item in advice.items):
        tally.unsafe.append(label.id)
    suggested = bool(advice.items or advice.alert)
    if not right or suggested != label.suggest:
        tally.wrong.append({"id": label.id, "macro": macro, "suggested": suggested})


def _count_suggestion(tally: Tally, label: Label, advice: RulesAdvice) -> None:
    """A call for the pharmacist is an answer where a suggestion is expected, and none where it is not."""
    suggested = bool(advice.items)
    answered = suggested or bool(advice.alert and label.suggest)
    tally.suggest.add(["x"] if label.suggest else [], ["x"] if answered else [])
    if not label.suggest:
        tally.negatives += 1
        tally.negatives_suggested += suggested


def _count_entities(tally: Tally, label: Label, advice: RulesAdvice, lexicon: Lexicon) -> None:
    """Names are compared as the lexicon's canonical ones; articles count as medicines only where a label names them."""
    found = advice.entities
    med = {_without_form(lexicon.canonical_product(name)) for name in label.med}
    named = {_without_form(name) for name in found.medicines}
    tally.entities["medicamentos"].add(med, {*named, *(med & set(found.articles))})
    symptoms = {lexicon.canonical_complaint(name) for name in label.sint}
    diseases = {lexicon.canonical_complaint(name) for name in label.doenca}
    heard = {*found.symptoms, *found.diseases}
    tally.entities["sintomas"].add(symptoms, {*(heard - diseases - set(found.diseases)), *(heard & symptoms)})
    tally.entities["doencas"].add(diseases, {*(set(found.diseases) - symptoms), *(heard & diseases)})
    tally.entities["queixas"].add(symptoms | diseases, heard)


def is_unsafe(item: Item, forbidden: Iterable[str], lexicon: Lexicon) -> bool:
    """True when `item` holds a forbidden ingredient or class, needs a prescription, or cannot be resolved.

    Raises LabelsError for a word of `forbidden` that nobody has given a meaning.
    """
    names = lexicon.resolve(item.suggestion)
    if not names or not all(lexicon.products[name].suggestible for name in names):
        return True
    products = [lexicon.products[name] for name in names]
    return any(_meaning(word, lexicon).covers(product) for word in forbidden for product in products)


@dataclass(frozen=True, slots=True)
class Forbidden:
    """What a word of `forbidden` stands for."""

    names: frozenset[str]
    classes: frozenset[str]
    except_classes: frozenset[str] = frozenset()

    def covers(self, product: Product) -> bool:
        """True when `product` is one of these, or contains one."""
        if product.classes & self.except_classes:
            return False
        return bool(self.names & {product.name, *product.ingredients} or self.classes & product.classes)


@cache
def _vocabulary() -> dict[str, Forbidden]:
    """The words of `labels/forbidden.json` that are neither one of our classes nor a product."""
    return {
        word: Forbidden(
            frozenset(meaning.get("ingredientes", ())),
            frozenset(meaning.get("classes", ())),
            frozenset(meaning.get("exceto_classes", ())),
        )
        for word, meaning in read_json(DATA_DIR / "labels" / "forbidden.json").items()
    }


@lru_cache(maxsize=1000)
def _meaning(word: str, lexicon: Lexicon) -> Forbidden:
    if word in _vocabulary():
        return _vocabulary()[word]
    if word in lexicon.classes or word in ("medicamento", "tarjado"):
        return Forbidden(frozenset(), frozenset({word}))
    product = lexicon.products.get(lexicon.canonical_product(word))
    if product is None:
        raise LabelsError(f"forbidden: {word}: neither a class nor an ingredient, and not in labels/forbidden.json")
    return Forbidden(frozenset({product.name, *product.ingredients}), frozenset())


_FORMS = word_set("creme gel emulgel topico topica pomada kids baby xarope gotas spray")
"""Words that name a form of the same product: "polaramine creme" is polaramine."""


def _without_form(name: str) -> str:
    words = name.split()
    while len(words) > 1 and words[-1] in _FORMS:
        words.pop()
    return " ".join(words)


def _share(part: int, whole: int, empty: float = 1.0) -> float:
    return part / whole if whole else empty


def _percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def report(labels: Sequence[Label], lexicon: Lexicon, catalogue: Catalogue) -> dict[str, Any]:
    """All figures of the rules on `labels`; see `figures_of`.

    The latency is that of a first hearing (a text that comes again, and is remembered, is not timed again) in a process
    that has served a while: prepared as the service is at its start, and having heard other people's sentences.
    """
    prepare(lexicon, catalogue)
    for sentences in read_json(DATA_DIR / "labels" / "talk.json").values():
        for text in sentences:
            advise(text, lexicon, catalogue)
    advices, took_ms = [], dict[str, float]()
    for label in labels:
        started = time.perf_counter()
        advices.append(advise(label.text, lexicon, catalogue))
        took_ms.setdefault(label.text, (time.perf_counter() - started) * 1e3)
    usual = [took for text, took in took_ms.items() if len(text.split()) in _USUAL_WORDS]
    figures = figures_of("regras", labels, advices, [*took_ms.values()], lexicon)
    figures["latency_15_words_ms"] = {"sentences": len(usual), "p50": round(_percentile(usual, 0.5), 3)}
    return figures


_USUAL_WORDS = range(13, 18)
"""Words of the sentences that count as "of 15 words"."""


def lines(figures: dict[str, Any]) -> Iterable[str]:
    """The figures as a table for people."""
    yield f"{'kind':20} {'n':>4} {'macro':>6} {'micro':>6} {'sug P':>6} {'sug R':>6} {'unsafe':>6}"
    for name, row in (("all", figures), *figures["kinds"].items()):
        suggest = row["suggest"]
        yield (
            f"{name:20} {row['sentences']:4d} {row['macro_top1']:6.3f} {row['micro']:6.3f} "
            f"{suggest['precision']:6.3f} {suggest['recall']:6.3f} {row['unsafe']:6d}"
        )
    for name, score in figures["entities"].items():
        yield f"{name:20} P {score['precision']:.3f}  R {score['recall']:.3f}  F1 {score['f1']:.3f}"
    yield f"false suggestions on negatives {figures['false_suggestions_on_negatives']:.3f} of {figures['negatives']}"
    yield f"latency p50 {figures['latency_ms']['p50']:.2f} ms, p99 {figures['latency_ms']['p99']:.2f} ms, first hearing"
    if "latency_15_words_ms" in figures:
        usual = figures["latency_15_words_ms"]
        yield f"latency p50 {usual['p50']:.2f} ms of {usual['sentences']} sentences of 13 to 17 words, first hearing"
    for pair, count in figures["confusions"].items():
        yield f"confusion {count:3d}  {pair}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; exit code 1 when something unsafe was suggested, 2 when the labels cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m cestas.evaluate", description=__doc__)
    parser.add_argument("labels", type=Path, help="labelled utterances, one JSON object a line")
    parser.add_argument("--advisor", choices=("rules", "llm", "cascade"), default="rules", help="who advises")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    if options.advisor != "rules":
        sys.stderr.write(f"{ELSEWHERE} {options.labels} --advisor {options.advisor}\n")
        return 2
    try:
        labels = read_labels(options.labels)
    except (LabelsError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    try:
        figures = report(labels, shipped(), Catalogue.load())
    except LabelsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    text = json.dumps(figures, ensure_ascii=False, indent=1) if options.json else "\n".join(lines(figures))
    sys.stdout.write(f"{text}\n")
    return 1 if figures["unsafe"] else 0


if __name__ == "__main__":
    raise SystemExit(main())
