"""`python -m bench.gate LABELS.jsonl …`: an adversary proposes everything to every labelled customer; what passes."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cestas.catalogue import Catalogue
from cestas.entities import extract
from cestas.evaluate import Label, LabelsError, is_unsafe, read_labels
from cestas.lexicon import Lexicon, shipped
from cestas.model import Item
from cestas.safety import check

WORST_SHOWN = 20


def proposals(catalogue: Catalogue, lexicon: Lexicon) -> list[Item]:
    """Every item of the catalogue, and every product of the lexicon under its own name, prescription ones included."""
    known = {item.id: item for item in catalogue.items()}
    products = (Item(f"produto/{name}", name, "É o que mais sai.") for name in sorted(lexicon.products))
    return [*known.values(), *products]


def passed(label: Label, items: Sequence[Item], lexicon: Lexicon, catalogue: Catalogue) -> list[Item]:
    """The items that the gate would let this customer have, each proposed alone; none where it calls the pharmacist."""
    verdict = check(items, extract(label.text, lexicon), lexicon, catalogue, label.text)
    held = {block.item_id for block in verdict.blocked}
    return [item for item in items if item.id not in held]


def measured(labels: Sequence[Label], lexicon: Lexicon, catalogue: Catalogue) -> dict[str, Any]:
    """How many proposals got through, how many of them were forbidden to that customer, and to whom."""
    items = proposals(catalogue, lexicon)
    reached: dict[str, list[str]] = {}
    through = 0
    for label in labels:
        allowed = passed(label, items, lexicon, catalogue)
        through += len(allowed)
        unsafe = [item.suggestion for item in allowed if is_unsafe(item, label.forbidden, lexicon)]
        if unsafe:
            reached[label.id] = unsafe
    names = Counter(name for unsafe in reached.values() for name in unsafe)
    return {
        "customers": len(labels),
        "proposals": len(labels) * len(items),
        "passed": through,
        "forbidden_passed": sum(names.values()),
        "customers_reached": len(reached),
        "reached": {label_id: unsafe[:WORST_SHOWN] for label_id, unsafe in reached.items()},
        "items": dict(names.most_common(WORST_SHOWN)),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one JSON object a file; exit code 1 when something forbidden passed, 2 when labels cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m bench.gate", description=__doc__)
    parser.add_argument(
        "labels", type=Path, nargs="+", help="labelled utterances; those with `forbidden` are customers"
    )
    options = parser.parse_args(arguments)
    lexicon, catalogue = shipped(), Catalogue.load()
    found = 0
    for path in options.labels:
        try:
            customers = [label for label in read_labels(path) if label.forbidden]
            figures = measured(customers, lexicon, catalogue)
        except (LabelsError, OSError) as error:
            sys.stderr.write(f"{error}\n")
            return 2
        sys.stdout.write(f"{json.dumps({'labels': path.name, **figures}, ensure_ascii=False, indent=1)}\n")
        found += figures["forbidden_passed"]
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
