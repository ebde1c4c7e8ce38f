"""Whether a quote that a language model gives as evidence really stands in what was said."""

from __future__ import annotations

from collections.abc import Iterable

from cestas.text import slug

MIN_LETTERS = 2
"""Shorter quotes prove nothing: a single letter stands in almost any text."""


def is_quoted(evidence: str, texts: Iterable[str]) -> bool:
    """True when `evidence` stands in one of `texts` as whole words, whatever the case, accents and punctuation."""
    quote = slug(evidence)
    if len(quote) < MIN_LETTERS:
        return False
    return any(f"-{quote}-" in f"-{slug(text)}-" for text in texts)
