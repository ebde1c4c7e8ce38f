"""People's names as they are said at a counter: after words that announce one, after titles, and on their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from privacy.name_lists import NameLists
from privacy.tokens import Span, Token, fold, folded_at, words

Sureness = Literal["any", "capital", "listed", "called"]
"""What an announced word must be to count as a name: any word that is not an everyday one; a listed name or a capital;
a listed name; a listed name with a capital."""

_TITLES: Final = words("dona doutor doutora dr dra senhor senhora sr sra sinhor tia tio vovo")
_PEOPLE: Final = words(
    """filho filha filhinho filhinha marido esposa esposo mulher mae pai avo vo irma irmao neto neta sogra sogro cunhada
    cunhado vizinha vizinho amiga amigo prima primo sobrinha sobrinho namorada namorado noiva noivo bebe paciente moca
    moco atendente farmaceutico farmaceutica cuidadora cuidador colega patroa patrao enfermeira enfermeiro medica medico
    cliente gerente menina menino crianca balconista"""
)
_OPENERS: Final = words("oi ola obrigado obrigada tchau valeu opa dia tarde noite")
_PARTICLES: Final = words("de da do dos das")
_SAINTS: Final = words("santo santa sao ave banho virgem")
_NOT_AFTER_SAINT: Final = words("mole")
_TITLED_BRANDS: Final = words("scholl scholls schol")
_NEVER_ANNOUNCED: Final = words(
    """a o as os e um uma de da do das dos que quem qual esse essa este esta isso isto aquele aquela aqui ai la ja
    nao sim meu minha meus minhas seu sua ele ela eles elas eu voce outro outra outros ninguem todo todos toda
    todas deus jesus senhor senhora dona doutor doutora muito mais bem tudo so tambem ainda com sem em no na
    nos nas pra pro para por pelo pela quando porque mas se ta tem tinha foi era ser igual mesmo mesma dele
    dela dificil facil complicado comum feio bonito grande pequeno estranho completo diferente farmacia
    empresa loja gente familia casa cpf uns algum alguem ontem hoje amanha agora quero queria posso vou vim
    preciso simples comprido longo curto pessoa nome como onde e eh"""
)
"""Folded words that are no name even where one is announced."""
_NAME_TOKENS_MAX: Final = 9


def find_names(text: str, tokens: Sequence[Token], lists: NameLists) -> list[Span]:
    """The names; one pass, every step looks a bounded number of tokens ahead or back."""
    cased = not all(t.text.isupper() for t in tokens if t.is_word)
    spans: list[Span] = []
    index = 0
    while index < len(tokens):
        end = index
        if tokens[index].is_word and _begins_name(tokens, index, lists, cased):
            end = _name_end(tokens, index, lists, cased)
            spans.append(Span(tokens[index].start, tokens[end - 1].end, "NOME"))
        index = max(end, index + 1)
    return spans


def _begins_name(tokens: Sequence[Token], index: int, lists: NameLists, cased: bool) -> bool:
    token = tokens[index]
    if folded_at(tokens, index - 1) in _SAINTS or folded_at(tokens, index + 1) in _NOT_AFTER_SAINT:
        return False
    if lists.is_given(token):
        return True
    if token.folded in lists.never or token.folded in _NEVER_ANNOUNCED:
        return False
    capital = cased and token.capital
    match _announced(tokens, index):
        case "any":
            return len(token.text) > 1
        case "capital":
            return lists.may_be_given(token) or capital
        case "listed":
            return lists.may_be_given(token)
        case "called":
            return lists.may_be_given(token) and (capital or not cased)
    return lists.may_be_given(token) and capital and _named_on(tokens, index, lists)


def _announced(tokens: Sequence[Token], index: int) -> Sureness | None:
    """How surely the words before `index` announce a name."""
    before = [t.text.lower() for t in tokens[max(0, index - 6) : index]]
    folded = [t.folded for t in tokens[max(0, index - 6) : index]]
    while folded and folded[-1] in (":", "."):
        before.pop()
        folded.pop()
    if not folded:
        return None
    return _by_title(tokens[index], folded) or _by_phrase(before, folded) or _by_person(before, folded)


def _by_title(token: Token, folded: list[str]) -> Sureness | None:
    if folded[-1] == "seu":
        return "listed"
    if folded[-1] in _TITLES:
        return None if token.folded in _TITLED_BRANDS else "capital"
    return None


def _by_phrase(before: list[str], folded: list[str]) -> Sureness | None:
    """ "meu nome é", "me chamo", "no nome de", "sou a", "aqui é o", "obrigada,", …"""
    tail = [word for word in before if word != ","]
    match tail[-5:]:
        case [*_, "meu" | "seu", "nome", "é"] | [*_, "me", "chamo"] | [*_, "chamar" | "chama", "de"]:
            return "any"
        case [*_, "nome", "completo"] | [*_, "nome", "completo", "é"] | [*_, "nome", "dele" | "dela", "é"]:
            return "any"
        case [*_, "em" | "no" | "pelo", "nome", "de" | "da" | "do"]:
            return "any"
        case [*_, "sou", "o" | "a"] | [*_, "aqui", "é", "o" | "a"] | [*_, "fala", "é", "o" | "a"]:
            return "capital"
        case [*_, "fala", "é"] | [*_, "aqui", "é"] | [*_, "no", "nome"] | [*_, "eu", "sou"]:
            return "listed"
        case [*_, "nome"] | [*_, "nome", "é"] | [*_, "se", "chama"] | [*_, "criança", "é"] | [*_, "bebê", "é"]:
            return "listed"
    if tail and tail[-1] == "sou":
        return "listed"
    return "called" if tail and fold(tail[-1]) in _OPENERS else None


def _by_person(before: list[str], folded: list[str]) -> Sureness | None:
    """ "minha filha Isabela", "minha mãe, Aparecida", "o paciente é o Luiz"."""
    if folded[-1] in _PEOPLE:
        return "capital"
    tail = folded[-1:] in (["o"], ["a"]) or folded[-1] == ","
    if tail and len(folded) > 1 and folded[-2] in _PEOPLE:
        return "listed"
    if "paciente" in folded[-3:-1] and before[-1] in ("é", "o", "a"):
        return "capital"
    return None


def _named_on(tokens: Sequence[Token], index: int, lists: NameLists) -> bool:
    """Whether a capital that may be a name is followed by a surname, or is called or sent something."""
    following = tokens[index + 1] if index + 1 < len(tokens) else None
    if following is not None and following.capital and lists.is_part(following):
        return True
    before = [t.text.lower() for t in tokens[max(0, index - 2) : index]]
    if before[-1:] in (["a"], ["o"]) and lists.may_be_person(tokens[index]):
        return True
    return before in (["pra", "a"], ["pro", "o"], ["para", "a"], ["para", "o"], ["com", "a"], ["com", "o"]) or (
        before[-1:] in (["pra"], ["pro"], ["chama"])
    )


def _name_end(tokens: Sequence[Token], index: int, lists: NameLists, cased: bool) -> int:
    """One past the last token of the name that begins at `index`."""
    capital = cased and tokens[index].capital
    end = index + 1
    while end < min(len(tokens), index + _NAME_TOKENS_MAX):
        step = 2 if tokens[end].folded in _PARTICLES else 1
        if end + step > len(tokens) or not _continues(tokens[end + step - 1], lists, capital):
            break
        end += step
    return end


def _continues(token: Token, lists: NameLists, capital: bool) -> bool:
    if not token.is_word or token.folded in lists.never:
        return False
    return token.capital if capital else lists.is_part(token)
