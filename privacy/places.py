"""Postal addresses as people say them: "rua das Acácias, 120, apto 32", "bairro Boa Vista", "bloco B"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from privacy.numbers import is_number
from privacy.tokens import Span, Token, folded_at, words

_STREETS: Final = words("rua avenida av travessa alameda praca estrada rodovia largo viela ladeira beco")
_DISTRICTS: Final = words(
    "bairro vila jardim parque conjunto residencial condominio edificio loteamento sitio chacara fazenda povoado"
)
_UNITS: Final = words("apartamento apto ap bloco quadra sala andar torre sqn sqs sqsw sqnw")
_COMPLEMENTS: Final = _UNITS | words("casa lote conjunto conj fundos bairro km quilometro")
_PARTICLES: Final = words("de da do das dos")
_NUMBER_SIGNS: Final = words("numero nº n° n no num quilometro km")
_LOCATING: Final = words(
    """moro mora moram moramos morava fica ficam endereco entrega entregar entregue entregam mandar manda mando resido
    minha rua vem buscar"""
)
_STOPS: Final = words(
    """e em que eh tem com sem perto ai la aqui ta todo toda inteiro inteira mesmo faz esta tava estava passando fui eu
    ele ela voce o a os as um uma no na nos nas pra para pro por ate muito muita quando porque mas ou longe cheio cheia
    pode vou vai ali agora ainda ontem hoje de da do cep telefone celular cpf email numero apartamento apto ap bloco
    casa quadra lote sala bairro onde como tambem so ja se foi era sao nao sim"""
)
"""Words that end a place's name said in small letters (folded)."""
_ORDINALS: Final = words("primeiro segundo terceiro quarto quinto sexto")
_NAME_WORDS_MAX: Final = 6
_LOOK_BACK_WORDS: Final = 5


def find_places(text: str, tokens: Sequence[Token]) -> list[Span]:
    """The addresses; one pass, every step looks a bounded number of tokens ahead or back."""
    cased = not all(token.text.isupper() for token in tokens if token.is_word)
    spans: list[Span] = []
    index = 0
    while index < len(tokens):
        end = _street(tokens, index, cased) or _district(tokens, index, cased) or _unit(tokens, index)
        if end:
            end = _with_complements(tokens, end, cased)
            spans.append(Span(tokens[index].start, tokens[end - 1].end, "ENDERECO"))
        index = end or index + 1
    return spans


def _street(tokens: Sequence[Token], index: int, cased: bool) -> int:
    """One past the street that begins at `index`, with its number; 0 where none does."""
    kind = tokens[index].folded
    short = kind == "r" and folded_at(tokens, index + 1) == "." and (tokens[index].capital or _located(tokens, index))
    if kind not in _STREETS and not short:
        return 0
    begin = index + 1 + (folded_at(tokens, index + 1) == "." and kind in ("r", "av"))
    if folded_at(tokens, begin) in _STREETS:
        return 0
    name_end = _name(tokens, begin, cased)
    if name_end == begin:
        return 0
    end = _house_number(tokens, name_end)
    named = cased and any(t.capital for t in tokens[begin:name_end])
    return end if named or end > name_end or _located(tokens, index) else 0


def _name(tokens: Sequence[Token], begin: int, cased: bool) -> int:
    """One past the name that begins at `begin`: capitals and particles where there are any, else up to a stop."""
    after = begin
    limit = min(len(tokens), begin + _NAME_WORDS_MAX)
    capitals = cased and any(t.capital for t in tokens[begin : begin + 2])
    while after < limit:
        token = tokens[after]
        joins = token.folded in _PARTICLES and after + 1 < limit and _may_name(tokens[after + 1], capitals, True)
        if not (joins or _may_name(token, capitals, after == begin)):
            break
        after += 1
    return after


