"""The guess where the lexicon is silent: learned from the project's own phrases, and silent when unsure."""

from pathlib import Path

import pytest

from cestas.data_files import read_json
from cestas.entities import extract
from cestas.guess import NOTHING, fit
from cestas.lexicon import Lexicon
from cestas.text import words_of
from cestas.train import write

EXAMPLES = [
    ("ouvido doendo muito", "dor de ouvido"),
    ("pingar gota no ouvido", "dor de ouvido"),
    ("nariz escorrendo sem parar", "coriza"),
    ("limpar o nariz que escorre", "coriza"),
    ("vamos ao cinema amanhã", NOTHING),
]


def test_a_text_like_the_examples_gets_their_name() -> None:
    guesser = fit(EXAMPLES, sure=0.2, ahead=0.02)
    assert guesser.guess(words_of("esse ouvido me mata")) == "dor de ouvido"
    assert guesser.guess(words_of("narizinho escorrendo")) == "coriza"


@pytest.mark.parametrize("text", ["cinema amanhã", "xyz", "", "o a de"])
def test_what_resembles_nothing_or_is_about_nothing_is_not_guessed(text: str) -> None:
    assert fit(EXAMPLES, sure=0.2, ahead=0.02).guess(words_of(text)) == NOTHING


def test_two_complaints_equally_likely_are_not_guessed() -> None:
    guesser = fit(EXAMPLES, sure=0.0, ahead=0.9)
    assert guesser.guess(words_of("ouvido e nariz")) == NOTHING


def test_the_guess_speaks_only_where_nothing_was_named(lexicon: Lexicon) -> None:
    guessed = extract("meu ouvidinho não me deixa em paz", lexicon)
    assert guessed.symptoms in ((), ("dor de ouvido",), ("ouvido tampado",))
    assert extract("quanto é a gotinha?", lexicon).empty
    assert extract("febre", lexicon).symptoms == ("febre",)


def test_written_weights_guess_as_the_ones_that_were_learned(tmp_path: Path) -> None:
    learned = fit(EXAMPLES, sure=0.2, ahead=0.02)
    write(learned, tmp_path / "weights.json")
    stored = read_json(tmp_path / "weights.json")
    assert stored["classes"] == list(learned.classes)
    assert set(stored["features"]) <= set(learned.weights)
    assert stored["features"]["=ouvid"][0] == learned.rarity["=ouvid"]
