"""Which kind of number a run of digits is: by the words around it, and by its check digits where there are any."""

from __future__ import annotations

import re
from typing import Final

from privacy.tokens import words

_AREA_CODES: Final = words(
    """11 12 13 14 15 16 17 18 19 21 22 24 27 28 31 32 33 34 35 37 38 41 42 43 44 45 46 47 48 49 51 53 54 55 61 62 63 64
    65 66 67 68 69 71 73 74 75 77 79 81 82 83 84 85 86 87 88 89 91 92 93 94 95 96 97 98 99"""
)
"""Brazil's area codes (Anatel, Plano Geral de Códigos Nacionais)."""
_DATE: Final = re.compile(r"(\d{1,2})\s?[/.-]\s?(\d{1,2})\s?[/.-]\s?(?:19|20)\d\d")
_POSTAL: Final = re.compile(r"\d{2}\.?\d{3}-\d{3}")
_CUED_LENGTHS: Final = {
    "CPF": (4, 11),
    "CNPJ": (4, 14),
    "TELEFONE": (4, 14),
    "CARTAO": (8, 19),
    "CEP": (4, 8),
    "DATA": (4, 8),
}
"""How many digits a number may have to be what the words beside it call it."""


def is_cpf(digits: str) -> bool:
    """Whether `digits` (0-9) is a taxpayer's number: 11 digits, the last two by modulus 11 (Receita Federal)."""
    if len(digits) != 11 or len(set(digits)) == 1:
        return False
    return all(_check(digits[:n], range(n + 1, 1, -1)) == digits[n] for n in (9, 10))


def is_cnpj(digits: str) -> bool:
    """Whether `digits` (0-9) is a company's number: 14 digits, the last two by modulus 11 (Receita Federal)."""
    if len(digits) != 14:
        return False
    weights = (5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    return all(_check(digits[:n], (6, *weights)[13 - n :]) == digits[n] for n in (12, 13))


def is_card(digits: str) -> bool:
    """Whether `digits` (0-9) may be a payment card: 13 to 19 digits with Luhn's check digit (ISO/IEC 7812-1)."""
    if not 13 <= len(digits) <= 19 or digits[0] not in "23456":
        return False
    doubled = [int(d) * (2 if n % 2 else 1) for n, d in enumerate(reversed(digits))]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def is_phone(digits: str) -> bool:
    """Whether `digits` (0-9) may be a Brazilian telephone: 8 or 9 digits, with or without area and country code."""
    if len(digits) in (12, 13) and digits.startswith("55"):
        digits = digits[2:]
    if len(digits) in (11, 12) and digits.startswith("0"):
        digits = digits[1:]
    if digits.startswith("800") and len(digits) == 10:
        return True
    if len(digits) in (10, 11):
        if digits[:2] not in _AREA_CODES:
            return False
        digits = digits[2:]
    return (len(digits) == 9 and digits[0] == "9") or (len(digits) == 8 and digits[0] in "23456789")


def kind_of(digits: str, written: str, cue: str) -> str:
    """The kind of a number: CPF, CNPJ, TELEFONE, CARTAO, CEP, DATA, or NUMERO where nothing says.

    `written` is how it stands in the text, `cue` the kind that the words beside it name ("" where they name none).
    """
    if _is_date(written):
        return "DATA"
    shortest, longest = _CUED_LENGTHS.get(cue, (1, 0))
    if shortest <= len(digits) <= longest:
        return cue
    if cue == "NUMERO":
        return cue
    if _POSTAL.fullmatch(written):
        return "CEP"
    checks = (("CPF", is_cpf), ("CNPJ", is_cnpj), ("CARTAO", is_card), ("TELEFONE", is_phone))
    return next((kind for kind, check in checks if check(digits)), "NUMERO")


def _check(digits: str, weights: range | tuple[int, ...]) -> str:
    rest = sum(int(d) * w for d, w in zip(digits, weights, strict=True)) % 11
    return "0" if rest < 2 else str(11 - rest)


def _is_date(written: str) -> bool:
    match = _DATE.fullmatch(written)
    return match is not None and 1 <= int(match[1]) <= 31 and 1 <= int(match[2]) <= 12
