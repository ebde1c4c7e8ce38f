"""The rules against everything: each rule with each product, thousands of people with complaints, the catalogue."""

import itertools

import pytest

from cestas.advise import advise
from cestas.catalogue import Catalogue
from cestas.data_files import DATA_DIR
from cestas.evaluate import read_labels
from cestas.lexicon import Lexicon, shipped
from cestas.model import Entities, Item
from cestas.safety import AT_MOST, check, gate_of
from cestas.train import cross_validate, labelled, learned, phrases


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return shipped()


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.load()


def _item(suggestion: str) -> Item:
    return Item(f"x/{suggestion}", suggestion, "Uma explicação.")


def test_every_rule_is_met_by_what_it_names(lexicon: Lexicon, catalogue: Catalogue) -> None:
    """The condition of each rule reaches the gate through entities, and then nothing it forbids passes."""
    candidates = [
        _item(product.name)
        for product in lexicon.products.values()
        if product.suggestible and lexicon.resolve(product.name) == {product.name}
    ]
    for rule in gate_of(lexicon).rules:
        asked = [p.name for p in lexicon.products.values() if p.classes & rule.with_classes][:1]
        known = (
            [Entities(situations=(name,)) for name in sorted(rule.situations)]
            + [Entities(medicines=(name,)) for name in [*asked, *sorted(rule.with_ingredients)]]
            + [Entities(symptoms=(name,)) for name in sorted(rule.with_complaints)]
        )
        assert known, rule.id
        for entities in known[:2]:
            for item in candidates:
                (name,) = lexicon.resolve(item.suggestion)
                product = lexicon.products[name]
                if rule.forbids(frozenset(product.ingredients), product.classes):
                    assert not check([item], entities, lexicon, catalogue).items, (rule.id, name)


def test_an_advisor_that_proposes_the_whole_catalogue_gets_nothing_forbidden_through(
    lexicon: Lexicon, catalogue: Catalogue
) -> None:
    everything = list(catalogue.items())
    rules = gate_of(lexicon).rules
    situations = sorted({name for rule in rules for name in rule.situations})
    for pair in itertools.islice(itertools.combinations(situations, 2), 0, None, 7):
        verdict = check(everything, Entities(situations=pair), lexicon, catalogue)
        assert len(verdict.items) <= AT_MOST
        applying = [rule for rule in rules if rule.situations & set(pair)]
        for item in verdict.items:
            ingredients, classes = lexicon.contents(lexicon.resolve(item.suggestion))
            assert "tarjado" not in classes
            assert not any(rule.forbids(ingredients, classes) for rule in applying)


def test_two_thousand_combinations_of_person_and_request_are_safe_and_seldom_silent(
    lexicon: Lexicon, catalogue: Catalogue
) -> None:
    people = {
        "tô grávida e": {"aine", "aas", "descongestionante_sistemico", "melatonina"},
        "tô amamentando e": {"aas", "melatonina"},
        "meu bebê de oito meses": {"aas", "antitussivo", "descongestionante_sistemico", "mel", "repelente"},
        "minha filha de cinco anos": {"aas", "descongestionante_sistemico", "melatonina"},
        "meu avô de oitenta anos": {"aine", "aas", "antihistaminico_sedativo"},
        "tenho pressão alta e": {"aine", "descongestionante_sistemico", "descongestionante_nasal", "sodio"},
        "sou diabético e": {"acucarado", "calos"},
        "tenho asma e": {"aine", "aas"},
        "tenho gastrite e": {"aine", "aas"},
        "faço hemodiálise e": {"aine", "magnesio"},
        "tenho cirrose e": {"aine", "aas"},
        "tomo varfarina e": {"aine", "aas", "salicilato", "ginkgo"},
        "tomo fluoxetina e": {"aine", "erva_de_sao_joao"},
        "tomo rivotril e": {"antihistaminico_sedativo", "melatonina", "calmante_fitoterapico"},
        "tomo puran e": {"calcio", "ferro"},
        "tenho alergia a dipirona e": {"aine", "aas"},
        "bebi cerveja e": {"aas", "aine", "antihistaminico_sedativo"},
        "vou dirigir e": {"antihistaminico_sedativo", "relaxante_muscular"},
        "acho que tô com dengue e": {"aine", "aas"},
    }
    complaints = [c.name for c in lexicon.complaints.values() if c.kind in ("sintoma", "doenca")]
    asked = answered = 0
    pairs = list(itertools.product(people.items(), complaints))
    for at, ((who, banned), complaint) in enumerate(pairs):
        if at % 3 == 2:
            continue
        advice = advise(f"{who} com {complaint}", lexicon, catalogue)
        asked += 1
        answered += bool(advice.items or advice.alert)
        for item in advice.items:
            _, classes = lexicon.contents(lexicon.resolve(item.suggestion))
            rubbed_in_by_the_old = "aine_topico" in classes and "oitenta anos" in who
            kept_back = banned - ({"aine"} if rubbed_in_by_the_old else set())
            assert not classes & (kept_back | {"tarjado"}), (who, complaint, item.suggestion)
    assert asked >= 2000
    assert answered / asked >= 0.7


def test_training_holds_its_figures_on_labels_it_has_not_seen(lexicon: Lexicon) -> None:
    held = labelled(read_labels(DATA_DIR / "labels" / "dev.jsonl"), lexicon)
    figures = cross_validate(phrases(), held[::3], lexicon, folds=2)
    assert figures["macro"] >= 0.8
    assert figures["guesses_on_negatives"] <= 0.2
    assert figures["coverage"] >= 0.3


def test_the_decision_to_speak_holds_on_labels_it_has_not_seen(lexicon: Lexicon, catalogue: Catalogue) -> None:
    """Learned from half of one author's labels, an eighth of what the shipped judge saw: shy, but not wrong."""
    labels = read_labels(DATA_DIR / "labels" / "dev.jsonl")
    seen, unseen = labels[::2], labels[1::2]
    advices = [advise(label.text, half, catalogue) for half in [learned(seen, lexicon)] for label in unseen]
    spoke = {
        wanted: [bool(a.items) for label, a in zip(unseen, advices, strict=True) if label.suggest is wanted]
        for wanted in (True, False)
    }
    assert sum(spoke[True]) / len(spoke[True]) >= 0.65
    assert sum(spoke[False]) / len(spoke[False]) <= 0.05
