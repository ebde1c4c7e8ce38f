"""Our statuses, rules and red flags against a second list by another hand: no disagreement without an explanation."""

import json
from collections.abc import Iterator
from functools import cache
from itertools import product as pairs
from pathlib import Path
from typing import Any

import pytest

from cestas.catalogue import Catalogue
from cestas.lexicon import Lexicon
from cestas.model import Entities, Item
from cestas.needs import NEED_RULE
from cestas.safety import check, gate_of

TESTS_DATA = Path(__file__).parents[2] / "data"
OTHER: dict[str, Any] = json.loads((TESTS_DATA / "dispensing_reference.json").read_text(encoding="utf-8"))
REVIEWED: dict[str, Any] = json.loads((TESTS_DATA / "dispensing_differences.json").read_text(encoding="utf-8"))
SAID: dict[str, list[str]] = REVIEWED["falas"]
BLOCKING = ("bloquear", "bloquear_ou_orientar_intervalo", "chamar_farmaceutico")
BY_CLASS = {
    name: [entry["ingredient"] for entry in OTHER["ingredients"] if name in entry["classes"]]
    for name in OTHER["classes"]
}
ALIASES = {entry["ingredient"]: [entry["ingredient"], *entry["aliases"]] for entry in OTHER["ingredients"]}


@cache
def _ours(name: str, lexicon: Lexicon) -> str:
    """What we call an ingredient of the other list; empty where we do not know it."""
    for called in (REVIEWED["nomes"].get(name), *ALIASES.get(name, [name])):
        canonical = lexicon.canonical_product(called) if called else ""
        if canonical in lexicon.products:
            return canonical
    return ""


def _status(name: str, lexicon: Lexicon) -> str:
    status = lexicon.products[name].status
    return "isento" if status == "nao_medicamento" else status


def _passes(suggestion: str, lexicon: Lexicon, catalogue: Catalogue, text: str, *medicines: str) -> bool:
    """True when no contraindication holds it back; that nobody complained of anything is not one."""
    items = [Item(suggestion, suggestion, "Uma explicação.")]
    verdict = check(items, Entities(medicines=medicines), lexicon, catalogue, text)
    needs = {NEED_RULE, *(need.id for need in gate_of(lexicon).needs)}
    return bool(verdict.items) or any(block.rule_id in needs for block in verdict.blocked)


@cache
def _rules() -> tuple[dict[str, Any], ...]:
    return tuple(rule for rule in OTHER["rules"] if rule["action"] in BLOCKING)


def _occasions(rule: dict[str, Any], lexicon: Lexicon) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each way to meet the rule: what is said, and what is bought or taken."""
    when = rule["when"]
    words = " e ".join(when.get("said", ()))
    takes = [*when.get("ingredients", ()), *(i for name in when.get("bought_classes", ()) for i in BY_CLASS[name])]
    explained = REVIEWED["regras"].get(rule["id"], {}).get("medicamentos", ())
    ours = dict.fromkeys(_ours(name, lexicon) for name in takes)
    taken: list[tuple[str, ...]] = [(name,) for name in ours if name and name not in explained]
    said = [f"{text} {words}".strip() for name in when.get("situations", ()) for text in SAID[name]]
    if rule["kind"] == "duplicate":
        return
    nothing: list[tuple[str, ...]] = [()]
    yield from pairs(said or [words], taken or nothing)


def test_each_status_agrees_or_is_explained(lexicon: Lexicon) -> None:
    differing = {}
    for entry in OTHER["ingredients"]:
        ours = _ours(entry["ingredient"], lexicon)
        if ours and _status(ours, lexicon) != entry["status"]:
            differing[entry["ingredient"]] = [_status(ours, lexicon), entry["status"]]
    explained = {name: [row["nosso"], row["referencia"]] for name, row in REVIEWED["dispensacao"].items()}
    assert differing == explained
    assert all(len(row["explicacao"]) > 20 for row in REVIEWED["dispensacao"].values())


def test_each_ingredient_of_the_other_list_is_known_or_left_out_for_a_reason(lexicon: Lexicon) -> None:
    unknown = {entry["ingredient"] for entry in OTHER["ingredients"] if not _ours(entry["ingredient"], lexicon)}
    assert unknown == set(REVIEWED["fora_do_sortimento"])
    assert all(len(why) > 20 for why in REVIEWED["fora_do_sortimento"].values())


def _let_through(rule: dict[str, Any], lexicon: Lexicon, catalogue: Catalogue) -> list[tuple[Any, ...]]:
    proposed = [ours for name in rule["expect_block"] if (ours := _ours(name, lexicon))]
    proposed += [text for text in rule.get("expect_block_text", ()) if " quando " not in text and " para " not in text]
    through: list[tuple[Any, ...]] = [
        (rule["id"], text, medicines, suggestion)
        for text, medicines in _occasions(rule, lexicon)
        for suggestion in proposed
        if _passes(suggestion, lexicon, catalogue, text.format(item=suggestion), *medicines)
    ]
    through += [
        (rule["id"], case["bought"], case["proposed"])
        for case in rule.get("cases", ())
        if _passes(_ours(case["proposed"], lexicon), lexicon, catalogue, "", _ours(case["bought"], lexicon))
    ]
    return through


def test_each_rule_of_the_other_list_holds_back_what_it_names(lexicon: Lexicon, catalogue: Catalogue) -> None:
    assert len(_rules()) >= 140
    assert not [found for rule in _rules() for found in _let_through(rule, lexicon, catalogue)]


def test_each_red_flag_of_the_other_list_calls_the_pharmacist(lexicon: Lexicon, catalogue: Catalogue) -> None:
    water = [Item("x", "Sais de reidratação oral", "x")]
    silent = [
        (flag["id"], said)
        for flag in OTHER["red_flags"]
        for said in flag["said"]
        if not check(water, Entities(), lexicon, catalogue, said).alert
    ]
    assert not silent


def test_what_must_not_be_blocked_passes_or_has_its_reason(lexicon: Lexicon, catalogue: Catalogue) -> None:
    held = set()
    for negative in OTHER["must_not_block"]:
        suggestions = [_ours(name, lexicon) for name in negative["items"]] + negative.get("items_text", [])
        assert all(suggestions), negative["id"]
        for text, suggestion in pairs((said for name in negative["situations"] for said in SAID[name]), suggestions):
            if not _passes(suggestion, lexicon, catalogue, text):
                held.add((negative["id"], text, suggestion))
    reviewed = [(name, row) for name, rows in REVIEWED["negativos"].items() for row in rows]
    assert held == {(name, row["fala"], row["item"]) for name, row in reviewed}
    assert all(len(row["explicacao"]) > 20 for _, row in reviewed)


@pytest.mark.parametrize(
    "suggestion", ["ibuprofeno 600 mg", "Omeprazol 40 mg", "Cetoconazol comprimido", "diclofenaco"]
)
def test_a_strength_or_form_that_needs_a_prescription_is_not_offered(
    lexicon: Lexicon, catalogue: Catalogue, suggestion: str
) -> None:
    assert not _passes(suggestion, lexicon, catalogue, "")
