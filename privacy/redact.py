"""Takes what identifies a person out of a text and puts a typed placeholder in its place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from privacy.contacts import find_emails
from privacy.name_lists import name_lists
from privacy.names import find_names
from privacy.numbers import Run, begins, ends, find_numbers, runs_of
from privacy.places import find_places
from privacy.settings import RedactionSettings
from privacy.tokens import Span, Token, normal, tokens_of

KINDS: Final = ("CPF", "CNPJ", "TELEFONE", "EMAIL", "CARTAO", "CEP", "ENDERECO", "NOME", "DATA", "NUMERO")
"""What placeholders say, each in square brackets. NUMERO is any other number of eight digits or more."""


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text without what identifies anybody. `spans` are places in the text as it was (in NFC), in order."""

    text: str
    spans: tuple[Span, ...]
    open_digits: int
    """Digits that its end says, which the next text may continue; 0 where it ends otherwise."""
    digits_only: bool
    """Whether it is nothing but one run of digits, so that what it continues goes on."""


class Redactor:
    """Redacts texts by `settings`. Holds nothing of what it saw; linear time, pure."""

    def __init__(self, settings: RedactionSettings | None = None) -> None:
        self._settings = settings or RedactionSettings()
        self._lists = name_lists(self._settings.extra_names, self._settings.never_names)

    def redact(self, text: str, continued_digits: int = 0) -> Redacted:
        """`text` with placeholders like `[CPF]`. `continued_digits`: digits said at the very end of the text before.

        A text that is a placeholder already comes back as it is.
        """
        whole = normal(text)
        tokens = tokens_of(whole)
        runs = runs_of(tokens)
        last = runs[-1] if runs and ends(tokens, runs[-1]) else None
        spans = tuple(self._spans(whole, tokens, runs, continued_digits))
        digits_only = last is not None and begins(tokens, last)
        return Redacted(_replaced(whole, spans), spans, 0 if last is None else len(last.digits), digits_only)

    def redact_words(self, said: Sequence[str]) -> list[tuple[int, int, str]]:
        """Words in order as (first, end, word); what identifies somebody is one placeholder for first..end - 1."""
        pieces = [normal(word) for word in said]
        starts = [0]
        for piece in pieces:
            starts.append(starts[-1] + len(piece) + 1)
        text = " ".join(pieces)
        tokens = tokens_of(text)
        return _grouped(pieces, starts, self._spans(text, tokens, runs_of(tokens), 0))

    def _spans(self, text: str, tokens: Sequence[Token], runs: Sequence[Run], continued: int) -> list[Span]:
        found = (
            *find_emails(tokens),
            *find_numbers(text, tokens, runs, continued),
            *find_places(text, tokens),
            *find_names(text, tokens, self._lists),
        )
        return _merged(found)


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Overlapping spans as one, of the kind that comes first in KINDS among e-mail, number, address, name."""
    merged: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start, _RANK[s.kind])):
        if merged and span.start < merged[-1].end:
            before = merged[-1]
            kind = min(before.kind, span.kind, key=_RANK.__getitem__)
            merged[-1] = Span(before.start, max(before.end, span.end), kind)
        else:
            merged.append(span)
    return merged


def _replaced(text: str, spans: Sequence[Span]) -> str:
    parts, at = [], 0
    for span in spans:
        parts += [text[at : span.start], f"[{span.kind}]"]
        at = span.end
    return "".join((*parts, text[at:]))


def _grouped(pieces: Sequence[str], starts: Sequence[int], spans: Sequence[Span]) -> list[tuple[int, int, str]]:
    groups: list[tuple[int, int, str]] = []
    waiting = list(reversed(spans))
    taken: Span | None = None
    for index, piece in enumerate(pieces):
        begin, end = starts[index], starts[index] + len(piece)
        while waiting and waiting[-1].end <= begin:
            waiting.pop()
        if not (waiting and waiting[-1].start < end):
            groups.append((index, index + 1, piece))
        elif waiting[-1] is taken:
            groups[-1] = (groups[-1][0], index + 1, groups[-1][2])
        else:
            taken = waiting[-1]
            groups.append((index, index + 1, f"[{taken.kind}]"))
    return groups


_RANK: Final = {kind: n for n, kind in enumerate(("EMAIL", *(k for k in KINDS if k not in ("EMAIL",))))}
