"""What identifies a person leaves the text, what helps to advise stays."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from privacy.numbers import LONG_RUN_DIGITS, runs_of
from privacy.redact import Redactor
from privacy.settings import RedactionSettings
from privacy.tokens import tokens_of

REDACTOR = Redactor()


def redacted(text: str) -> str:
    return REDACTOR.redact(text).text


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("meu CPF é 529.982.247-25, tá?", "meu CPF é [CPF], tá?"),
        ("anota 529.982.247-25", "anota [CPF]"),
        (
            "cnpj onze, duzentos e vinte e dois, trezentos e trinta e três, zero zero zero um, oitenta e um",
            "cnpj [CNPJ]",
        ),
        ("liga no (11) 98765-4321", "liga no [TELEFONE]"),
        ("zap nove oito sete sete, cinco quatro três meia", "zap [TELEFONE]"),
        ("o email é ana ponto silva arroba gmail ponto com", "o email é [EMAIL]"),
        ("manda pra ana.silva@gmail.com.", "manda pra [EMAIL]."),
        ("número 4111 1111 1111 1111", "número [CARTAO]"),
        ("cep 01310-100", "cep [CEP]"),
        ("moro na rua das Acácias, 120, apto 32", "moro na [ENDERECO]"),
        ("meu nome é Iracema Tuiuti e estou com azia", "meu nome é [NOME] e estou com azia"),
        ("é pra dona Maria das Graças", "é pra dona [NOME]"),
        ("sou o joão da silva", "sou o [NOME]"),
        ("nasci em 12/05/1980", "nasci em [DATA]"),
        ("código 7896004711232", "código [NUMERO]"),
    ],
)
def test_what_identifies_somebody_becomes_a_placeholder_of_its_kind(said: str, kept: str):
    assert redacted(said) == kept


@pytest.mark.parametrize(
    "said",
    [
        "dipirona de 500 mg, um comprimido de oito em oito horas por sete dias",
        "benzetacil de 1.200.000 e vitamina D de cinquenta mil unidades",
        "custa R$ 32,90 ou trinta e dois e noventa",
        "ela tem sessenta e oito anos, a pressão deu catorze por nove e a febre 38,5",
        "das 8 às 22 horas, de 20 a 30 minutos, das 08:00 às 12:00 e 13:30 às 18:00",
        "tem de cinquenta, cem, duzentos miligramas e de 10, 20, 30 e 60 comprimidos a 12,90, 15,50 e 9,90",
        "óleo de rosa mosqueta, Leite de Rosas e erva de são joão",
        "um Dorflex, um Yasmin e palmilha do doutor scholl",
        "dona de casa, moro aqui no bairro mesmo, na rua faz calor",
        "meu nome já está no cadastro, a senhora quer CPF na nota?",
        "é pra minha filha que tem asma, sou diabética",
        "ave maria, nossa senhora, que dor",
    ],
)
def test_doses_prices_ages_times_and_brands_stay(said: str):
    assert redacted(said) == said


UNITS = ["zero", "um", "dois", "três", "quatro", "cinco", "seis", "sete", "oito", "nove"]
SPOKEN = dict(zip("0123456789", UNITS, strict=True))
TEENS = ["dez", "onze", "doze", "treze", "quatorze", "quinze", "dezesseis", "dezessete", "dezoito", "dezenove"]
TENS = ["", "", "vinte", "trinta", "quarenta", "cinquenta", "sessenta", "setenta", "oitenta", "noventa"]
HUNDREDS = ["", "cento", "duzentos", "trezentos", "quatrocentos", "quinhentos"]
HUNDREDS += ["seiscentos", "setecentos", "oitocentos", "novecentos"]
DIGIT = st.tuples(st.sampled_from("0123456789"), st.sampled_from(["written", "spoken", "meia"]))
HOSTILE = ["1,", "a@", "rua ", "dona ", "maria de ", "um e ", "meu nome é ", "((1 ", "a ponto ", "nome : "]


def in_words(number: int) -> str:
    """0..999 as Brazilians say it."""
    if number == 100:
        return "cem"
    parts = [HUNDREDS[number // 100]] if number >= 100 else []
    rest = number % 100
    if 10 <= rest < 20:
        parts.append(TEENS[rest - 10])
    else:
        parts += [TENS[rest // 10]] if rest >= 20 else []
        parts += [UNITS[rest % 10]] if rest % 10 or not parts else []
    return " e ".join(parts)


@settings(max_examples=60, deadline=None)
@given(
    digits=st.lists(
        st.tuples(st.sampled_from("0123456789"), st.sampled_from(["w", "s", "meia"])), min_size=8, max_size=20
    ),
    gaps=st.lists(st.sampled_from([" ", ", ", " - ", ". ", " e ", "/"]), min_size=20, max_size=20),
)
def test_every_run_of_eight_digits_goes_however_it_is_written_or_said(digits: list[tuple[str, str]], gaps: list[str]):
    said = ["meia" if d == "6" and how == "meia" else d if how == "written" else SPOKEN[d] for d, how in digits]
    text = "".join(word + gap for word, gap in zip(said, gaps, strict=False))
    left = redacted(f"anota aí: {text}obrigada")
    assert not any(ch.isdigit() for ch in left)
    assert not {word.strip(".,") for word in left.split()} & {*UNITS, "meia"}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 999), min_size=3, max_size=8))
def test_numbers_said_in_hundreds_and_tens_are_digits_too(groups: list[int]):
    said = ", ".join(in_words(group) for group in groups)
    long = sum(len(str(group)) for group in groups) >= 8
    assert bool(re.fullmatch(r"é \[[A-Z]+\] mesmo", redacted(f"é {said} mesmo"))) == long


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_of_any_text_no_long_number_is_left_and_the_places_do_not_overlap(text: str):
    found = REDACTOR.redact(text)
    assert all(first.end <= second.start for first, second in zip(found.spans, found.spans[1:], strict=False))
    assert all(len(run.digits) < LONG_RUN_DIGITS for run in runs_of(tokens_of(found.text)))


@pytest.mark.parametrize(
    "unit", ["1,", "a@", "rua ", "dona ", "maria de ", "um e ", "meu nome é ", "((1 ", "a ponto ", "nome : "]
)
def test_hostile_texts_take_linear_time(unit: str):
    def seconds(times: int) -> float:
        begun = time.process_time()
        REDACTOR.redact(unit * times)
        return time.process_time() - begun

    short = min(seconds(500) for _ in range(3))
    long = min(seconds(4000) for _ in range(3))
    assert long < max(0.5, short * 8 * 4)  # quadratic would be 64 times as long


def test_digits_go_on_from_the_text_before_when_both_make_a_long_number():
    first = REDACTOR.redact("é nove oito sete meia")
    assert (first.text, first.open_digits, first.digits_only) == ("é nove oito sete meia", 4, True)
    assert REDACTOR.redact("cinco quatro três dois, tá", first.open_digits).text == "[NUMERO], tá"
    assert REDACTOR.redact("30 comprimidos", first.open_digits).text == "30 comprimidos"
    assert REDACTOR.redact("quero cinco quatro três dois", first.open_digits).text == "quero cinco quatro três dois"
    assert REDACTOR.redact("quero 30 comprimidos").open_digits == 0


def test_a_short_number_that_is_called_a_document_goes_at_once():
    assert redacted("meu CPF é 529 982") == "meu CPF é [CPF]"
    assert redacted("CPF na nota? são 35 reais") == "CPF na nota? são 35 reais"


def test_words_are_redacted_as_the_text_is_and_keep_their_places():
    words = ["meu", "nome", "é", "Carla", "Souza", "e", "o", "telefone", "é", "9876", "54321", "tá"]
    assert REDACTOR.redact_words(words) == [
        (0, 1, "meu"),
        (1, 2, "nome"),
        (2, 3, "é"),
        (3, 5, "[NOME]"),
        (5, 6, "e"),
        (6, 7, "o"),
        (7, 8, "telefone"),
        (8, 9, "é"),
        (9, 11, "[TELEFONE]"),
        (11, 12, "tá"),
    ]
    assert REDACTOR.redact_words([]) == []


def test_a_pharmacy_says_which_names_it_knows_and_which_words_are_none():
    tuned = Redactor(RedactionSettings(extra_names=("Kaíque", "Dorinha"), never_names=("Carmed", "Bianca")))
    assert tuned.redact("a dorinha separou").text == "a [NOME] separou"
    assert tuned.redact("meu nome é Carmed").text == "meu nome é Carmed"
    assert tuned.redact("protetor bianca").text == "protetor bianca"
    assert redacted("protetor bianca") == "protetor [NOME]"
