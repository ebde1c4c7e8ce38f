"""Who it is for and what they live with: ages said, situations, allergies."""

from __future__ import annotations

import re

from cestas.lexicon import Lexicon
from cestas.matching import Hit
from cestas.text import BREAK, Words, stem, word_set

_UNITS = {
    "ano": 12.0, "aninh": 12.0, "anin": 12.0, "mes": 1.0, "mese": 1.0, "meszinh": 1.0, "semana": 0.25, "seman": 0.25,
    "dia": 1 / 30, "diazinh": 1 / 30,
}  # fmt: skip
"""Stems of the words that measure an age, in months."""
_NUMBERS = {
    "um": 1, "uma": 1, "dois": 2, "duas": 2, "tres": 3, "quatro": 4, "cinco": 5, "seis": 6, "sete": 7, "oito": 8,
    "nove": 9, "dez": 10, "onze": 11, "doze": 12, "treze": 13, "catorze": 14, "quatorze": 14, "quinze": 15,
    "dezesseis": 16, "dezessete": 17, "dezoito": 18, "dezenove": 19,
}  # fmt: skip
_TENS = {
    "vinte": 20, "trinta": 30, "quarenta": 40, "cinquenta": 50, "sessenta": 60, "setenta": 70, "oitenta": 80,
    "noventa": 90,
}  # fmt: skip
_NUMERALS = frozenset({*_NUMBERS, *_TENS})
_DURATION = word_set("ha faz fazem por uns umas durante quase mais injecao cartela tratamento cada dura dose")
"""Words before a number of years, months or days that make it a duration instead of an age."""
_AGE_LEADS = word_set(
    "de tem com tenho completou completando fez fazendo minha filha filho bebe nenem menino menina ela ele ate tinha"
)
_CHILDREN = word_set(
    """crianca menino menina filho filha neto neta sobrinho sobrinha garoto garota guri guria afilhado afilhada bebe
    nenem nene pequeno pequena moleque enteado enteada filhinho filhinha netinho netinha menininho menininha"""
)
_GROWN = word_set(
    """avo vo vovo mae pai sogro sogra tio tia senhora senhor idoso idosa velhinho velhinha paciente marido esposa homem
    mulher vizinha vizinho bisavo patroa patrao velho velha"""
)
_OF_AGE = word_set("de com tem fez completou ja ta os seus uns tinha")
"""Words that may stand between a person and a bare number that is an age ("a senhora de setenta e nove")."""
_AFTER_AGE = word_set(
    """com ta tava esta que ele ela toma tomando tem anda nao sente reclama e pra ja vive so ficou caiu acordou usa
    quando hipertensa hipertenso diabetica diabetico"""
)
"""Words that may follow such a number; a noun would make it a count of something else."""
_OLDEST_YEARS = 110
_EXPECTING = word_set("de com no")
_EXPECTING_SUBJECT = word_set(
    "barriga barrigao to tou estou tava ta esta eu esposa mulher nora filha cunhada namorada irma"
)
_EXPECTING_MONTHS, _EXPECTING_WEEKS = 9, range(5, 43)
_PREGNANT = re.compile(r"gravid|gesta|gesto|buchuda|prenh")
_OLD_YEARS, _ADULT_YEARS, _CHILD_YEARS = 60, 18, 12
_BABY_MONTHS = 24
_BELOW = 0.5
"""Of a unit: what "menos de três meses" is counted below three."""
_FEVER_LEADS = word_set("com deu marcou marcando bateu batendo chegou temperatura termometro fez")
_FEVER_DEGREES = range(38, 42)
_HOT = word_set("quente quentinho quentinha pelando fervendo febril")
_AFTER_FEVER = word_set("graus grau e desde ontem hoje agora que nao faz ha de ja meio pouco")


def ages_in_months(words: Words) -> list[float]:
    """Ages said ("de dois anos", "com 3 meses"), in months; durations and weeks of pregnancy are not ages."""
    ages = []
    for at, ending in enumerate(words.stems):
        unit = _UNITS.get(ending)
        if unit is None or at == 0:
            continue
        number, first = _number_before(words.words, at)
        if number is not None and _is_age(words.words, first, at):
            below = words.words[max(0, first - 2) : first] == ["menos", "de"]
            ages.append((number - _BELOW if below else number) * unit)
    return [*ages, *_asked_ages(words.words)]


