"""What tells a need from idle talk and from an emergency: the judge, what it learns from, and what follows from it."""

from dataclasses import replace

import pytest

from cestas.advise import advise
from cestas.catalogue import Catalogue
from cestas.entities import extract
from cestas.judge import Judge, pieces_of
from cestas.lexicon import Lexicon
from cestas.matching import CueBook
from cestas.people import ages_in_months
from cestas.safety import check
from cestas.speak import is_alarming, is_worth_speaking
from cestas.speak_fit import ALARM, IDLE, NEED, Example, fit
from cestas.text import words_of


def test_the_three_classes_share_one_whole() -> None:
    judge = Judge({"a": (2.0, 0.0), "b": (0.0, 3.0)}, (-1.0, -1.0), 0.75, 0.5)
    assert judge.judge(["a"], []).need > judge.judge([], []).need
    assert judge.judge(["b"], []).alarm > judge.judge(["a"], []).alarm
    both = judge.judge(["a", "b"], [])
    assert 0 < both.need + both.alarm < 1


def test_a_word_met_before_is_judged_as_the_first_time() -> None:
    judge = Judge(dict.fromkeys(pieces_of("tosse"), (0.5, -0.25)), (0.0, 0.0), 0.75, 0.5)
    first = judge.judge([], ["tosse", "xyz"])
    assert judge.judge([], ["tosse", "xyz"]) == first
    assert first.need > 0.5


def test_a_word_shorter_than_a_piece_is_a_piece() -> None:
    assert set(pieces_of("a")) == {"~~a~"}


def test_what_is_learned_tells_the_classes_apart() -> None:
    said = {IDLE: "quanto custa isso", NEED: "tenho tosse seca", ALARM: "desmaiou e sangra"}
    examples = [Example((), tuple(text.split()), wanted) for wanted, text in said.items() for _ in range(4)]
    judge = fit(examples, 0.75, 0.5)
    needs = {wanted: judge.judge([], text.split()) for wanted, text in said.items()}
    assert needs[NEED].need > 0.75
    assert needs[ALARM].alarm > 0.5
    assert needs[IDLE].need < 0.5
    assert needs[IDLE].alarm < 0.5


@pytest.mark.parametrize(
    "text",
    [
        "engoliu uma bateria de relógio e não para de babar",
        "minha avó acordou falando embolado e sem força na mão",
        "meu pai caiu duro no chão e não acorda",
    ],
)
def test_an_emergency_in_new_words_calls_the_pharmacist(text: str, lexicon: Lexicon, catalogue: Catalogue) -> None:
    verdict = check(list(catalogue.items())[:50], extract(text, lexicon), lexicon, catalogue, text)
    assert verdict.alert
    assert not verdict.items


def test_the_call_comes_from_the_judge_where_no_phrase_raises_a_flag(lexicon: Lexicon, catalogue: Catalogue) -> None:
    calm = replace(lexicon, judge=replace(lexicon.judge, alarm_at=1.1))
    text = "ele tomou metade do vidro de tylenol escondido"
    assert is_alarming(text, lexicon)
    assert check([], extract(text, lexicon), lexicon, catalogue, text).alert
    assert not check([], extract("tô com azia", calm), calm, catalogue, "tô com azia").alert


@pytest.mark.parametrize(
    "text",
    [
        "na outra farmácia a dipirona tava dez reais",
        "essa fila me dá uma dor de cabeça",
        "vi na novela que ele tinha gripe",
    ],
)
def test_idle_talk_that_names_things_brings_no_suggestion(text: str, lexicon: Lexicon, catalogue: Catalogue) -> None:
    assert not advise(text, lexicon, catalogue).items


def test_a_need_is_worth_speaking(lexicon: Lexicon) -> None:
    assert is_worth_speaking("tô com dor de garganta desde ontem, tem alguma coisa?", lexicon)


def test_a_medicine_does_not_pass_where_nobody_sounds_in_need(lexicon: Lexicon, catalogue: Catalogue) -> None:
    text = "esse trânsito me dá uma dor de cabeça que nem te conto"
    verdict = check(list(catalogue.items()), extract("dor de cabeça", lexicon), lexicon, catalogue, text)
    for item in verdict.items:
        _, classes = lexicon.contents(lexicon.resolve(item.suggestion))
        assert "medicamento" not in classes


def test_cues_of_all_groups_are_found_in_one_pass() -> None:
    book = CueBook({"preco": ["quanto custa", "valor"], "figura": ["de matar"]}, literal=("figura",))
    assert book.named(words_of("quanto custa, esse valor é de matar")) == {"preco", "figura"}
    assert book.named(words_of("quanto, custa")) == frozenset()


def test_an_age_that_answers_a_question_is_an_age() -> None:
    assert ages_in_months(words_of("é pra nenê — quantos meses? — dois")) == [2.0]
    assert ages_in_months(words_of("quantos meses dura o tratamento?")) == []


@pytest.mark.parametrize(
    ("text", "feverish"),
    [("minha nenê tá quente, trinta e oito e dois", True), ("fui jogar bola com quarenta e cinco anos", False)],
)
def test_a_temperature_after_a_pause_is_a_fever_and_an_age_is_none(text: str, feverish: bool, lexicon: Lexicon) -> None:
    assert ("febre" in extract(text, lexicon).symptoms) is feverish
