"""The last word on every suggestion: what must not be offered to this person, and when the pharmacist is called."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from cestas.catalogue import Catalogue
from cestas.entities import answered_no, extract
from cestas.knowledge import Product
from cestas.lexicon import Lexicon
from cestas.matching import PhraseBook
from cestas.model import Block, Entities, Item
from cestas.needs import Named, Need, lacking, named, need_of
from cestas.speak import is_alarming
from cestas.text import Words, word_set, words_of

AT_MOST = 3
"""Items in one suggestion: what an attendant can say and a customer can remember."""

STATUS_RULE = "G-DISPENSACAO"
UNKNOWN_RULE = "G-DESCONHECIDO"
DUPLICATE_RULE = "G-DUPLICIDADE"
CLASS_RULE = "G-MESMA-CLASSE"
ALLERGY_RULE = "G-ALERGIA"
ALERT_RULE = "G-BANDEIRA"


@dataclass(frozen=True, slots=True)
class SafetyVerdict:
    """What may be shown, what was held back and by which rule, and the sentence for the attendant on a red flag."""

    items: tuple[Item, ...]
    blocked: tuple[Block, ...]
    alert: str = ""


@dataclass(frozen=True, slots=True)
class Rule:
    """A contraindication: for whom or with what it applies, and what it then holds back."""

    id: str
    severity: str
    source: str
    reason: str
    situations: frozenset[str]
    with_classes: frozenset[str]
    with_ingredients: frozenset[str]
    with_complaints: frozenset[str]
    block_classes: frozenset[str]
    block_ingredients: frozenset[str]
    except_ingredients: frozenset[str]

    def triggers(self) -> list[str]:
        """Whatever makes the rule apply, one of which is enough."""
        kinds = (
            ("s", self.situations),
            ("c", self.with_classes),
            ("i", self.with_ingredients),
            ("q", self.with_complaints),
        )
        return [_trigger(kind, name) for kind, names in kinds for name in names]

    def forbids(self, ingredients: frozenset[str], classes: frozenset[str]) -> bool:
        """True when something of these contents is what the rule holds back."""
        if ingredients and ingredients <= self.except_ingredients:
            return False
        return bool(self.block_classes & classes or self.block_ingredients & ingredients)


@dataclass(frozen=True, slots=True)
class RedFlag:
    """Words (`Gate.phrases`), or a complaint in a situation, that call for the pharmacist, not a product."""

    id: str
    source: str
    alert: str
    together: tuple[frozenset[str], ...]
    """Sets of phrases of `Gate.parts`, all of which must be said, in any order."""
    all_of: tuple[tuple[frozenset[str], frozenset[str]], ...]
    """Pairs (complaints, situations): one of each must have been named; empty situations mean anybody."""

    def triggers(self) -> list[str]:
        """Its id, the parts and the complaints of which it needs one at least."""
        parts = (_trigger("p", part) for group in self.together for part in group)
        return [self.id, *parts, *(_trigger("q", name) for names, _ in self.all_of for name in names)]


@dataclass(frozen=True, slots=True)
class _Known:
    """What counts of a customer; what somebody is allergic to is neither bought nor taken."""

    situations: frozenset[str]
    ingredients: frozenset[str]
    classes: frozenset[str]
    complaints: frozenset[str]
    allergies: frozenset[str]
    """Ingredients and classes that somebody reacts to, with all classes of the products named so."""

    def by_kind(self) -> tuple[tuple[str, frozenset[str]], ...]:
        """Everything that a rule may apply to, by the kind of its trigger."""
        return (("s", self.situations), ("c", self.classes), ("i", self.ingredients), ("q", self.complaints))


@dataclass(frozen=True, slots=True)
class Gate:
    """The rules, needs and red flags of `safety.json`."""

    rules: tuple[Rule, ...]
    flags: tuple[RedFlag, ...]
    needs: tuple[Need, ...]
    phrases: PhraseBook
    """Words that raise a flag → the flag's id."""
    literal: PhraseBook
    """Words that raise a flag only as they stand ("dor muito forte na barriga")."""
    parts: PhraseBook
    """Words that raise a flag together with others, as themselves."""
    triggers: Mapping[str, frozenset[int]]
    """What a rule applies to (`_trigger` of a situation, class, ingredient, complaint) → places in `rules`."""
    raised_by: Mapping[str, frozenset[int]]
    """An id of a flag, a part (`_trigger`) or a complaint → places in `flags` of those that it may raise."""

    def applying(self, known: _Known) -> list[Rule]:
        """The rules that the person, what they take or what they complain of meets, in their order."""
        places: set[int] = set()
        for kind, names in known.by_kind():
            for name in names:
                places |= self.triggers.get(_trigger(kind, name), _NONE)
        return [self.rules[place] for place in sorted(places)]

    def likely(self, raised: Set[str], parts: Set[str], known: _Known) -> list[RedFlag]:
        """The flags that may be up, in their order: every other one names nothing that was said."""
        keys = (*raised, *(_trigger("p", part) for part in parts), *(_trigger("q", name) for name in known.complaints))
        places = {place for key in keys for place in self.raised_by.get(key, _NONE)}
        return [self.flags[place] for place in sorted(places)]


