"""Reads medicines, complaints and situations out of what was said."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from rapidfuzz.distance import Levenshtein

from cestas.fuzzy import mangled_names
from cestas.intent import calls_for_nothing, is_figure, is_personal
from cestas.knowledge import Complaint
from cestas.lexicon import SOUND_STEM_AT_LEAST, Lexicon
from cestas.matching import Hit
from cestas.model import Entities
from cestas.people import allergic_to, fever_at, situations_of
from cestas.text import BREAK, FILLERS, Words, sound, words_of

_GUESS_AT_LEAST = 2
"""Content words below which nothing is guessed."""
_NEGATORS = frozenset({"nao", "sem", "nem", "nunca", "nenhum", "nenhuma", "nada"})
_UNWANTED = frozenset({"quero", "queria", "gosto", "pode", "posso", "e", "precisa", "preciso", "adianta", "resolve"})
_GRAMMAR_REACH = 3
"""Content words that may stand between a body part and what is said of it."""
_EXPLAINED_BY_INJURY = frozenset({"dor", "vermelho", "ardor", "seco"})
_GRAMMAR_BREAKS = 2
"""Clause ends that may stand between them: "pro joelho. — tá inchado?"."""
_FEVER = "febre"
_TROUBLES = frozenset({"sintoma", "doenca"})
_IN_USE_REACH = 4
"""Words that may stand between "toma" and the medicine."""


@dataclass(frozen=True, slots=True)
class Reading:
    """All that was found in one text, before it is sorted into `Entities`."""

    words: Words
    things: list[Hit]
    troubles: list[Hit]
    denied: list[bool]
    silent: bool
    """True when no phrase of the lexicon was there, not even a denied one."""


@lru_cache(maxsize=64)
def extract(text: str, lexicon: Lexicon) -> Entities:
    """Medicines, symptoms, diseases and situations named in `text`, as canonical names in the order heard.

    A name that speech recognition mangled counts; what is denied ("não é febre") does not. The last few answers are
    remembered, as the gate and the conversation look at the same texts again.
    """
    reading = reading_of(text, lexicon)
    words = reading.words
    products = [hit for hit in reading.things if hit.name in lexicon.products]
    medicines = [
        h for h in products if lexicon.products[h.name].is_medicine or lexicon.products[h.name].kind != "artigo"
    ]
    articles = [hit for hit in products if hit not in medicines and hit.name not in lexicon.not_asked_for]
    asked_for_kind = _of_kind(reading.troubles, "pedido", lexicon)
    allergic = allergic_to(words, sorted([*products, *asked_for_kind], key=lambda h: h.first), lexicon)
    people = situations_of(words, lexicon, reading.denied)
    troubles = _merged(_but_allergies(reading.troubles, allergic), people, lexicon)
    if reading.silent:
        troubles = _guessed(words, lexicon)
    symptoms = _of_kind(troubles, "sintoma", lexicon)
    diseases = _of_kind(troubles, "doenca", lexicon)
    aside = [*allergic, *(hit for hit in medicines if _in_use(words, hit, lexicon) or _unwanted(words, hit))]
    situations = [
        *people,
        *_implied(medicines, diseases, aside, lexicon),
        *_allergies(allergic, lexicon),
    ]
    return Entities(
        medicines=_names(medicines),
        symptoms=_names(symptoms),
        diseases=_names(diseases),
        situations=tuple(dict.fromkeys(situations)),
        evidence=tuple(_quote(words, hit) for hit in _firsts([medicines, symptoms, diseases])),
        articles=_names([*articles, *(hit for hit in asked_for_kind if hit not in allergic)]),
        contexts=_names(_of_kind(reading.troubles, "contexto", lexicon)),
        in_use=_names([hit for hit in medicines if hit in aside]),
    )


@lru_cache(maxsize=64)
def reading_of(text: str, lexicon: Lexicon) -> Reading:
    """What was found in `text`, where it stands in it; the last few answers are remembered."""
    words = words_of(text)
    things = lexicon.things.find(words)
    heard = _as_heard(words, lexicon)
    troubles = lexicon.troubles.find(heard)
    things = _without_repeated_ingredients([t for t in things if not any(_covers(u, t) for u in troubles)], lexicon)
    troubles = [t for t in troubles if not any(_claims(u, t, lexicon) for u in things)]
    taken = _taken(len(words.content), things, troubles)
    things = sorted([*things, *mangled_names(words, taken, lexicon)], key=lambda hit: hit.first)
    taken = _taken(len(words.content), things, troubles)
    injured = any(hit.name in lexicon.grammar.injuries for hit in troubles)
    settled = _taken(len(words.content), things, (hit for hit in troubles if hit.length > 1))
    troubles = [*troubles, *_by_grammar(heard, taken, settled, injured, lexicon), *_by_degrees(words)]
    troubles.sort(key=lambda hit: hit.first)
    denied = _denied(words)
    silent = not (things or troubles)
    figure = is_figure(words)
    said = [
        hit
        for hit in troubles
        if not (denied[hit.first] or answered_no(words, hit) or denied_after(words, hit))
        and not (figure and lexicon.complaints[hit.name].kind in _TROUBLES)
    ]
    return Reading(words, things, _narrowed(said, lexicon), denied, silent)


def answered_no(words: Words, hit: Hit) -> bool:
    """ "tosse seca? — não, com catarro", "tem febre, sangue? — não": asked about and denied in the next turn."""
    at = words.content[hit.last] + 1
    asked = [i for i in range(at, min(at + _ASKED_REACH, len(words.words))) if words.quote(i, i) == "?"]
    if not asked:
        return False
    at = asked[0]
    while at < len(words.words) and words.words[at] == BREAK:
        at += 1
    return words.words[at : at + 2] in (["nao", BREAK], ["nao"])


_ASKED_REACH = 3
"""Words from the end of what is asked about to its question mark: another thing may be asked in the same breath."""


def denied_after(words: Words, hit: Hit) -> bool:
    """ "tô suando frio não, é só garganta", "febre ele não teve": denied at the end of its clause."""
    at = words.content[hit.last] + 1
    while words.words[at : at + 1] and words.words[at] in _SUBJECTS:
        at += 1
    if words.words[at : at + 1] != ["nao"]:
        return False
    at += 1
    if words.words[at : at + 1] and words.words[at] in _HAVING:
        at += 2 if words.words[at + 1 : at + 2] == ["nao"] else 1
    return at == len(words.words) or (words.words[at] == BREAK and words.quote(at, at) != "?")


_SUBJECTS = frozenset({"ele", "ela", "eles", "elas", "eu"})
_HAVING = frozenset({"tem", "teve", "tive", "tenho", "tinha", "deu", "sinto", "sente", "senti", "sentiu", "apareceu"})


def _narrowed(troubles: list[Hit], lexicon: Lexicon) -> list[Hit]:
    """`troubles` without the general ones that a more specific one includes ("dor" beside "dor de dente")."""
    grammar = lexicon.grammar
    implied = {general for hit in troubles for general in grammar.wider.get(hit.name, ())}
    return [hit for hit in troubles if hit.name not in implied]


def _merged(troubles: list[Hit], situations: list[str], lexicon: Lexicon) -> list[Hit]:
    """Complaints that together, or of this person, are called something else ("cólica" of a baby)."""
    named = {hit.name for hit in troubles} | set(situations)
    for parts, name in lexicon.grammar.merged:
        if parts <= named:
            troubles = [Hit(name, hit.first, hit.last) if hit.name in parts else hit for hit in troubles]
    return _narrowed(troubles, lexicon)


def _as_heard(words: Words, lexicon: Lexicon) -> Words:
    """`words` with misspelt words of complaints put right by their sound ("cabesa" → "cabeca")."""
    stems = [_put_right(word, stem, lexicon) for word, stem in zip(words.words, words.stems, strict=True)]
    if stems == words.stems:
        return words
    return Words(words.text, words.words, stems, words.spans, words.content)


def _put_right(word: str, stem: str, lexicon: Lexicon) -> str:
    if len(stem) < SOUND_STEM_AT_LEAST or stem in lexicon.known_stems or word in FILLERS or word in lexicon.everyday:
        return stem
    likely = lexicon.trouble_sounds.get(sound(stem))
    alike = likely is not None and (likely[0] == stem[0] or {likely[0], stem[0]} in _SAID_ALIKE)
    if likely is None or not alike or Levenshtein.distance(likely, stem) > 1:
        return stem
    return likely


_SAID_ALIKE = ({"e", "i"}, {"o", "u"})
"""First letters that sound alike where the stress is elsewhere: "istufada", "intupido"."""


def _covers(one: Hit, other: Hit) -> bool:
    """True when `one` is the longer reading of the words of `other`."""
    return one.length > other.length and one.first <= other.last and other.first <= one.last


def _claims(thing: Hit, trouble: Hit, lexicon: Lexicon) -> bool:
    """True when the words of `trouble` are part of a product's name; an article for a complaint still tells it."""
    if trouble.first > thing.last or thing.first > trouble.last or thing.length < trouble.length:
        return False
    return thing.length == trouble.length or lexicon.products[thing.name].kind != "artigo" or trouble.length > 1


