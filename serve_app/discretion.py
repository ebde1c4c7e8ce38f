"""One counter's redaction: what identifies a person leaves the words before anybody else sees them."""

from __future__ import annotations

from dataclasses import replace

from deployments.metrics import Metrics
from deployments.speech_to_text.port import Transcription, Word
from privacy.redact import Redacted, Redactor
from privacy.settings import RedactionSettings


class Discretion:
    """Redacts a session's words. Texts may be redacted in any order; `follow` must be called in the order of speech."""

    def __init__(self, settings: RedactionSettings, metrics: Metrics) -> None:
        self._settings = settings
        self._redactor = Redactor(settings)
        self._metrics = metrics
        self._open_digits = 0
        self._open_since_s = 0.0

    def text(self, said: str) -> Redacted:
        """What somebody said or typed, redacted."""
        redacted = self._redactor.redact(said)
        self._count(redacted)
        return redacted

    def transcription(self, heard: Transcription) -> tuple[Transcription, Redacted]:
        """A transcription with its text and its words redacted, and what was found in the text."""
        redacted = self.text(heard.text)
        return replace(heard, text=redacted.text, words=self._words(heard.words)), redacted

    def follow(self, redacted: Redacted, start_s: float, end_s: float) -> str:
        """The text of what was said from `start_s` to `end_s` of the stream, given what was said before it.

        Digits at its beginning that go on from digits at the end of the text before are one number with them: where
        both make a long one, these go too. What was said before is out already: fewer than eight digits of it.
        """
        recent = start_s - self._open_since_s <= self._settings.continue_within_s
        continued = self._open_digits if recent else 0
        self._open_digits = redacted.open_digits + (continued if redacted.digits_only else 0)
        self._open_since_s = end_s
        if not continued:
            return redacted.text
        again = self._redactor.redact(redacted.text, continued)
        self._count(again)
        return again.text

    def _words(self, words: tuple[Word, ...]) -> tuple[Word, ...]:
        """The words, those of one placeholder as one word from the first one's start to the last one's end."""
        if not words:
            return words
        groups = self._redactor.redact_words([word.text for word in words])
        return tuple(
            replace(words[first], text=text, end_s=words[end - 1].end_s) if text != words[first].text else words[first]
            for first, end, text in groups
        )

    def _count(self, redacted: Redacted) -> None:
        for span in redacted.spans:
            self._metrics.count("redactions", kind=span.kind)
