"""Which of a catalogue's names a recogniser is told to listen for."""

import pytest

from cestas.catalogue import Catalogue, Product
from cestas.keyterms import keyterms_of, spoken_name
from cestas.model import Entities, Item


def item(name):
    return Item(name, name, "porque ajuda")


CATALOGUE = Catalogue(
    by_micro={("DOR", "CABECA"): (item("Dipirona 500 mg"), item("Compressa fria em gel"))},
    by_macro={"DOR": (item("Dipirona 1 g"), item("Bolsa térmica"))},
    products=(
        Product(item("Neosaldina"), ("dor de cabeca",)),
        Product(item("Chá da Vovó Zefa"), ("gripe",)),
        Product(item("Fralda"), ("incontinencia urinaria",)),
    ),
    roles={},
)


def test_what_the_conversation_is_about_comes_first_then_the_rest_of_the_catalogue():
    named = Entities(symptoms=("dor de cabeça",))
    assert keyterms_of(CATALOGUE, "DOR", "CABECA", named, 10) == (
        "Dipirona",
        "Compressa fria em gel",
        "Bolsa térmica",
        "Neosaldina",
        "Chá da Vovó Zefa",
        "Fralda",
    )


def test_a_limit_keeps_the_likeliest():
    assert keyterms_of(CATALOGUE, "DOR", "CABECA", Entities(), 2) == ("Dipirona", "Compressa fria em gel")
    assert keyterms_of(CATALOGUE, None, None, Entities(symptoms=("gripe",)), 1) == ("Chá da Vovó Zefa",)
    assert keyterms_of(CATALOGUE, "DOR", "CABECA", Entities(), 0) == ()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Paracetamol 500 mg", "Paracetamol"),
        ("Vitamina C 1 g (10 comprimidos)", "Vitamina C"),
        ("Ômega 3", "Ômega"),
        ("Protetor solar FPS 50", "Protetor solar FPS"),
        ("Álcool 70%", "Álcool"),
        ("Vitamina B12", "Vitamina B12"),
        ("x" * 51, ""),
        ("um nome de seis palavras aqui", ""),
    ],
)
def test_names_are_taken_as_people_say_them(written, said):
    assert spoken_name(item(written)) == said


def test_every_name_of_the_shipped_catalogue_keeps_to_the_limits_of_recognisers():
    terms = keyterms_of(Catalogue.load(), "GASTROINTESTINAL", "DIARREIA_REIDRATACAO", Entities(), 60)
    assert len(terms) == 60
    assert all(len(term) <= 50 and len(term.split()) <= 5 for term in terms)