_NONE: frozenset[int] = frozenset()


def _trigger(kind: str, name: str) -> str:
    return f"{kind}:{name}"


def _places(keys: Sequence[Iterable[str]]) -> dict[str, frozenset[int]]:
    """Each key → the positions of those that have it."""
    found: dict[str, set[int]] = {}
    for place, mine in enumerate(keys):
        for key in mine:
            found.setdefault(key, set()).add(place)
    return {key: frozenset(places) for key, places in found.items()}


def check(
    items: Sequence[Item],
    entities: Entities,
    lexicon: Lexicon,
    catalogue: Catalogue,
    text: str = "",
    context: Sequence[str] = (),
) -> SafetyVerdict:
    """Decide on `items` for the person of `entities`, `text` and `context` (earlier texts of the same customer).

    Deterministic and last, after every advisor. At most `AT_MOST` items pass, each of another role; every other rule's
    block is listed. A red flag in any of the texts leaves no item and fills `alert`. A medicine needs a complaint or a
    request among what was said; without any text (nobody was heard) only the contraindications count.
    """
    gate = gate_of(lexicon)
    texts = tuple(said for said in (text, *context) if said)
    parts = [entities, *(extract(said, lexicon) for said in texts)]
    known = _known(parts, lexicon)
    alert = _alert(gate, known, texts) or _alarm(texts, lexicon)
    if alert:
        return SafetyVerdict((), tuple(Block(item.id, ALERT_RULE) for item in items), alert)
    kept: list[Item] = []
    blocked: list[Block] = []
    applying = gate.applying(known)
    wanted = named(parts, texts, lexicon) if texts else None
    for item in items:
        rule_id = _blocking(item, known, applying, lexicon) or _needless(item, wanted, gate, lexicon)
        if rule_id:
            blocked.append(Block(item.id, rule_id))
        else:
            kept.append(item)
    return SafetyVerdict(_choose(kept, catalogue, lexicon), tuple(blocked))


def _known(parts: Iterable[Entities], lexicon: Lexicon) -> _Known:
    situations: set[str] = set()
    names: set[str] = set()
    complaints: set[str] = set()
    for part in parts:
        situations.update(part.situations)
        names.update((*part.medicines, *part.articles))
        complaints.update((*part.symptoms, *part.diseases))
    situations.update(lexicon.people.by_disease[name] for name in complaints if name in lexicon.people.by_disease)
    allergies = {name.removeprefix("alergia:") for name in situations if name.startswith("alergia:")}
    allergic = {
        name for name in names if name in lexicon.products and {*lexicon.products[name].ingredients} <= allergies
    }
    ingredients, classes = lexicon.contents(names - allergic)
    situations.update(lexicon.classes[name].situation for name in classes if name in lexicon.classes)
    situations.discard("")
    _, reacting = lexicon.contents(allergic)
    return _Known(frozenset(situations), ingredients, classes, frozenset(complaints), reacting.union(allergies))


