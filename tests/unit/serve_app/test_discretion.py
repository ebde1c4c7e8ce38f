"""A session's words are redacted before anybody sees them, and numbers said in two breaths are one number."""

from __future__ import annotations

from deployments.speech_to_text.port import Transcription, Word
from privacy.settings import RedactionSettings
from serve_app.discretion import Discretion


class Counting:
    def __init__(self) -> None:
        self.kinds: list[str] = []

    def count(self, name: str, value: float = 1.0, **labels: str) -> None:
        assert name == "redactions"
        self.kinds.append(labels["kind"])

    def observe_ms(self, name: str, value_ms: float, **labels: str) -> None:
        return None

    def gauge(self, name: str, value: float, **labels: str) -> None:
        return None


def discretion(metrics: Counting | None = None, **settings: float) -> Discretion:
    return Discretion(RedactionSettings(**settings), metrics or Counting())


def test_a_transcription_and_its_words_lose_what_identifies_somebody_and_are_counted():
    metrics = Counting()
    said = ["sou", "a", "Carla", "Souza", "11", "98765-4321"]
    words = tuple(Word(text, n, n + 0.5, 0.9) for n, text in enumerate(said))
    heard = Transcription("ok", " ".join(said), words, "p", "m", False, 0.0, 1, 1.0)
    clean, found = discretion(metrics).transcription(heard)
    assert clean.text == found.text == "sou a [NOME] [TELEFONE]"
    assert [(w.text, w.start_s, w.end_s) for w in clean.words] == [
        ("sou", 0, 0.5),
        ("a", 1, 1.5),
        ("[NOME]", 2, 3.5),
        ("[TELEFONE]", 4, 5.5),
    ]
    assert metrics.kinds == ["NOME", "TELEFONE"]


def said(words: Discretion, text: str, start_s: float, end_s: float) -> str:
    return words.follow(words.text(text), start_s, end_s)


def test_a_number_said_in_two_utterances_loses_its_second_part():
    one = discretion()
    assert said(one, "o número é nove oito sete", 0, 2) == "o número é nove oito sete"
    assert said(one, "seis cinco", 3, 4) == "seis cinco"
    assert said(one, "quatro três dois um", 5, 6) == "[NUMERO]"
    assert said(one, "e uma dipirona de 500", 7, 9) == "e uma dipirona de 500"


def test_a_document_begun_in_one_utterance_is_gone_in_both():
    one = discretion()
    assert said(one, "meu cpf é 529 982", 0, 2) == "meu cpf é [CPF]"
    assert said(one, "247 25", 3, 4) == "[NUMERO]"


def test_digits_said_much_later_or_after_other_words_are_another_number():
    one = discretion(continue_within_s=5)
    assert said(one, "são 1250", 0, 1) == "são 1250"
    assert said(one, "4500", 20, 21) == "4500"
    assert said(one, "então quero 3000", 22, 23) == "então quero 3000"