def _may_name(token: Token, capitals: bool, first: bool) -> bool:
    if token.is_digits:
        return first
    if first and token.text.lower() == "são":
        return True
    if capitals:
        return token.is_word and (token.capital or (token.folded in _ORDINALS and not first))
    return token.is_word and token.folded not in _STOPS and not (is_number(token) and not first)


def _house_number(tokens: Sequence[Token], after: int) -> int:
    """One past the house's number, if one stands at `after`; otherwise `after`."""
    index = after + (folded_at(tokens, after) == ",")
    if folded_at(tokens, index) in _NUMBER_SIGNS:
        index += 1 + (folded_at(tokens, index + 1) in (".", "º", "°"))
    end = index
    while end < min(len(tokens), index + 7) and (is_number(tokens[end]) or _inside_number(tokens, end, index)):
        end += 1
    return end if end > index else after


def _inside_number(tokens: Sequence[Token], index: int, begin: int) -> bool:
    """Whether an "e" or a point joins two parts of a number."""
    joins = tokens[index].text.lower() == "e" or tokens[index].text == "."
    return joins and index > begin and index + 1 < len(tokens) and is_number(tokens[index + 1])


def _district(tokens: Sequence[Token], index: int, cased: bool) -> int:
    """One past the district or building that begins at `index`; 0 where none does."""
    if tokens[index].folded not in _DISTRICTS:
        return 0
    end = _name(tokens, index + 1, cased)
    named = cased and end > index + 1 and any(t.capital for t in tokens[index + 1 : end])
    return end if end > index + 1 and (named or _located(tokens, index)) else 0


def _unit(tokens: Sequence[Token], index: int) -> int:
    """One past a flat, block or lot with its number or letter; 0 where none is."""
    if tokens[index].folded not in _UNITS:
        return 0
    return _marked(tokens, index)


def _marked(tokens: Sequence[Token], index: int) -> int:
    """One past the number or letter that marks the unit at `index`; 0 where none does."""
    begin = index + 1 + (folded_at(tokens, index + 1) == ".")
    end = _house_number(tokens, begin)
    if end > begin:
        return end
    letter = folded_at(tokens, begin)
    if len(letter) == 1 and letter.isalpha() and (letter not in "aeo" or tokens[begin].capital):
        return begin + 1
    return 0


def _with_complements(tokens: Sequence[Token], end: int, cased: bool) -> int:
    """One past the flat, block, district, … that go on at `end`."""
    while True:
        index = end
        while folded_at(tokens, index) in (",", "-", "–", "/") or folded_at(tokens, index) in ("e", "no", "na"):
            index += 1
            if index - end > 2:
                return end
        if folded_at(tokens, index) not in _COMPLEMENTS and folded_at(tokens, index) not in _DISTRICTS:
            dashed = folded_at(tokens, end) in ("-", "–") and cased and index < len(tokens) and tokens[index].capital
            return _name(tokens, index, cased) if dashed else end
        further = _district(tokens, index, cased) or _marked(tokens, index) or _house_behind(tokens, index)
        if not further and folded_at(tokens, index) in _DISTRICTS:
            name_end = _name(tokens, index + 1, cased)
            further = name_end if name_end > index + 1 else 0
        if not further:
            return end
        end = further


def _house_behind(tokens: Sequence[Token], index: int) -> int:
    """ "casa dos fundos", "fundos"."""
    if folded_at(tokens, index) == "fundos":
        return index + 1
    behind = [folded_at(tokens, index + n) for n in range(3)]
    return index + 3 if behind in (["casa", "dos", "fundos"], ["casa", "de", "tras"]) else 0


def _located(tokens: Sequence[Token], index: int) -> bool:
    """Whether the words before `index` say that a place follows."""
    before = [t.folded for t in tokens[max(0, index - _LOOK_BACK_WORDS) : index] if t.is_word]
    if _LOCATING & set(before):
        return True
    pair = [t.text.lower() for t in tokens[max(0, index - 2) : index]]
    return pair in (["é", "na"], ["é", "no"], ["sou", "da"], ["sou", "do"])