def _blocking(item: Item, known: _Known, applying: Sequence[Rule], lexicon: Lexicon) -> str:
    """The id of the rule that holds `item` back; empty when none does."""
    rule_id = _never(item.suggestion, item.explanation, lexicon)
    if rule_id:
        return rule_id
    ingredients, classes = lexicon.contents(lexicon.resolve(item.suggestion))
    if known.allergies and _reacts(known, ingredients, classes):
        return ALLERGY_RULE
    for rule in applying:
        if rule.forbids(ingredients, classes):
            return rule.id
    if known.ingredients and _substances(ingredients) & _substances(known.ingredients):
        return DUPLICATE_RULE
    shared = classes & known.classes
    if any(name in lexicon.classes and lexicon.classes[name].unrepeatable for name in shared):
        return CLASS_RULE
    return ""


@lru_cache(maxsize=10_000)
def _never(suggestion: str, explanation: str, lexicon: Lexicon) -> str:
    """The id of the rule that holds an item of these words back from everybody; empty when none does."""
    names = lexicon.resolve(suggestion)
    if not names:
        return UNKNOWN_RULE
    products = [lexicon.products[name] for name in (*names, *lexicon.resolve(explanation))]
    if not all(product.suggestible for product in products):
        return STATUS_RULE
    strong = any(_too_strong(suggestion, lexicon.products[name]) for name in names)
    return STATUS_RULE if strong else ""


_ROUTES = word_set(
    "topico topica bucal vaginal colirio pastilha oral pediatrico infantil retal ocular nasal supositorio antiacido"
)
"""Words that tell by which way an ingredient is given, not what it is: "clotrimazol vaginal" is clotrimazol."""


def _substances(ingredients: frozenset[str]) -> frozenset[str]:
    """`ingredients` whatever the way they are given, so that one is not bought twice as a cream and a tablet."""
    cut = (name.rpartition(" ") for name in ingredients)
    return frozenset(first if first and last in _ROUTES else f"{first} {last}".strip() for first, _, last in cut)


def _needless(item: Item, wanted: Named | None, gate: Gate, lexicon: Lexicon) -> str:
    if wanted is None:
        return ""
    return lacking(*lexicon.contents(lexicon.resolve(item.suggestion)), wanted, gate.needs)


_STRENGTH = re.compile(r"(\d+(?:[.,]\d+)?)\s*mg\b", re.IGNORECASE)


def _too_strong(label: str, product: Product) -> bool:
    """True when a label names a strength that needs a prescription ("ibuprofeno 600 mg")."""
    most = product.over_the_counter_up_to_mg
    said = _STRENGTH.findall(label) if most is not None else ()
    return any(float(number.replace(",", ".")) > (most or 0.0) for number in said)


_NSAIDS = frozenset({"aine", "aas", "salicilato"})


def _reacts(known: _Known, ingredients: frozenset[str], classes: frozenset[str]) -> bool:
    """Who reacts to one anti-inflammatory, salicylate or metamizole may react to another of them."""
    named = any(f"alergia:{name}" in known.situations for name in ingredients | classes)
    return named or bool(known.allergies & _NSAIDS and classes & _NSAIDS)


def _choose(items: Sequence[Item], catalogue: Catalogue, lexicon: Lexicon) -> tuple[Item, ...]:
    """The first items of different roles and contents."""
    chosen: list[Item] = []
    roles: set[str] = set()
    inside: set[str] = set()
    classes: set[str] = set()
    for item in items:
        role = catalogue.roles.get(item.id, "")
        ingredients, kinds = lexicon.contents(lexicon.resolve(item.suggestion))
        single = {name for name in kinds if name in lexicon.classes and lexicon.classes[name].unrepeatable}
        if (role and role in roles) or ingredients & inside or single & classes:
            continue
        chosen.append(item)
        roles.add(role)
        inside |= ingredients
        classes |= single
        if len(chosen) == AT_MOST:
            break
    return tuple(chosen)


