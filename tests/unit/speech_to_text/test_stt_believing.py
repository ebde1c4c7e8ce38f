"""Which texts of a provider are believed, how two are compared, and which utterances are sampled."""

from __future__ import annotations

import pytest

from deployments.speech_to_text.believing import BelievingSettings, disbelief
from deployments.speech_to_text.comparison import word_differences, words_of
from deployments.speech_to_text.port import Transcript, Word
from deployments.speech_to_text.routing import RoutingSettings, is_compared

SETTINGS = BelievingSettings()


def heard(text: str, *confidences: float, no_speech: float | None = None) -> Transcript:
    words = tuple(Word("x", 0.0, 0.1, confidence) for confidence in confidences)
    return Transcript(text, words, "m", 0.0, no_speech)


@pytest.mark.parametrize(
    ("transcript", "voiced_s", "why"),
    [
        (heard("estou com dor de cabeça", 0.9, 0.8), 0.9, None),
        (heard("estou com dor de cabeça"), None, None),
        (heard("tem soro?"), 0.0, None),
        (heard(""), 0.0, None),
        (heard("Obrigado por assistir!"), 1.0, "inventado"),
        (heard("[música]"), 1.0, "inventado"),
        (heard("dor dor dor dor dor dor"), 2.0, "inventado"),
        (heard("estou com dor de cabeça desde ontem à noite e febre"), 0.1, "depressa_demais"),
        (heard("estou com dor", no_speech=0.95), 1.0, "sem_fala"),
        (heard("estou com dor", no_speech=0.5), 1.0, None),
        (heard("estou com dor", 0.05, 0.1, 0.2), 1.0, "incerto"),
    ],
)
def test_what_nobody_said_is_told_from_what_somebody_did(
    transcript: Transcript, voiced_s: float | None, why: str | None
) -> None:
    assert disbelief(SETTINGS, transcript, voiced_s) == why


def test_two_texts_differ_by_words_not_by_how_they_are_written() -> None:
    assert word_differences(words_of("Tem Dipirona?"), words_of("tem dipirona")) == 0
    assert word_differences(words_of("tem dipirona"), words_of("tem de pirona")) == 2
    assert word_differences([], words_of("tem soro")) == 2
    assert word_differences(words_of("estou com dor"), words_of("com dor forte")) == 2


def test_the_sample_is_the_share_asked_for_and_the_same_each_time() -> None:
    settings = RoutingSettings(compare_with="assemblyai", comparison_share=0.1)
    sampled = [is_compared(settings, f"u-{n}") for n in range(5000)]
    assert 0.085 <= sum(sampled) / 5000 <= 0.115
    assert sampled == [is_compared(settings, f"u-{n}") for n in range(5000)]
    assert not any(is_compared(RoutingSettings(compare_with="assemblyai"), f"u-{n}") for n in range(100))
