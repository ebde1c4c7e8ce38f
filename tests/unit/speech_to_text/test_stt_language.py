"""How Portuguese sounds in English phones, and the files that are generated from the vocabulary."""

import math
import re
from collections import defaultdict

import pytest

from deployments.speech_to_text.language import (
    DICTIONARY,
    LANGUAGE_MODEL,
    dictionary,
    language_model,
    load,
    symbols,
    token,
    written,
)
from deployments.speech_to_text.portuguese import mark_stress, pronunciations

VOCABULARY = load()
ENGLISH_VOWELS = frozenset({"AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"})
ENGLISH_CONSONANTS = frozenset(
    {
        "B",
        "CH",
        "D",
        "DH",
        "F",
        "G",
        "HH",
        "JH",
        "K",
        "L",
        "M",
        "N",
        "NG",
        "P",
        "R",
        "S",
        "SH",
        "T",
        "TH",
        "V",
        "W",
        "Y",
    }
    | {"Z", "ZH"}
)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("tosse", "T AO S IY"),
        ("tosse", "T OW S IY"),
        ("diarreia", "JH IY AA HH EY AH"),
        ("azia", "AA Z IY AH"),
        ("queimação", "K EY M AA S AW N"),
        ("gripe", "G R IY P IY"),
        ("rinite", "HH IY N IY CH IY"),
        ("joelho", "ZH OW EH L Y UW"),
        ("enxaqueca", "EY N SH AA K EH K AH"),
        ("exame", "EH Z AA M IY"),
        ("gestante", "ZH EH S T AH N CH IY"),
        ("alta", "AW T AH"),
        ("cãibra", "K AH N IY B R AH"),
        ("água", "AA G W AH"),
        ("nariz", "N AA R IY S"),
        ("garganta inflamada", "G AA R G AH N T AH IY N F L AA M AA D AH"),
    ],
)
def test_portuguese_spelling_is_read_aloud(word: str, said: str) -> None:
    assert said in pronunciations(word)


@pytest.mark.parametrize(
    ("word", "marked"),
    [("cabeça", "cabEça"), ("dor", "dOr"), ("febre", "fEbre"), ("gripe", "gripe"), ("cólica", "cólica"), ("de", "de")],
)
def test_a_stressed_vowel_without_accent_is_marked(word: str, marked: str) -> None:
    assert mark_stress(word) == marked


def test_a_tapped_r_may_sound_like_the_english_r_or_d() -> None:
    assert {"F AH R IY N AH", "F AH D IY N AH"} <= {said.replace("AA", "AH") for said in pronunciations("farina")}


def test_a_letter_that_no_rule_reads_is_refused() -> None:
    with pytest.raises(ValueError, match="ß"):
        pronunciations("straße")


def test_every_word_of_the_vocabulary_is_said_with_the_phones_of_the_acoustic_model() -> None:
    for word in VOCABULARY.words:
        for said in pronunciations(word):
            assert set(said.split()) <= ENGLISH_VOWELS | ENGLISH_CONSONANTS, word


def test_there_are_enough_terms_and_each_is_one_token() -> None:
    assert len(VOCABULARY.all_terms) >= 170
    assert all(written(token(word)) == word and " " not in token(word) for word in VOCABULARY.words)


def test_no_word_is_both_a_term_and_a_filler_or_listed_twice() -> None:
    listed = [word for group in (*VOCABULARY.terms.values(), *VOCABULARY.fillers.values()) for word in group]
    assert len(listed) == len(set(listed))


def test_the_files_that_ship_are_those_that_the_vocabulary_gives() -> None:
    assert DICTIONARY.read_text("utf-8") == dictionary(VOCABULARY)
    assert LANGUAGE_MODEL.read_text("utf-8") == language_model(VOCABULARY)


def test_after_every_word_the_probabilities_add_up_to_one() -> None:
    one, weights, two = parsed(language_model(VOCABULARY))
    assert sum(one.values()) == pytest.approx(1.0, abs=0.02)
    for first, after in two.items():
        unseen = sum(share for word, share in one.items() if word not in after)
        assert sum(after.values()) + weights[first] * unseen == pytest.approx(1.0, abs=0.02), first


def parsed(arpa: str) -> tuple[dict[str, float], dict[str, float], dict[str, dict[str, float]]]:
    one: dict[str, float] = {}
    weights: dict[str, float] = defaultdict(lambda: 1.0)
    two: dict[str, dict[str, float]] = defaultdict(dict)
    for line in arpa.splitlines():
        parts = line.split()
        if not re.match(r"-?\d", line) or len(parts) < 2:
            continue
        share = 10 ** float(parts[0])
        if len(parts) == 3 and not re.match(r"-?\d+\.\d+$", parts[2]):
            two[parts[1]][parts[2]] = share
            continue
        one[parts[1]] = share
        if len(parts) == 3:
            weights[parts[1]] = 10 ** float(parts[2])
    assert all(math.isfinite(share) for share in one.values())
    return one, weights, two


def test_a_sentence_with_a_word_outside_the_vocabulary_is_refused() -> None:
    with pytest.raises(ValueError, match="borboleta"):
        list(symbols("estou com borboleta", VOCABULARY))


def test_the_longest_known_words_of_a_sentence_are_taken() -> None:
    assert list(symbols("tem alguma coisa para {symptom}", VOCABULARY)) == ["tem", "alguma coisa", "para", "{symptom}"]
