"""E-mail addresses, written ("ana@uol.com.br") and spoken ("ana arroba uol ponto com ponto br")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from privacy.numbers import NUMBER_WORDS
from privacy.tokens import Span, Token, folded_at, touch, words

_AT: Final = words("@ arroba")
_LINKS: Final = words(". - _ + % ponto traco tracinho hifen underline underscore underlaine sublinhado mais")
_ENDINGS: Final = words("com br net org gov edu combr")
_STOPS: Final = words(
    """e email mail o a os as eh eu meu minha seu sua dele dela de da do pra para pro no na em por manda mandar mande
    escreve escrever envia enviar anota anotar pode sim ser sera favor ta la ai aqui entao que chama aquele esse este
    endereco eletronico contato"""
)
"""Words that are not part of an address, whatever follows them (folded)."""
_NAME_WORDS_MAX: Final = 3
"""Words without a link between them that may stand before the at-sign: "ana beatriz arroba …"."""


def find_emails(tokens: Sequence[Token]) -> list[Span]:
    """The e-mail addresses; every at-sign is looked at once, no token by more than two of them."""
    spans: list[Span] = []
    used = 0
    for index, token in enumerate(tokens):
        if token.folded in _AT and index >= used:
            first, after = _local_part(tokens, index, used), _domain(tokens, index)
            if first < index and after > index + 1:
                spans.append(Span(tokens[first].start, tokens[after - 1].end, "EMAIL"))
                used = after
    return spans


def _local_part(tokens: Sequence[Token], at: int, floor: int) -> int:
    """The first token of what stands before the at-sign at `at`; `at` where nothing does."""
    first, loose = at, 0
    while first > floor:
        before = tokens[first - 1]
        if before.folded in _AT or (before.folded in _STOPS and not touch(tokens, first)):
            break
        linked = touch(tokens, first) or before.folded in _LINKS or folded_at(tokens, first) in _LINKS
        if not linked:
            loose += 1
            if loose > _NAME_WORDS_MAX or not (before.is_word or before.is_digits):
                break
            loose -= before.folded in NUMBER_WORDS
        elif not (before.is_word or before.is_digits or before.folded in _LINKS):
            break
        first -= 1
    while first < at and tokens[first].folded in _LINKS:
        first += 1
    return first


def _domain(tokens: Sequence[Token], at: int) -> int:
    """One past the last token of what stands after the at-sign at `at`."""
    after = at + 1
    while after < len(tokens):
        token = tokens[after]
        follows = after == at + 1 or touch(tokens, after) or folded_at(tokens, after - 1) in _LINKS
        if token.folded in _LINKS:
            if not _goes_on(tokens, after):
                break
        elif not ((token.is_word or token.is_digits) and (follows or token.folded in _ENDINGS)):
            break
        after += 1
    return after


def _goes_on(tokens: Sequence[Token], link: int) -> bool:
    """Whether the link at `link` joins two parts of a domain, and does not end a sentence."""
    if link + 1 >= len(tokens) or not (tokens[link + 1].is_word or tokens[link + 1].is_digits):
        return False
    spoken = tokens[link].is_word
    return spoken or touch(tokens, link + 1) or tokens[link + 1].folded in _ENDINGS