def _without_repeated_ingredients(things: list[Hit], lexicon: Lexicon) -> list[Hit]:
    """Without the ingredient said beside its brand ("insulina Lantus")."""
    products = lexicon.products

    def repeats(hit: Hit, other: Hit) -> bool:
        one, brand = products[hit.name], products[other.name]
        beside = other.first - hit.last == 1 or hit.first - other.last == 1
        return beside and one.kind == "ingrediente" and brand.kind == "marca" and one.main_class == brand.main_class

    return [hit for hit in things if not any(repeats(hit, other) for other in things)]


def _taken(size: int, *groups: Iterable[Hit]) -> list[bool]:
    taken = [False] * size
    for group in groups:
        for hit in group:
            taken[hit.first : hit.last + 1] = [True] * hit.length
    return taken


def _by_grammar(words: Words, taken: list[bool], settled: list[bool], injured: bool, lexicon: Lexicon) -> list[Hit]:
    """Complaints said of a body part in words that no phrase foresaw: "o joelho voltou a doer".

    An injury that was named explains pain, swelling and redness by itself. `taken` are the content words of all phrases
    found, `settled` those of phrases of several words: "coçando" alone may still be said of the eye in "olho vermelho".
    """
    grammar = lexicon.grammar
    parts = grammar.parts.find(words)
    parts = [*parts[:1], *(part for part in parts[1:] if not _reached(words, part))]
    if not parts:
        return []
    hits: list[Hit] = []
    for said in grammar.complaints.find(words):
        if injured and said.name in _EXPLAINED_BY_INJURY:
            continue
        near = [part for part in parts if _related(words, part, said, taken, settled)]
        near.sort(key=lambda part: min(abs(part.first - said.last), abs(said.first - part.last)))
        for part in near:
            name = grammar.names.get((part.name, said.name))
            if name is not None:
                hits.append(Hit(name, min(part.first, said.first), max(part.last, said.last)))
                break
    return hits


