"""`python -m cestas.check`: lists the mistakes in the pharmacy's knowledge; exit code 1 when there are any."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cestas.catalogue import Catalogue
from cestas.data_files import DATA_DIR, CestasError, load_taxonomy, read_json
from cestas.lexicon import Lexicon, shipped
from cestas.model import Entities, Item
from cestas.safety import check, gate_of
from cestas.schemas import violations
from cestas.text import fold, phrase

STATUSES = ("isento", "tarja_vermelha", "retencao", "controlado", "nao_medicamento")


def problems(cestas_path: Path | None = None, produtos_path: Path | None = None, data: Path = DATA_DIR) -> list[str]:
    """Every mistake found, one line each: place and reason; empty when the knowledge is sound."""
    try:
        found = list(violations(data))
        if found:
            return found
        lexicon = shipped() if data == DATA_DIR else Lexicon.load(data)
        catalogue = Catalogue.load(cestas_path, produtos_path)
    except CestasError as error:
        return [str(error)]
    return [
        *_labels(data),
        *_references(data, lexicon),
        *_duplicates(data),
        *_rules(lexicon),
        *_needs(lexicon),
        *_items(catalogue, lexicon),
        *(_completeness(catalogue, lexicon) if cestas_path is None else ()),
    ]


def _labels(data: Path) -> Iterator[str]:
    taxonomy = load_taxonomy(data / "taxonomy.json")
    known = {*taxonomy, *(f"{macro}/{micro}" for macro, micros in taxonomy.items() for micro in micros)}
    for name, key, field in (
        ("classes", "classes", "id"),
        ("articles", "artigos", "nome"),
        ("symptoms", "sintomas", "nome"),
    ):
        for record in read_json(data / f"{name}.json")[key]:
            for label in record["categorias"] if "categorias" in record else [record["categoria"]]:
                if label not in known:
                    yield f"{name}.json: {record[field]}: {label} is not a category of the taxonomy"


def _references(data: Path, lexicon: Lexicon) -> Iterator[str]:
    people = read_json(data / "situations.json")
    for disease in people["por_doenca"]:
        if disease not in lexicon.complaints:
            yield f"situations.json: por_doenca.{disease}: is not a complaint"
    for pair, name in lexicon.grammar.names.items():
        if name not in lexicon.complaints:
            yield f"body.json: {'/'.join(pair)}: {name} is not a complaint"


def _duplicates(data: Path) -> Iterator[str]:
    """Names used twice, and phrases that stand for two different things of one file."""
    medicines = read_json(data / "medicines.json")
    products = [*read_json(data / "articles.json")["artigos"], *medicines["ingredientes"], *medicines["marcas"]]
    for file, records in (("products", products), ("symptoms.json", read_json(data / "symptoms.json")["sintomas"])):
        names: set[str] = set()
        owners: dict[tuple[str, ...], str] = {}
        for record in records:
            if record["nome"] in names:
                yield f"{file}: {record['nome']}: defined twice"
            names.add(record["nome"])
            for said in record["falas"]:
                owner = owners.setdefault((*phrase(said), *_literal(said)), record["nome"])
                if owner != record["nome"]:
                    yield f"{file}: {record['nome']}: '{said}' already stands for {owner}"


def _literal(said: str) -> tuple[str, ...]:
    words = fold(said).split()
    return tuple(words) if len(phrase(said)) == 1 and len(words) > 1 else ()


def _rules(lexicon: Lexicon) -> Iterator[str]:
    """Rules that name what does not exist, or lack a source or a reason."""
    seen: set[str] = set()
    classes = {*lexicon.classes, "medicamento", "tarjado", "nao_medicamento"}
    for rule in gate_of(lexicon).rules:
        if rule.id in seen:
            yield f"safety.json: {rule.id}: defined twice"
        seen.add(rule.id)
        for name in sorted((rule.with_classes | rule.block_classes) - classes):
            yield f"safety.json: {rule.id}: {name} is not a class"
        ingredients = rule.with_ingredients | rule.block_ingredients | rule.except_ingredients
        for name in sorted(ingredients - set(lexicon.products)):
            yield f"safety.json: {rule.id}: {name} is not an ingredient or article"
        for name in sorted(rule.with_complaints - set(lexicon.complaints)):
            yield f"safety.json: {rule.id}: {name} is not a complaint"
    for flag in gate_of(lexicon).flags:
        for complaints, _ in flag.all_of:
            for name in sorted(complaints - set(lexicon.complaints)):
                yield f"safety.json: {flag.id}: {name} is not a complaint"


def _needs(lexicon: Lexicon) -> Iterator[str]:
    """Needs that name what does not exist, so that nobody could ever meet them."""
    known = {(macro, micro) for macro, micros in lexicon.taxonomy.items() for micro in (*micros, None)}
    for need in gate_of(lexicon).needs:
        for name in sorted(need.classes - set(lexicon.classes)):
            yield f"safety.json: {need.id}: {name} is not a class"
        for name in sorted(need.ingredients - set(lexicon.products)):
            yield f"safety.json: {need.id}: {name} is not an ingredient or article"
        for name in sorted(need.complaints - set(lexicon.complaints)):
            yield f"safety.json: {need.id}: {name} is not a complaint"
        for macro, micro in sorted(need.categories - known, key=str):
            yield f"safety.json: {need.id}: {macro}/{micro} is not a category of the taxonomy"


def _items(catalogue: Catalogue, lexicon: Lexicon) -> Iterator[str]:
    """Items without words, twice in one basket, or that the gate would never let through."""
    for place, items in _baskets(catalogue):
        seen: set[str] = set()
        for item in items:
            if item.id in seen:
                yield f"{place}: '{item.suggestion}' is there twice"
            seen.add(item.id)
            rule = _always_blocked(item, catalogue, lexicon)
            if rule:
                yield f"{place}: '{item.suggestion}' is never suggested: {_why(rule, item, lexicon)}"


def _baskets(catalogue: Catalogue) -> Iterator[tuple[str, Sequence[Item]]]:
    for (macro, micro), items in catalogue.by_micro.items():
        yield f"cestas_por_macro_micro.{macro}.{micro}", items
    for macro, items in catalogue.by_macro.items():
        yield f"fallback_macro_default.{macro}", items
    yield "produtos", [product.item for product in catalogue.products]


def _always_blocked(item: Item, catalogue: Catalogue, lexicon: Lexicon) -> str:
    verdict = check([item], Entities(), lexicon, catalogue)
    return verdict.blocked[0].rule_id if verdict.blocked else ""


def _why(rule: str, item: Item, lexicon: Lexicon) -> str:
    names = lexicon.resolve(item.suggestion)
    if not names:
        return f"{rule}: nobody knows what it contains; use a name of medicines.json or articles.json"
    return f"{rule}: {', '.join(f'{name} is {lexicon.products[name].status}' for name in sorted(names))}"


def _completeness(catalogue: Catalogue, lexicon: Lexicon) -> Iterator[str]:
    """Categories for which the shipped catalogue has nothing to say."""
    for macro, micros in lexicon.taxonomy.items():
        if not catalogue.by_macro.get(macro):
            yield f"fallback_macro_default.{macro}: has no item"
        for micro in micros:
            if not catalogue.by_micro.get((macro, micro)):
                yield f"cestas_por_macro_micro.{macro}.{micro}: has no item"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m cestas.check", description=__doc__)
    parser.add_argument("--cestas", type=Path, help="a pharmacy's own cestas.json instead of the shipped one")
    parser.add_argument("--produtos", type=Path, help="a pharmacy's own produtos.json instead of the shipped one")
    options = parser.parse_args(arguments)
    found: list[Any] = problems(options.cestas, options.produtos)
    for line in found:
        sys.stdout.write(f"{line}\n")
    sys.stdout.write(f"{len(found)} problem(s)\n" if found else "sound\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
