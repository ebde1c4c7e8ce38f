"""An adversarial advisor proposes everything, for anybody: property-tested, nothing forbidden passes the gate."""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cestas.catalogue import Catalogue
from cestas.lexicon import Lexicon, shipped
from cestas.model import Entities, Item
from cestas.safety import AT_MOST, check, gate_of

_LEXICON: Lexicon = shipped()
_CATALOGUE = Catalogue.load()
_RULES = gate_of(_LEXICON).rules
_ITEMS = sorted({item.suggestion: item for item in _CATALOGUE.items()}.values(), key=lambda item: item.suggestion)
_NAMES = [Item(f"x/{name}", name, "Uma explicação.") for name in sorted(_LEXICON.products)]
_SITUATIONS = sorted({name for rule in _RULES for name in rule.situations})
_COMPLAINTS = sorted({name for rule in _RULES for name in rule.with_complaints})
_TAKEN = sorted({name for rule in _RULES for name in rule.with_ingredients} | {"losartana", "fluoxetina", "dorflex"})


@given(
    proposed=st.lists(st.sampled_from([*_ITEMS, *_NAMES]), min_size=5, max_size=60),
    situations=st.lists(st.sampled_from(_SITUATIONS), max_size=3),
    complaints=st.lists(st.sampled_from(_COMPLAINTS), max_size=2),
    taken=st.lists(st.sampled_from(_TAKEN), max_size=3),
)
@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_proposed_to_whomever_nothing_forbidden_passes(
    proposed: list[Item], situations: list[str], complaints: list[str], taken: list[str]
) -> None:
    known = Entities(medicines=tuple(taken), symptoms=tuple(complaints), situations=tuple(situations))
    verdict = check(proposed, known, _LEXICON, _CATALOGUE)
    ingredients_taken, classes_taken = _LEXICON.contents(taken)
    applying = [
        rule
        for rule in _RULES
        if rule.situations & set(situations)
        or rule.with_complaints & set(complaints)
        or rule.with_ingredients & ingredients_taken
        or rule.with_classes & classes_taken
    ]
    assert len(verdict.items) <= AT_MOST
    for item in verdict.items:
        names = _LEXICON.resolve(item.suggestion)
        ingredients, classes = _LEXICON.contents(names)
        assert names
        assert all(_LEXICON.products[name].suggestible for name in names)
        assert not ingredients & ingredients_taken
        assert not [rule.id for rule in applying if rule.forbids(ingredients, classes)], item.suggestion
    assert len(verdict.items) + len(verdict.blocked) <= len(proposed)
