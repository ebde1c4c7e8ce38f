"""Who it is for and what they live with: ages said, situations, allergies."""

from __future__ import annotations

import re

from cestas.lexicon import Lexicon
from cestas.matching import Hit
from cestas.text import BREAK, Words, word_set

_UNITS = {"ano": 12.0, "aninho": 12.0, "mes": 1.0, "mese": 1.0, "mesinho": 1.0, "semana": 0.25, "dia": 1 / 30}
_NUMBERS = {
    "um": 1, "uma": 1, "dois": 2, "duas": 2, "tres": 3, "quatro": 4, "cinco": 5, "seis": 6, "sete": 7, "oito": 8,
    "nove": 9, "dez": 10, "onze": 11, "doze": 12, "treze": 13, "catorze": 14, "quatorze": 14, "quinze": 15,
    "dezesseis": 16, "dezessete": 17, "dezoito": 18, "dezenove": 19,
}  # fmt: skip
_TENS = {
    "vinte": 20, "trinta": 30, "quarenta": 40, "cinquenta": 50, "sessenta": 60, "setenta": 70, "oitenta": 80,
    "noventa": 90,
}  # fmt: skip
_DURATION = word_set("ha faz fazem por uns umas durante quase mais injecao cartela tratamento cada dura dose")
"""Words before a number of years, months or days that make it a duration instead of an age."""
_AGE_LEADS = word_set("de tem com tenho completou fez minha filha filho bebe nenem menino menina ela ele")
_PREGNANT = re.compile(r"gravid|gesta|gesto|buchuda|prenh")
_OLD_YEARS, _ADULT_YEARS, _CHILD_YEARS = 60, 18, 12
_BABY_MONTHS = 24
_BELOW = 0.5
"""Of a unit: what "menos de três meses" is counted below three."""


def ages_in_months(words: Words) -> list[float]:
    """Ages said ("de dois anos", "com 3 meses"), in months; durations and weeks of pregnancy are not ages."""
    ages = []
    for at, stem in enumerate(words.stems):
        unit = _UNITS.get(stem)
        if unit is None or at == 0:
            continue
        number, first = _number_before(words.words, at)
        if number is not None and _is_age(words.words, first, at):
            below = words.words[max(0, first - 2) : first] == ["menos", "de"]
            ages.append((number - _BELOW if below else number) * unit)
    return ages


def _number_before(words: list[str], at: int) -> tuple[int | None, int]:
    """The number that ends just before position `at`, and the position where it starts."""
    last = words[at - 1]
    if last.isdigit() and len(last) <= 3:
        return int(last), at - 1
    if last in _TENS:
        return _TENS[last], at - 1
    if last not in _NUMBERS:
        return None, at
    if at >= 3 and words[at - 2] == "e" and words[at - 3] in _TENS:
        return _TENS[words[at - 3]] + _NUMBERS[last], at - 3
    return _NUMBERS[last], at - 1


def _is_age(words: list[str], first: int, unit_at: int) -> bool:
    near = words[max(0, first - 4) : unit_at + 4]
    if any(_PREGNANT.match(word) for word in near):
        return False
    before = words[first - 1] if first else BREAK
    if before in _DURATION:
        return False
    if words[unit_at].startswith(("dia", "semana")):
        return before in ("de", "com", "tem") and any(w in ("bebe", "nenem", "nascido", "nasceu", "rn") for w in words)
    return before in _AGE_LEADS or before == BREAK or first == 0


def situations_of(words: Words, lexicon: Lexicon, denied: list[bool]) -> list[str]:
    """Situations said, without repeats. `denied[i]` is True where content word `i` lies in a negation's scope."""
    found: list[str] = []
    theirs = _of_somebody_else(words)
    for hit in lexicon.people.situations.find(words):
        if words.content[hit.last] >= theirs and not denied[hit.first] and not _drinks(words, hit):
            found.append(hit.name)
    if "nascido" in words.words and "recem" in words.words:
        found += ["bebe_menor_3_meses", "bebe_menor_6_meses"]
    return list(dict.fromkeys(_with_ages(found, ages_in_months(words))))


def _with_ages(found: list[str], ages: list[float]) -> list[str]:
    for months in ages:
        found = found + _of_age(months)
    if ages and min(ages) >= _CHILD_YEARS * 12:
        found = [name for name in found if name not in ("crianca", "bebe")]
    if "bebe" in found:
        found = [*found, "crianca"]
    return found


def _of_age(months: float) -> list[str]:
    if months >= _OLD_YEARS * 12:
        return ["idoso"]
    if months >= _CHILD_YEARS * 12:
        return ["adolescente"] if months < _ADULT_YEARS * 12 else []
    steps = ((3, "bebe_menor_3_meses"), (6, "bebe_menor_6_meses"), (_BABY_MONTHS, "bebe"), (144, "crianca"))
    return [name for limit, name in steps if months < limit]


_OTHERS = word_set("vizinha vizinho amiga amigo colega cunhada prima irma esposa mulher filha nora patroa")


def _of_somebody_else(words: Words) -> int:
    """Position up to which somebody else is spoken of: "minha vizinha tá grávida, mas o remédio é pra mim"; else 0."""
    if "mas" not in words.words or not _OTHERS.intersection(words.words):
        return 0
    but = words.words.index("mas")
    after = " ".join(words.words[but:])
    mine = any(said in after for said in ("pra mim", "para mim"))
    return but if mine and _OTHERS.intersection(words.words[:but]) else 0


_DRINKING = word_set("todo muito cerveja cachaca pinga demais bastante agua vinho pouco socialmente direto")


def _drinks(words: Words, hit: Hit) -> bool:
    """True when "bebe" is the verb (to drink), not the baby."""
    at = words.content[hit.first]
    if hit.name != "bebe" or words.words[at] != "bebe" or "ê" in words.quote(at, at).lower():
        return False
    return at + 1 < len(words.words) and words.words[at + 1] in _DRINKING


def allergic_to(words: Words, things: list[Hit], lexicon: Lexicon) -> list[Hit]:
    """Those of the products named that somebody says they cannot take ("alergia a dipirona", "não posso com AAS")."""
    cues = [hit for hit in lexicon.people.allergy.find(words) if _introduces(words, hit)]
    allergic: list[Hit] = []
    for thing in things:
        direct = any(0 < thing.first - cue.last <= 2 for cue in cues)
        chained = any(thing.first - other.last == 1 for other in allergic)
        if (direct or chained) and not _broken(words, thing, cues):
            allergic.append(thing)
    return allergic


def _introduces(words: Words, cue: Hit) -> bool:
    """ "alergia a/de X" names what it is against; "remédio de alergia X" does not."""
    last = words.content[cue.last]
    if words.words[last] != "alergia":
        return True
    return last + 1 < len(words.words) and words.words[last + 1] in ("a", "ao", "as", "aos", "de", "da", "do")


def _broken(words: Words, thing: Hit, cues: list[Hit]) -> bool:
    nearest = max((cue.last for cue in cues if cue.last < thing.first), default=None)
    if nearest is None:
        return False
    return any(words.stems[words.content[i]] == BREAK for i in range(nearest, thing.first))