def _reached(words: Words, part: Hit) -> bool:
    """True when what another part has only reaches `part`: "o dente dói até o ouvido", "desce pro pescoço"."""
    at = words.content[part.first]
    before = words.words[max(0, at - 3) : at]
    return "ate" in before or any(one in _SPREADS and to in _TOWARDS for one, to in pairwise(before))


_SPREADS = frozenset({"desce", "desceu", "descendo", "corre", "irradia", "irradiando", "sobe", "subindo", "foi", "vai"})
_TOWARDS = frozenset({"pra", "pro", "pras", "pros", "para", "no", "na", "pelo", "pela"})


def _by_degrees(words: Words) -> list[Hit]:
    """Fever said as a temperature: "tá com trinta e nove"."""
    at = fever_at(words)
    if at is None or at not in words.content:
        return []
    place = words.content.index(at)
    return [Hit(_FEVER, place, place)]


def _related(words: Words, part: Hit, said: Hit, taken: list[bool], settled: list[bool]) -> bool:
    first, last = min(part.last, said.last), max(part.first, said.first)
    if last - first > _GRAMMAR_REACH + 1 or last <= first:
        return False
    if all(taken[part.first : part.last + 1]) and all(settled[said.first : said.last + 1]):
        return False
    return sum(words.stems[words.content[i]] == BREAK for i in range(first, last)) <= _GRAMMAR_BREAKS