def _asked_ages(words: list[str]) -> list[float]:
    """Ages answered to a question, in months: "quantos meses? — dois"."""
    ages = []
    for at in range(len(words) - 1):
        if words[at] != "quantos" or words[at + 1] not in ("meses", "anos", "dias"):
            continue
        answer = [word for word in words[at + 2 : at + 7] if word not in (BREAK, "ele", "ela", "tem", "fez")]
        if answer and _is_number(answer[0]):
            number, _ = _number_before(answer, 1)
            ages.append((number or 0) * _UNITS[stem(words[at + 1])])
    return ages


def fever_at(words: Words) -> int | None:
    """Position where a temperature of fever is said without the word ("tá com trinta e nove"); None without one."""
    for at in _numbers(words.words):
        following = words.words[at + 1] if at + 1 < len(words.words) else BREAK
        if at == 0 or (following != BREAK and _goes_on(words.words, at)):
            continue
        number, first = _number_before(words.words, at + 1)
        if number not in _FEVER_DEGREES or not _leads_to_fever(words.words, first):
            continue
        beyond = words.words[at + 2] if at + 2 < len(words.words) else BREAK
        if following == BREAK or (following in _AFTER_FEVER and beyond not in _UNITS and beyond != "reais"):
            return at
    return None


def _leads_to_fever(words: list[str], first: int) -> bool:
    """True when the word before position `first`, a pause between them allowed, announces a temperature."""
    before = words[max(0, first - 2) : first]
    if before[-1:] == [BREAK]:
        return before[0] in _HOT
    return before[-1:] != [] and before[-1] in _FEVER_LEADS


def bare_ages_in_months(words: Words) -> list[float]:
    """Ages said without their unit ("meu sogro, setenta e seis", "criança de quatro"), in months."""
    ages = []
    for at in _numbers(words.words):
        following = words.words[at + 1] if at + 1 < len(words.words) else BREAK
        if following != BREAK and (following not in _AFTER_AGE or _goes_on(words.words, at)):
            continue
        number, first = _number_before(words.words, at + 1)
        if number is not None and (who := _whose(words.words, first)):
            fits = number < _CHILD_YEARS if who in _CHILDREN else _OLD_YEARS <= number <= _OLDEST_YEARS
            ages += [number * 12.0] if fits else []
    return ages


def _is_number(word: str) -> bool:
    return word in _NUMERALS or word.isdigit()


def _numbers(words: list[str]) -> list[int]:
    """Positions of the words that are numbers."""
    return [at for at, word in enumerate(words) if _is_number(word)]


def _goes_on(words: list[str], at: int) -> bool:
    """True when the number at `at` is only the beginning of one: "setenta e dois"."""
    return words[at] in _TENS and words[at + 1] == "e" and at + 2 < len(words) and words[at + 2] in _NUMBERS


def _whose(words: list[str], first: int) -> str:
    """The person whose age begins at `first`; empty when none stands right before it."""
    at = first - 1
    if at >= 0 and words[at] not in _OF_AGE and words[at] != BREAK:
        return ""
    while at >= 0 and (words[at] in _OF_AGE or words[at] == BREAK) and first - at <= 3:
        at -= 1
    return words[at] if at >= 0 and words[at] in _CHILDREN | _GROWN else ""


def is_expecting(words: Words) -> bool:
    """True when somebody says how far a pregnancy is without naming it: "tô de cinco meses", "com trinta semanas"."""
    for at, ending in enumerate(words.stems):
        unit = _UNITS.get(ending)
        if unit not in (1.0, 0.25) or at == 0:
            continue
        number, first = _number_before(words.words, at)
        lead = words.words[first - 1] if number is not None and first else ""
        if number is None or lead not in _EXPECTING or "bebe" in words.words or "nenem" in words.words:
            continue
        before = set(words.words[max(0, first - 4) : first - 1])
        goes_on = at + 1 < len(words.words) and words.words[at + 1] in ("de", "com", "sem", "que")
        weeks = unit < 1.0 and number in _EXPECTING_WEEKS
        months = unit == 1.0 and 1 < number <= _EXPECTING_MONTHS and lead == "de"
        if before & _EXPECTING_SUBJECT and not before & _CHILDREN - {"filha"} and not goes_on and (weeks or months):
            return True
    return False


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
        if before not in ("de", "com", "tem"):
            return False
        whose = words[first - 2] if first > 1 else ""
        return whose in _CHILDREN or any(w in ("bebe", "nenem", "nene", "nascido", "nasceu", "rn") for w in words)
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
    ages = [*ages_in_months(words), *bare_ages_in_months(words)]
    if is_expecting(words):
        found.append("gestante")
        ages = ages if _CHILDREN.intersection(words.words) else [months for months in ages if months >= _BABY_MONTHS]
    return list(dict.fromkeys(_with_ages(found, ages)))


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
