"""From understanding to items: what is offered and what is left out."""

import pytest

from cestas.advise import advise
from cestas.baskets import EMPTY, basket_for
from cestas.catalogue import Catalogue
from cestas.classify import NOTHING, Classification
from cestas.lexicon import Lexicon
from cestas.model import Entities


def _names(text: str, lexicon: Lexicon, catalogue: Catalogue, **known: tuple[str, ...]) -> list[str]:
    return [item.suggestion for item in advise(text, lexicon, catalogue, **known).items]


def test_a_complaint_gets_up_to_three_items_of_different_roles(lexicon: Lexicon, catalogue: Catalogue) -> None:
    advice = advise("tô com diarreia desde ontem", lexicon, catalogue)
    assert advice.items[0].suggestion == "Sais de reidratação oral"
    assert advice.cesta == "GASTROINTESTINAL/DIARREIA_REIDRATACAO"
    roles = [catalogue.roles[item.id] for item in advice.items]
    assert len(roles) == 3
    assert len(set(roles)) == 3


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("me vê um luftal, tô cheio de gases", "Simeticona"),
        ("quero paracetamol pra febre", "Paracetamol"),
        ("quero loratadina pra rinite", "Loratadina"),
        ("soro fisiológico pro nariz entupido", "Soro fisiológico"),
    ],
)
def test_what_was_asked_for_is_not_suggested_back(
    lexicon: Lexicon, catalogue: Catalogue, text: str, asked: str
) -> None:
    names = _names(text, lexicon, catalogue)
    assert names
    assert not any(asked in name for name in names)


def test_what_was_shown_already_is_not_shown_again(lexicon: Lexicon, catalogue: Catalogue) -> None:
    first = advise("tô com azia", lexicon, catalogue).items
    again = advise("tô com azia", lexicon, catalogue, shown_item_ids=tuple(item.id for item in first)).items
    assert not {item.id for item in first} & {item.id for item in again}


def test_an_occasion_gets_no_medicine(lexicon: Lexicon, catalogue: Catalogue) -> None:
    for text in ("vamos pra praia sábado", "a gente vai viajar no fim de semana", "fazer trilha no mato"):
        advice = advise(text, lexicon, catalogue)
        assert advice.items
        for item in advice.items:
            _, classes = lexicon.contents(lexicon.resolve(item.suggestion))
            assert "medicamento" not in classes


def test_a_macro_without_its_micro_falls_back_to_the_macros_basket(lexicon: Lexicon, catalogue: Catalogue) -> None:
    basket = basket_for(Classification("ALERGIAS", None, 0.6, "sintoma"), Entities(), catalogue, lexicon)
    assert basket.cesta == "ALERGIAS"
    assert basket.items == catalogue.by_macro["ALERGIAS"]


def test_products_answer_where_no_basket_does(lexicon: Lexicon, catalogue: Catalogue) -> None:
    bare = Catalogue({}, {}, catalogue.products, {})
    found = Classification("GASTROINTESTINAL", "GASES_SIMETICONA", 0.9, "sintoma")
    basket = basket_for(found, Entities(symptoms=("gases",)), bare, lexicon)
    assert basket.cesta == "produtos"
    assert basket.items


def test_without_a_category_nothing_is_offered(lexicon: Lexicon, catalogue: Catalogue) -> None:
    assert basket_for(NOTHING, Entities(symptoms=("gases",)), catalogue, lexicon) == EMPTY
    bare = Catalogue({}, {}, (), {})
    assert basket_for(Classification("OUTRO", None, 0.9, ""), Entities(), bare, lexicon) == EMPTY


@pytest.mark.parametrize("text", ["quanto custa o dorflex?", "é pix", "bom dia", "quero o da caixinha azul"])
def test_what_calls_for_no_advice_gets_none(lexicon: Lexicon, catalogue: Catalogue, text: str) -> None:
    assert _names(text, lexicon, catalogue) == []


def test_item_ids_stay_the_same_from_load_to_load(catalogue: Catalogue) -> None:
    assert [item.id for item in Catalogue.load().items()] == [item.id for item in catalogue.items()]
    first = catalogue.by_micro["GASTROINTESTINAL", "GASES_SIMETICONA"][0]
    assert first.id == "gastrointestinal/gases-simeticona/simeticona-125-mg"


def test_every_category_of_the_taxonomy_has_a_basket_of_at_least_three(lexicon: Lexicon, catalogue: Catalogue) -> None:
    for macro, micros in lexicon.taxonomy.items():
        assert len(catalogue.by_macro[macro]) >= 3
        for micro in micros:
            assert len(catalogue.by_micro[macro, micro]) >= 3, micro