def _denied(words: Words) -> list[bool]:
    """For each content word, whether a negation stands right before it."""
    denied = [False] * len(words.content)
    for i in range(1, len(words.content)):
        previous = words.words[words.content[i - 1]]
        denied[i] = previous in _NEGATORS and words.words[words.content[i]] != BREAK
    for i in range(2, len(words.content)):
        two_back = words.words[words.content[i - 2]]
        denied[i] = denied[i] or (two_back in ("nao", "nem") and words.words[words.content[i - 1]] in _LINKS)
    return denied


_LINKS = frozenset({"sente", "apresenta", "dor", "senti", "parece", "seja"})


def _of_kind(hits: list[Hit], kind: str, lexicon: Lexicon) -> list[Hit]:
    return [hit for hit in hits if _complaint(hit, lexicon).kind == kind]


def _complaint(hit: Hit, lexicon: Lexicon) -> Complaint:
    return lexicon.complaints[hit.name]


def _in_use(words: Words, hit: Hit, lexicon: Lexicon) -> bool:
    at = words.content[hit.first]
    before = words.words[max(0, at - _IN_USE_REACH) : at]
    if BREAK in before:
        before = before[len(before) - before[::-1].index(BREAK) :]
    return any(word in lexicon.people.in_use for word in before)


def _unwanted(words: Words, hit: Hit) -> bool:
    """ "não quero dipirona", "sem ser dorflex": named, but not asked for."""
    at = words.content[hit.first]
    before = words.words[max(0, at - 4) : at]
    if "sem" in before and "ser" in before:
        return True
    return any(before[i] == "nao" and before[i + 1] in _UNWANTED for i in range(len(before) - 1))


def _implied(medicines: list[Hit], diseases: list[Hit], aside: list[Hit], lexicon: Lexicon) -> list[str]:
    """Situations that a named disease or medicine says of the person."""
    implied = [lexicon.people.by_disease[hit.name] for hit in diseases if hit.name in lexicon.people.by_disease]
    for hit in medicines:
        for name in sorted(lexicon.products[hit.name].classes):
            known = lexicon.classes.get(name)
            if known is not None and known.situation:
                implied.append(known.situation)
    return implied


def _guessed(words: Words, lexicon: Lexicon) -> list[Hit]:
    """The complaint that the whole text resembles most, where nothing was named and nothing else explains it."""
    if len(words.content) < _GUESS_AT_LEAST or calls_for_nothing(words):
        return []
    name = lexicon.guesser.guess(words) or _usual(words, lexicon)
    return [Hit(name, 0, len(words.content) - 1)] if name in lexicon.complaints else []


def _usual(words: Words, lexicon: Lexicon) -> str:
    """What somebody usually has who speaks of a body part of their own: "meu dente do fundo não me deixa em paz"."""
    if not is_personal(words):
        return ""
    names = [lexicon.grammar.usual.get(part.name, "") for part in lexicon.grammar.parts.find(words)]
    return next(filter(None, names), "")


def _but_allergies(troubles: list[Hit], allergic: list[Hit]) -> list[Hit]:
    """Without the allergy to a medicine: it is a situation, not what they came for."""
    return [hit for hit in troubles if hit.name != "alergia" or not allergic]


def _allergies(allergic: list[Hit], lexicon: Lexicon) -> list[str]:
    found = []
    for hit in allergic:
        product = lexicon.products.get(hit.name)
        names = product.ingredients if product is not None else (hit.name.replace("anti-inflamatorio", "aine"),)
        found += [f"alergia:{name}" for name in names]
    return found


def _names(hits: list[Hit]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(hit.name for hit in hits))


def _firsts(groups: list[list[Hit]]) -> list[Hit]:
    """Of each group, the first hit of each name."""
    firsts: list[Hit] = []
    for group in groups:
        seen: set[str] = set()
        for hit in group:
            if hit.name not in seen:
                seen.add(hit.name)
                firsts.append(hit)
    return firsts


def _quote(words: Words, hit: Hit) -> str:
    return words.quote(words.content[hit.first], words.content[hit.last])
