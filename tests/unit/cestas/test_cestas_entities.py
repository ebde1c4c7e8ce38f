"""What is read out of a sentence said at the counter."""

import pytest

from cestas.entities import extract
from cestas.lexicon import Lexicon


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("me vê um dorflex", "dorflex"),
        ("tem losartana de cinquenta?", "losartana"),
        ("um buscopan composto", "buscopan composto"),
        ("quero o puran t4", "puran t4"),
        ("o Tylenol®, por favor", "tylenol"),
    ],
)
def test_a_medicine_named_as_printed_is_found(lexicon: Lexicon, text: str, name: str) -> None:
    assert extract(text, lexicon).medicines == (name,)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("me dá um dor flex", "dorflex"),
        ("tem de pirona em gotas?", "dipirona"),
        ("luzartana de cem", "losartana"),
        ("propanolol quarenta", "propranolol"),
        ("é a novo algina", "novalgina"),
        ("nimezulida", "nimesulida"),
        ("metiformina oitocentos e cinquenta", "metformina"),
        ("amoxissilina", "amoxicilina"),
        ("sinvastatinha vinte", "sinvastatina"),
        ("polaramini", "polaramine"),
    ],
)
def test_a_medicine_mangled_by_speech_recognition_is_found_by_its_sound(lexicon: Lexicon, text: str, name: str) -> None:
    assert name in extract(text, lexicon).medicines


@pytest.mark.parametrize(
    "text",
    [
        "o médico disse que amanhã a gente volta",
        "semana passada eu estive aqui com a minha mãe",
        "vocês podem separar a sacola pra mim",
        "ela foi no centro pagar a conta",
        "passei o dia inteiro esperando o correio",
    ],
)
def test_everyday_words_are_not_taken_for_medicines(lexicon: Lexicon, text: str) -> None:
    assert extract(text, lexicon).medicines == ()


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("tô com soltura desde ontem", "diarreia"),
        ("minha cabeça tá latejando", "dor de cabeca"),
        ("torrei no sol da praia", "queimadura de sol"),
        ("o joelho voltou a doer", "dor nas articulacoes"),
        ("meu olho não para de coçar", "coceira nos olhos"),
        ("uma coseira no braço", "coceira"),
        ("meu nariz é uma torneira", "coriza"),
    ],
)
def test_a_complaint_is_found_however_people_say_it(lexicon: Lexicon, text: str, name: str) -> None:
    assert name in extract(text, lexicon).symptoms


@pytest.mark.parametrize(
    ("text", "denied"),
    [
        ("não é febre, é só cansaço", "febre"),
        ("ele não tem tosse", "tosse"),
        ("sem febre, mas com catarro", "febre"),
        ("nem diarreia nem vômito", "diarreia"),
    ],
)
def test_what_is_denied_is_not_a_complaint(lexicon: Lexicon, text: str, denied: str) -> None:
    assert denied not in extract(text, lexicon).symptoms


def test_a_negation_that_insists_denies_nothing(lexicon: Lexicon) -> None:
    assert extract("a tosse não para, não passa a febre", lexicon).symptoms == ("tosse", "febre")


def test_a_specific_complaint_leaves_out_the_general_one(lexicon: Lexicon) -> None:
    assert extract("um remédio pra dor, é dor de dente", lexicon).symptoms == ("dor de dente",)


@pytest.mark.parametrize(
    ("text", "situation"),
    [
        ("tô grávida de três meses", "gestante"),
        ("ainda amamento", "amamentando"),
        ("minha filha de um ano", "bebe"),
        ("meu neto de quatro aninhos", "crianca"),
        ("minha avó tem oitenta anos", "idoso"),
        ("o bebê de dois meses", "bebe_menor_3_meses"),
        ("sou hipertenso", "hipertenso"),
        ("tomo losartana", "hipertenso"),
        ("meu pai usa xarelto", "anticoagulado"),
        ("acho que é dengue", "dengue"),
        ("faço hemodiálise", "renal"),
        ("vou dirigir agora", "dirige"),
        ("bebi muita cerveja", "alcool"),
        ("sou alérgica a dipirona", "alergia:dipirona"),
        ("tenho alergia a aas", "alergia:acido acetilsalicilico"),
    ],
)
def test_a_situation_is_known_from_what_is_said(lexicon: Lexicon, text: str, situation: str) -> None:
    assert situation in extract(text, lexicon).situations


@pytest.mark.parametrize(
    ("text", "situation"),
    [
        ("tô grávida de três meses", "bebe_menor_3_meses"),
        ("meu filho de trinta anos", "crianca"),
        ("ele bebe cerveja todo dia", "bebe"),
        ("tomo esse remédio há dois anos", "bebe"),
        ("não estou grávida", "gestante"),
        ("remédio de alergia, loratadina", "alergia:loratadina"),
    ],
)
def test_a_situation_is_not_read_into_other_words(lexicon: Lexicon, text: str, situation: str) -> None:
    assert situation not in extract(text, lexicon).situations


def test_a_medicine_that_is_taken_is_told_from_one_that_is_asked_for(lexicon: Lexicon) -> None:
    entities = extract("tomo losartana e quero um dorflex", lexicon)
    assert entities.medicines == ("losartana", "dorflex")
    assert entities.in_use == ("losartana",)


def test_a_medicine_that_is_refused_is_not_asked_for(lexicon: Lexicon) -> None:
    assert extract("sem ser dipirona", lexicon).in_use == ("dipirona",)
    assert extract("não quero dorflex", lexicon).in_use == ("dorflex",)


def test_evidence_quotes_the_words_as_they_were_said(lexicon: Lexicon) -> None:
    entities = extract("Quero um DORFLEX, tô com a Garganta inflamada", lexicon)
    assert entities.evidence == ("DORFLEX", "Garganta inflamada")


def test_a_babys_colic_is_its_own_complaint(lexicon: Lexicon) -> None:
    assert extract("meu bebê tá com cólica", lexicon).diseases == ("colica do bebe",)


def test_nothing_named_is_empty(lexicon: Lexicon) -> None:
    assert extract("bom dia, tudo bem?", lexicon).empty
    assert extract("", lexicon).empty