def _alert(gate: Gate, known: _Known, texts: Sequence[str]) -> str:
    books = (gate.phrases, gate.literal)
    raised = {name for text in texts if text for book in books for name in _said(book, words_of(text))}
    parts = {name for text in texts if text for name in _said(gate.parts, words_of(text))}
    for flag in gate.likely(raised, parts, known):
        if flag.id in raised or (parts and any(wanted <= parts for wanted in flag.together)):
            return flag.alert
        if not known.complaints:
            continue
        for complaints, situations in flag.all_of:
            if complaints & known.complaints and (not situations or situations & known.situations):
                return flag.alert
    return ""


def _alarm(texts: Sequence[str], lexicon: Lexicon) -> str:
    """The call for the pharmacist where a text sounds like an emergency in words that no flag foresaw."""
    return _ALARM if any(is_alarming(text, lexicon) for text in texts) else ""


_ALARM = "Chame o farmacêutico agora: pelo que foi dito, pode ser grave."


def _said(phrases: PhraseBook, words: Words) -> set[str]:
    """Flags whose words are there and not denied ("não tem dor no peito")."""
    return {
        hit.name
        for hit in phrases.find(words)
        if not (hit.first and words.words[words.content[hit.first - 1]] in ("nao", "sem", "nem", "nunca"))
        and not answered_no(words, hit)
    }


@lru_cache(maxsize=4)
def _gate(key: _ById) -> Gate:
    flags = key.safety["bandeiras"]
    rules = tuple(_rule(r) for r in key.safety["regras"])
    red = tuple(_flag(r) for r in flags)
    return Gate(
        rules=rules,
        flags=red,
        triggers=_places([rule.triggers() for rule in rules]),
        raised_by=_places([flag.triggers() for flag in red]),
        needs=tuple(need_of(r) for r in key.safety["necessidades"]),
        phrases=PhraseBook((said, r["id"]) for r in flags for said in r["falas"]),
        literal=PhraseBook(((said, r["id"]) for r in flags for said in r.get("literais", ())), literal=True),
        parts=PhraseBook((said, said) for r in flags for group in r["juntas"] for said in group),
    )


class _ById:
    """A lexicon's rules, hashed by identity, so that they are converted once."""

    __slots__ = ("safety",)

    def __init__(self, safety: Any) -> None:
        self.safety = safety

    def __hash__(self) -> int:
        return id(self.safety)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ById) and other.safety is self.safety


def gate_of(lexicon: Lexicon) -> Gate:
    """The rules of `lexicon`, converted once per lexicon."""
    return _gate(_ById(lexicon.safety))


def _rule(r: dict[str, Any]) -> Rule:
    when, block = r["quando"], r["bloqueia"]
    return Rule(
        id=r["id"],
        severity=r["gravidade"],
        source=r["fonte"],
        reason=r["motivo"],
        situations=frozenset(when.get("situacoes", ())),
        with_classes=frozenset(when.get("classes", ())),
        with_ingredients=frozenset(when.get("ingredientes", ())),
        with_complaints=frozenset(when.get("queixas", ())),
        block_classes=frozenset(block.get("classes", ())),
        block_ingredients=frozenset(block.get("ingredientes", ())),
        except_ingredients=frozenset(block.get("exceto", ())),
    )


def _flag(r: dict[str, Any]) -> RedFlag:
    return RedFlag(
        id=r["id"],
        source=r["fonte"],
        alert=r["alerta"],
        together=tuple(frozenset(group) for group in r["juntas"]),
        all_of=tuple((frozenset(p["queixas"]), frozenset(p["situacoes"])) for p in r.get("combinacoes", ())),
    )
