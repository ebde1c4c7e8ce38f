"""Complaints put together from a body part and what it does, in the words of different regions."""

import pytest

from cestas.entities import extract
from cestas.inflection import diminutives, verb_forms
from cestas.lexicon import Lexicon


def _complaints(text: str, lexicon: Lexicon) -> set[str]:
    found = extract(text, lexicon)
    return {*found.symptoms, *found.diseases}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("meu cangote amanheceu latejando", "dor muscular"),
        ("a munheca inflamou e lateja de noite", "dor nas articulacoes"),
        ("o joelhinho dela estalava e agora dói", "dor nas articulacoes"),
        ("a barriguinha do menino desandou", "diarreia"),
        ("encostei o braço no escapamento da moto", "queimadura"),
        ("derramei óleo quente na mão", "queimadura"),
        ("os carapanãs acabaram comigo ontem", "picada de inseto"),
        ("uma formiga mordeu meu pé", "picada de inseto"),
        ("destronquei o tornozelo na escada", "entorse"),
        ("imprensei o dedo na gaveta", "hematoma"),
        ("o peito fica assoviando de noite", "chiado no peito"),
        ("o olho tá vermelho e coçando", "coceira nos olhos"),
        ("tô com o nariz intupido", "nariz entupido"),
        ("não preguei o olho, queria alguma coisa natural pra dormir", "insonia"),
        ("ando com fastio, só belisco", "inapetencia"),
        ("comi e fiquei empanzinado", "ma digestao"),
        ("mal consigo engolir de tanta dor", "dor de garganta"),
    ],
)
def test_a_complaint_is_understood_however_it_is_put(lexicon: Lexicon, text: str, name: str) -> None:
    assert name in _complaints(text, lexicon)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("febre ele não teve, graças a deus", "febre"),
        ("dor de cabeça eu não tenho não", "dor de cabeca"),
        ("tem febre, sangue? — não, nada disso", "febre"),
        ("você tem febre? — não", "febre"),
        ("o dente tá doendo até o ouvido", "dor de ouvido"),
        ("fiz o teste e tá doendo a perna", "dor de cabeca"),
        ("minha mamãe tá com o pé inchado", "inchaco nos seios"),
        ("fico fungando o dia todo", "micose"),
        ("olhei e tá coçando a perna", "coceira nos olhos"),
        ("a pulseira não resolveu, o que eu junto? tá doendo", "dor nas articulacoes"),
    ],
)
def test_what_is_denied_or_only_sounds_alike_is_no_complaint(lexicon: Lexicon, text: str, name: str) -> None:
    assert name not in _complaints(text, lexicon)


@pytest.mark.parametrize(
    "text",
    [
        "torci pro Flamengo ontem e perdemos",
        "a mamãe mandou um beijo pra senhora",
        "pintei a sala e ficou boa",
        "o mosquito da dengue é assunto na rádio",
        "deixa a panela no fogão que eu já volto",
        "ele abriu a porta da frente com a mão",
        "o boato foi desmentido no jornal",
        "vi no ralo da pia",
        "ganhou uma bolada na loteria",
        "a bolsa prendeu na porta do carro",
    ],
)
def test_everyday_talk_has_no_complaint(lexicon: Lexicon, text: str) -> None:
    assert _complaints(text, lexicon) == set()


def test_a_verb_is_heard_in_every_tense_of_the_third_person() -> None:
    forms = set(verb_forms("latejar"))
    assert {"latejar", "lateja", "latejam", "latejava", "latejou", "latejando", "latejado"} <= forms
    assert {"coce", "cocando"} <= set(verb_forms("coçar"))
    assert "finque" in set(verb_forms("fincar"))
    assert {"arde", "ardia", "ardeu", "ardendo", "ardido"} <= set(verb_forms("arder"))


@pytest.mark.parametrize(
    ("noun", "small"),
    [("barriga", "barriguinha"), ("cabeça", "cabecinha"), ("joelho", "joelhinho"), ("nariz", "narizinho")],
)
def test_a_noun_has_its_diminutive(noun: str, small: str) -> None:
    assert small in diminutives(noun)


@pytest.mark.parametrize("noun", ["sola", "mão", "seio", "batata da perna", "costas"])
def test_no_diminutive_is_made_that_sounds_like_another_word(noun: str) -> None:
    assert diminutives(noun) == ()
