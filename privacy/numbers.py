"""Runs of digits, written or spoken, however they are grouped: long ones identify somebody, short ones are doses."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from privacy.documents import kind_of
from privacy.tokens import Span, Token, folded_at, in_order, words

LONG_RUN_DIGITS: Final = 8
"""From this many digits on a run is redacted, whatever it is: no dose, price or age has as many."""
CUED_RUN_DIGITS: Final = 4
"""From this many digits on a run is redacted where the words before it say what it is: "meu CPF é 529 982 …"."""

_UNITS: Final = dict(zip(in_order("zero um dois tres quatro cinco seis sete oito nove"), "0123456789", strict=True)) | {
    "uma": "1",
    "duas": "2",
    "meia": "6",
    "zeros": "0",
    "setes": "7",
    "oitos": "8",
    "noves": "9",
    "cincos": "5",
    "quatros": "4",
}
_TEENS: Final = {
    word: str(10 + n)
    for n, said in enumerate(
        in_order(
            "dez onze doze treze quatorze|catorze quinze dezesseis|dezasseis dezessete|dezassete dezoito "
            "dezenove|dezanove"
        )
    )
    for word in said.split("|")
}
_TENS: Final = dict(
    zip(in_order("vinte trinta quarenta cinquenta sessenta setenta oitenta noventa"), "23456789", strict=True)
)
_HUNDREDS: Final = dict(
    zip(
        in_order("cento duzentos trezentos quatrocentos quinhentos seiscentos setecentos oitocentos novecentos"),
        "123456789",
        strict=True,
    )
) | {"cem": "1", "duzentas": "2", "trezentas": "3", "quatrocentas": "4", "quinhentas": "5"}
NUMBER_WORDS: Final = frozenset((*_UNITS, *_TEENS, *_TENS, *_HUNDREDS, "mil"))
"""Folded words that say a number."""

_FILLERS: Final = words(
    "e eh ah hum hm ham ha hein ai ta ne ponto traco tracinho hifen barra espaco virgula entao depois final dai digito"
)
"""Words said between the digits of one number, folded ("é" reads as "e")."""
_FILLERS_MAX: Final = 3
_SENTENCE_ENDS: Final = frozenset("?!")
_CUES: Final = {
    "cpf": "CPF",
    "cnpj": "CNPJ",
    "telefone": "TELEFONE",
    "telefones": "TELEFONE",
    "celular": "TELEFONE",
    "zap": "TELEFONE",
    "zapzap": "TELEFONE",
    "whatsapp": "TELEFONE",
    "whats": "TELEFONE",
    "wpp": "TELEFONE",
    "fixo": "TELEFONE",
    "ddd": "TELEFONE",
    "recado": "TELEFONE",
    "liga": "TELEFONE",
    "ligar": "TELEFONE",
    "cartao": "CARTAO",
    "credito": "CARTAO",
    "debito": "CARTAO",
    "cep": "CEP",
    "postal": "CEP",
    "nasci": "DATA",
    "nascida": "DATA",
    "nascido": "DATA",
    "nascimento": "DATA",
    "crm": "NUMERO",
    "crf": "NUMERO",
    "rg": "NUMERO",
    "identidade": "NUMERO",
    "sus": "NUMERO",
    "cns": "NUMERO",
    "carteirinha": "NUMERO",
    "matricula": "NUMERO",
    "protocolo": "NUMERO",
    "pedido": "NUMERO",
    "receita": "NUMERO",
    "registro": "NUMERO",
    "barras": "NUMERO",
    "codigo": "NUMERO",
    "senha": "NUMERO",
}
_SHORT_CUES: Final = words(
    "cpf cnpj telefone celular zap whatsapp whats wpp cep postal rg identidade crm crf nasci nascida nascido nascimento"
)
"""Cues after which a run of CUED_RUN_DIGITS is redacted already."""
_TIMES_OR_PRICES: Final = re.compile(
    r"(?:[01]?\d|2[0-3]):[0-5]\d(?:(?:,? e |,? )(?:[01]?\d|2[0-3]):[0-5]\d){0,20}"
    r"|\d{1,3},\d{2}(?:(?:,? e |,? )\d{1,3},\d{2}){0,20}"
)
_UNITS_OF_AMOUNTS: Final = words(
    """mg miligrama miligramas mcg micrograma microgramas g grama gramas kg quilo quilos ml mililitro mililitros litro
    litros ui unidade unidades comprimido comprimidos capsula capsulas gota gotas real reais centavo centavos dia dias
    hora horas ano anos caixa caixas cartela cartelas vezes dose doses"""
)
AMOUNT_MAX: Final = 9999
"""Larger numbers in a row are no list of doses."""
_CUE_WORDS_BEFORE: Final = 6
_CUE_WORDS_BEFORE_SHORT: Final = 4
_CUE_WORDS_AFTER: Final = 5


@dataclass(frozen=True, slots=True)
class Run:
    """A run of digits: its tokens (`end` exclusive) and the numbers that it says."""

    start: int
    end: int
    groups: tuple[str, ...]
    """The numbers as they are said: "cento e onze, 2" is 111 and 2."""

    @property
    def digits(self) -> str:
        """All digits, in order."""
        return "".join(self.groups)


def runs_of(tokens: Sequence[Token]) -> list[Run]:
    """Every run of written or spoken digits; one pass."""
    runs: list[Run] = []
    index = 0
    while index < len(tokens):
        if not is_number(tokens[index]):
            index += 1
            continue
        numbers = [index]
        while (following := _next_number(tokens, numbers[-1])) is not None:
            numbers.append(following)
        runs.append(Run(index, numbers[-1] + 1, _groups(tokens, numbers)))
        index = numbers[-1] + 1
    return runs


def is_number(token: Token) -> bool:
    """Whether a token is digits or says a number."""
    return token.is_digits or token.folded in NUMBER_WORDS


def find_numbers(text: str, tokens: Sequence[Token], runs: Sequence[Run], continued: int = 0) -> list[Span]:
    """The runs that identify somebody. `continued` digits of the first one were said at the end of the text before."""
    spans = []
    for run in runs:
        start, end = tokens[run.start].start, tokens[run.end - 1].end
        cue, near = _cue(tokens, run)
        before = continued if run is runs[0] and begins(tokens, run) and not _counts(tokens, run) else 0
        kind = kind_of(run.digits, text[start:end], cue)
        told = near and len(run.digits) >= CUED_RUN_DIGITS
        if _is_list(text, tokens, run):
            continue
        if len(run.digits) + before >= LONG_RUN_DIGITS or told or kind == "DATA":
            spans.append(Span(_opening(tokens, run.start), end, kind))
    return spans


def begins(tokens: Sequence[Token], run: Run) -> bool:
    """Whether the text begins with this run, but for fillers."""
    return all(t.folded in _FILLERS or not t.is_word for t in tokens[: run.start])


def ends(tokens: Sequence[Token], run: Run) -> bool:
    """Whether the text ends with this run, but for fillers."""
    return all(t.folded in _FILLERS or not t.is_word for t in tokens[run.end :])


def _is_list(text: str, tokens: Sequence[Token], run: Run) -> bool:
    """Whether the run is a list of times, of prices, or of growing amounts right before their unit."""
    if _TIMES_OR_PRICES.fullmatch(text, tokens[run.start].start, tokens[run.end - 1].end):
        return True
    unit = folded_at(tokens, run.end)
    amounts = [int(said) for said in run.groups]
    growing = all(one < other for one, other in pairwise(amounts))
    return unit in _UNITS_OF_AMOUNTS and growing and max(amounts) <= AMOUNT_MAX


def _counts(tokens: Sequence[Token], run: Run) -> bool:
    """Whether the run says how many of something there are: "30 comprimidos", "uma dipirona"."""
    return run.end < len(tokens) and tokens[run.end].is_word and tokens[run.end].folded not in _FILLERS


def _next_number(tokens: Sequence[Token], index: int) -> int | None:
    """The next number of the same run: between two there may be signs and a few fillers."""
    fillers = 0
    for following in range(index + 1, min(len(tokens), index + 9)):
        token = tokens[following]
        if is_number(token):
            return following
        if token.is_word:
            fillers += 1
            if token.folded not in _FILLERS or fillers > _FILLERS_MAX:
                return None
        elif token.text in _SENTENCE_ENDS:
            return None
    return None


def _groups(tokens: Sequence[Token], numbers: Sequence[int]) -> tuple[str, ...]:
    """The numbers that the tokens say: "trezentos e quarenta e sete" is 347, "vinte um" is 20 and 1."""
    said: list[str] = []
    open_places = 0  # how many of the last digits are zeros that the next word may still fill
    for place, index in enumerate(numbers):
        joined = place > 0 and _joined(tokens, numbers[place - 1], index)
        digits, leaves = _value(tokens[index])
        if tokens[index].folded == "mil":
            if place > 0 and index == numbers[place - 1] + 1:
                said[-1] += "000"
            else:
                said.append("1000")
        elif joined and 0 < len(digits) <= open_places:
            said[-1] = said[-1][: -len(digits)] + digits
        else:
            said.append(digits)
        open_places = leaves
    return tuple(said)


def _value(token: Token) -> tuple[str, int]:
    """The digits of one token, and how many of its zeros a following word may fill."""
    word = token.folded
    if token.is_digits:
        return token.text, 0
    if word == "mil":
        return "", 3
    if word in _HUNDREDS:
        return _HUNDREDS[word] + "00", 2
    if word in _TENS:
        return _TENS[word] + "0", 1
    return _UNITS.get(word) or _TEENS.get(word, ""), 0


def _joined(tokens: Sequence[Token], before: int, index: int) -> bool:
    """Whether two numbers are said as one: "vinte e um", "mil novecentos"."""
    if index == before + 1:
        return tokens[before].folded == "mil"
    return index == before + 2 and tokens[before + 1].text.lower() == "e"


def _opening(tokens: Sequence[Token], first: int) -> int:
    """Where the run begins, with a bracket or a plus before it."""
    while folded_at(tokens, first - 1) in ("(", "+"):
        first -= 1
    return tokens[first].start


def _cue(tokens: Sequence[Token], run: Run) -> tuple[str, bool]:
    """The kind that the words beside a run name, and whether they name it right before it."""
    seen = 0
    for index in range(run.start - 1, max(-1, run.start - 16), -1):
        if not tokens[index].is_word:
            continue
        seen += 1
        kind = _CUES.get(tokens[index].folded)
        if kind is not None and seen <= _CUE_WORDS_BEFORE:
            near = seen <= _CUE_WORDS_BEFORE_SHORT and tokens[index].folded in _SHORT_CUES
            return kind, near
    after = [t.folded for t in tokens[run.end : run.end + 8] if t.is_word][:_CUE_WORDS_AFTER]
    return next((_CUES[word] for word in after if word in _CUES), ""), False
