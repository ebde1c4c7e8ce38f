"""Who it is for, in the many ways people say it: what is missed here is what ends in an unsafe suggestion."""

import pytest

from cestas.entities import extract
from cestas.lexicon import Lexicon


@pytest.mark.parametrize(
    ("text", "situation"),
    [
        ("tô de cinco meses e com azia", "gestante"),
        ("eu tô com trinta semanas e muita dor nas costas", "gestante"),
        ("a hemorroida saiu, tô no oitavo mês", "gestante"),
        ("minha bolsa rompeu", "gestante"),
        ("tô com o bebê de peito e gripada", "amamentando"),
        ("meu bebezinho de 8 meses tá com febre", "bebe"),
        ("pro meu neto de um aninho", "bebe"),
        ("minha filha de vinte dias tá quentinha", "bebe_menor_3_meses"),
        ("a criança de quatro tá com tosse", "crianca"),
        ("meu sogro, setenta e seis, tá com dor na coluna", "idoso"),
        ("senhora de setenta e nove com rinite", "idoso"),
        ("tomo o comprimido da pressão", "hipertenso"),
        ("minha glicose é alta", "diabetico"),
        ("faço hemodiálise", "renal"),
        ("meu rim só funciona um", "renal"),
        ("tomo marevan", "anticoagulado"),
        ("já infartei", "cardiaco"),
        ("remédio ataca meu estômago", "gastrite_ulcera"),
        ("operador de guindaste, gripado", "dirige"),
        ("trabalho com serra elétrica", "dirige"),
        ("tomo minha cervejinha todo dia", "alcool"),
        ("sou hiv positivo", "imunossuprimido"),
        ("vou tirar o siso amanhã", "risco_sangramento"),
        ("ela tem deficiência de g seis pd", "g6pd"),
        ("tomo remédio tarja preta", "em_uso_sedativo"),
        ("quero dormir melhor sem remédio", "sem_remedio"),
        ("inchou de repente", "sinal_de_alerta"),
    ],
)
def test_a_situation_is_heard_however_it_is_said(lexicon: Lexicon, text: str, situation: str) -> None:
    assert situation in extract(text, lexicon).situations


@pytest.mark.parametrize(
    ("text", "situation"),
    [
        ("tô com essa tosse há dois meses", "gestante"),
        ("tô com duas semanas de tosse", "gestante"),
        ("o remédio custa setenta e dois", "idoso"),
        ("minha mãe pesa sessenta e dois", "idoso"),
        ("remédio pro meu pai, sessenta comprimidos", "idoso"),
        ("minha filha tá com tosse de três dias", "bebe_menor_3_meses"),
        ("tô de cinco meses e com azia", "bebe"),
    ],
)
def test_a_number_that_is_no_age_makes_nobody_old_young_or_pregnant(
    lexicon: Lexicon, text: str, situation: str
) -> None:
    assert situation not in extract(text, lexicon).situations


@pytest.mark.parametrize("text", ["tá com trinta e nove", "deu trinta e oito e meio", "acordou com 39"])
def test_a_temperature_is_a_fever(lexicon: Lexicon, text: str) -> None:
    assert "febre" in extract(text, lexicon).symptoms


@pytest.mark.parametrize(
    "text", ["ela tá com trinta e oito anos", "custa trinta e nove", "com quarenta reais de troco"]
)
def test_an_age_or_a_price_is_no_fever(lexicon: Lexicon, text: str) -> None:
    assert "febre" not in extract(text, lexicon).symptoms


@pytest.mark.parametrize(
    "text",
    ["esse trânsito me dá uma dor de cabeça", "tô com febre de comprar", "o cachorro lá de casa tá vomitando"],
)
def test_a_figure_of_speech_and_an_animal_have_no_complaint(lexicon: Lexicon, text: str) -> None:
    entities = extract(text, lexicon)
    assert not entities.symptoms
    assert not entities.diseases


def test_a_denial_at_the_end_of_the_clause_denies(lexicon: Lexicon) -> None:
    assert extract("tô com febre não, é só dor de garganta", lexicon).symptoms == ("dor de garganta",)
    assert "febre" in extract("ele tá com febre, não é?", lexicon).symptoms
