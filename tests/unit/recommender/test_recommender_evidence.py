"""Evidence counts only where it was said."""

from __future__ import annotations

import pytest

from deployments.recommender.evidence import is_quoted

SAID = ("Moça, minha cabeça tá latejando desde ontem!",)


@pytest.mark.parametrize("quote", ["minha cabeça tá latejando", "MINHA CABECA", "ontem", "moça minha"])
def test_a_quote_of_whole_words_counts_whatever_its_case_accents_and_punctuation(quote: str) -> None:
    assert is_quoted(quote, SAID)


@pytest.mark.parametrize("quote", ["dor de cabeça", "latej", "cabeça latejando", "", "  ", "!", "á"])
def test_words_that_were_not_said_do_not_count(quote: str) -> None:
    assert not is_quoted(quote, SAID)


def test_a_quote_may_stand_in_any_of_the_texts() -> None:
    assert is_quoted("estou grávida", ("oi", "Estou grávida de três meses"))
