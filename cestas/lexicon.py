"""Everything the pharmacy knows by name, loaded once and never changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from cestas.data_files import DATA_DIR, DataError, load_taxonomy, read_json
from cestas.guess import Guesser
from cestas.inflection import diminutives, verb_forms
from cestas.judge import Judge
from cestas.knowledge import Category, Complaint, Product, ProductClass, Status, category
from cestas.matching import PhraseBook
from cestas.text import BREAK, fold, slug, sound, words_of

_STRICTNESS: tuple[Status, ...] = ("nao_medicamento", "isento", "tarja_vermelha", "retencao", "controlado")


@dataclass(frozen=True, slots=True)
class Grammar:
    """Body parts and complaints said of them ("o joelho tá doendo"), and what each pair is called."""

    parts: PhraseBook
    complaints: PhraseBook
    names: Mapping[tuple[str, str], str]
    injuries: frozenset[str]
    """Complaints that explain by themselves why a part swells or hurts: a bite, a burn, a bruise."""
    wider: Mapping[str, frozenset[str]]
    """Complaint → the more general ones that go without saying when it is named."""
    usual: Mapping[str, str]
    """Body part → what people usually come for who name it without saying what is wrong in known words."""
    merged: tuple[tuple[frozenset[str], str], ...]
    """Complaints and situations that together are called something else."""


@dataclass(frozen=True, slots=True)
class People:
    """Words about who it is for."""

    situations: PhraseBook
    by_disease: Mapping[str, str]
    """Disease or occasion → the situation it means."""
    allergy: PhraseBook
    in_use: frozenset[str]
    pediatric: Mapping[str, str]
    """Micro category → the one of PEDIATRIA that replaces it for a child."""
    infant: Mapping[str, str]
    """The same for a baby only."""


@dataclass(frozen=True, eq=False)
class Lexicon:
    """Names, phrases and classes; `load` builds it from the data folder in about a tenth of a second."""

    taxonomy: Mapping[str, tuple[str, ...]]
    classes: Mapping[str, ProductClass]
    products: Mapping[str, Product]
    complaints: Mapping[str, Complaint]
    things: PhraseBook
    """Phrases that name products."""
    troubles: PhraseBook
    """Phrases that name complaints."""
    not_asked_for: frozenset[str]
    """Articles that may be offered but tell nothing of a need when somebody names them."""
    labels: PhraseBook
    """Labels of catalogues that name a kind of product ("antiácido"), not heard as a product."""
    kinds: Mapping[str, frozenset[str]]
    """Such a kind → all products that it may turn out to be."""
    grammar: Grammar
    people: People
    sounds: Mapping[str, str]
    """Sound key → product, for names that speech recognition mangles."""
    sound_buckets: Mapping[tuple[str, int], tuple[str, ...]]
    """Sound keys of `sounds` by their first letter and a length that they differ from by at most `SOUNDS_APART`."""
    trouble_sounds: Mapping[str, str]
    """Sound key → stem, for misspelt words of complaints."""
    known_stems: frozenset[str]
    everyday: frozenset[str]
    """Folded words of everyday talk that must never be taken for a mangled name."""
    guesser: Guesser
    """What speaks where no phrase matches."""
    judge: Judge
    """What tells a need from idle talk and from an emergency."""
    safety: Mapping[str, Any]
    """The safety gate's rules and red flags as the file has them; `cestas.safety` gives them their meaning."""
    _resolved: dict[str, frozenset[str]] = field(default_factory=dict, repr=False)
    _contents: dict[frozenset[str], tuple[frozenset[str], frozenset[str]]] = field(default_factory=dict, repr=False)

    @classmethod
    def load(cls, directory: Path = DATA_DIR) -> Lexicon:
        """Read all knowledge files of `directory`; raises DataError with file and place."""
        try:
            return _build(directory)
        except (KeyError, TypeError, AttributeError) as exc:
            raise DataError(f"{directory.name}: a record lacks or mistypes {exc}") from exc

    def product(self, name: str) -> Product | None:
        """The product of that canonical name."""
        return self.products.get(name)

    def resolve(self, label: str) -> frozenset[str]:
        """All products that a catalogue label names or, by their kind, may turn out to be; empty when it names none.

        Remembered per label. "Analgésico com cafeína" is caffeine and every analgesic: the gate looks at all of them.
        """
        known = self._resolved.get(label)
        if known is None:
            hits = self.things.find(words_of(label.replace("/", " ").replace("-", " ")))
            known = frozenset(hit.name for hit in hits) | self._kind(label)
            if len(self._resolved) < _RESOLVED_AT_MOST:
                self._resolved[label] = known
        return known

    def _kind(self, label: str) -> frozenset[str]:
        hits = self.labels.find(words_of(label))
        return frozenset(name for hit in hits for name in self.kinds[hit.name])

    def canonical_product(self, name: str) -> str:
        """The canonical name of a product however it is called; the folded name itself if unknown."""
        return _canonical(name, self.things)

    def canonical_complaint(self, name: str) -> str:
        """The same of a symptom, disease or occasion."""
        return _canonical(name, self.troubles)

    def contents(self, names: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
        """All ingredients and all classes of the named products; remembered for what a label resolves to."""
        if not isinstance(names, frozenset):
            return self._all_of(names)
        known = self._contents.get(names)
        if known is None:
            known = self._all_of(names)
            if len(self._contents) < _RESOLVED_AT_MOST:
                self._contents[names] = known
        return known

    def _all_of(self, names: Iterable[str]) -> tuple[frozenset[str], frozenset[str]]:
        ingredients: set[str] = set()
        classes: set[str] = set()
        for name in names:
            product = self.products.get(name)
            if product is not None:
                ingredients.update(product.ingredients)
                classes.update(product.classes)
        return frozenset(ingredients), frozenset(classes)


def _canonical(name: str, book: PhraseBook) -> str:
    words = words_of(name)
    hits = book.find(words)
    if len(hits) == 1 and hits[0].length == len(words.content):
        return hits[0].name
    return " ".join(fold(name).split())


@cache
def shipped() -> Lexicon:
    """The knowledge that comes with the project, loaded once for the whole process."""
    return Lexicon.load()


_RESOLVED_AT_MOST = 10_000
"""Catalogue labels remembered; a pharmacy's own file has a few hundred."""


def _build(directory: Path) -> Lexicon:
    taxonomy = load_taxonomy(directory / "taxonomy.json")
    classes = _classes(read_json(directory / "classes.json")["classes"])
    medicines = read_json(directory / "medicines.json")
    articles = read_json(directory / "articles.json")["artigos"]
    symptoms = read_json(directory / "symptoms.json")["sintomas"]
    body = read_json(directory / "body.json")
    people = read_json(directory / "situations.json")
    intents = read_json(directory / "intents.json")
    products = _products(medicines, articles, classes)
    records = [*articles, *medicines["ingredientes"], *medicines["marcas"]]
    things = _book(records)
    troubles = _book(symptoms)
    known = things.stems | troubles.stems
    for group in (*body["partes"].values(), *body["queixas"].values(), *intents.values()):
        known |= PhraseBook((said, "x") for said in group).stems
    known |= _spoken(directory)
    complaints = {
        r["nome"]: Complaint(r["nome"], r["tipo"], tuple(category(c) for c in r["categorias"])) for r in symptoms
    }
    sounds = _sounds(medicines, articles)
    return Lexicon(
        taxonomy=taxonomy,
        classes=classes,
        products=products,
        complaints=complaints,
        things=things,
        troubles=troubles,
        not_asked_for=frozenset(r["nome"] for r in articles if r.get("so_item")),
        labels=_book(medicines["rotulos"]),
        kinds={r["nome"]: frozenset(r["produtos"]) for r in medicines["rotulos"]},
        grammar=_grammar(body),
        people=_people(people),
        sounds=sounds,
        sound_buckets=_buckets(sounds),
        trouble_sounds=_trouble_sounds(symptoms),
        known_stems=frozenset(known),
        everyday=frozenset(read_json(directory / "everyday.json")["palavras"]),
        guesser=_guesser(read_json(directory / "weights.json")),
        judge=_judge(read_json(directory / "speak.json")),
        safety=read_json(directory / "safety.json"),
    )


def _guesser(data: dict[str, Any]) -> Guesser:
    features = data["features"]
    return Guesser(
        weights={name: pairs for name, (_, pairs) in features.items()},
        rarity={name: rarity for name, (rarity, _) in features.items()},
        classes=data["classes"],
        sure=data["sure"],
        ahead=data["ahead"],
    )


def _judge(data: dict[str, Any]) -> Judge:
    need, alarm = data["bias"]
    return Judge(data["weights"], (need, alarm), data["need_at"], data["alarm_at"])


def _spoken(directory: Path) -> set[str]:
    """Stems of the words that attendants say in the shipped explanations: everyday words, hence no mangled names."""
    baskets = read_json(directory / "cestas.json")
    groups = [*baskets["fallback_macro_default"].values()]
    groups += [items for micros in baskets["cestas_por_macro_micro"].values() for items in micros.values()]
    return {stem for items in groups for item in items for stem in words_of(item["explicacao"]).stems}


def _classes(records: list[dict[str, Any]]) -> dict[str, ProductClass]:
    return {
        r["id"]: ProductClass(
            r["id"],
            r["nome"],
            category(r["categoria"]),
            r.get("situacao", ""),
            r.get("sem_repetir", False),
            r.get("pai", ""),
        )
        for r in records
    }


def _widen(names: Iterable[str], classes: Mapping[str, ProductClass]) -> frozenset[str]:
    wide: set[str] = set()
    for name in names:
        while name and name not in wide:
            wide.add(name)
            name = classes[name].parent
    return frozenset(wide)


def _products(
    medicines: dict[str, Any], articles: list[dict[str, Any]], classes: Mapping[str, ProductClass]
) -> dict[str, Product]:
    products: dict[str, Product] = {}
    for r in articles:
        label: Category = category(r["categoria"])
        widened = _widen(r["classes"], classes) | {"nao_medicamento"}
        products[r["nome"]] = Product(
            r["nome"], "artigo", (r["nome"],), widened, r["classes"][0], "nao_medicamento", label
        )
    for r in medicines["ingredientes"]:
        widened = _marked(_widen(r["classes"], classes), r["dispensacao"])
        main = r["classes"][0]
        products[r["nome"]] = Product(
            r["nome"],
            "ingrediente",
            (r["nome"],),
            widened,
            main,
            r["dispensacao"],
            classes[main].category,
            tuple(r["formas"]),
            r.get("isento_ate_mg"),
        )
    for r in medicines["marcas"]:
        products[r["nome"]] = _brand(r, products, classes)
    return products


def _brand(r: dict[str, Any], products: dict[str, Product], classes: Mapping[str, ProductClass]) -> Product:
    parts = [products[name] for name in r["ingredientes"]]
    main = r.get("classe") or parts[0].main_class
    inherited = frozenset(c for part in parts for c in part.classes) - {"medicamento", "tarjado", "nao_medicamento"}
    widened = _marked(_widen([main], classes) | inherited, r["dispensacao"])
    place = classes[main].category if r.get("classe") else parts[0].category
    return Product(
        r["nome"], "marca", tuple(r["ingredientes"]), widened, main, r["dispensacao"], place, tuple(r["formas"])
    )


def _marked(classes: frozenset[str], status: Status) -> frozenset[str]:
    if status == "nao_medicamento":
        return classes | {"nao_medicamento"}
    return classes | ({"medicamento"} if status == "isento" else {"medicamento", "tarjado"})


def stricter(one: Status, other: Status) -> Status:
    """The stricter of two dispensing statuses."""
    return max(one, other, key=_STRICTNESS.index)


def _book(records: Iterable[dict[str, Any]]) -> PhraseBook:
    """Phrases of all records; a record's own name is one of them unless it says `so_falas`."""
    kept = [(r["nome"], r["falas"], not r.get("so_falas", False)) for r in records]
    book = PhraseBook((name, name) for name, _, bare in kept if bare)
    for name, phrases, _ in kept:
        for said in phrases:
            book.add(said, name)
    return book


def _grammar(body: dict[str, Any]) -> Grammar:
    parts = PhraseBook((said, part) for part, phrases in body["partes"].items() for said in phrases)
    complaints = PhraseBook((said, name) for name, phrases in body["queixas"].items() for said in phrases)
    for part, phrases in body["partes"].items():
        for small in (small for said in phrases for small in diminutives(said)):
            parts.add(small, part)
    for name, verbs in body["verbos"].items():
        for form in (form for verb in verbs for form in verb_forms(verb)):
            complaints.add(form, name)
    return Grammar(
        parts=parts,
        complaints=complaints,
        names={(r["parte"], r["queixa"]): r["nome"] for r in body["sintomas"]},
        injuries=frozenset(body["lesoes"]),
        wider={name: frozenset(general) for name, general in body["mais_gerais"].items()},
        usual=body["padrao"],
        merged=tuple((frozenset(r["de"]), r["nome"]) for r in body["juntos"]),
    )


def _people(data: dict[str, Any]) -> People:
    return People(
        situations=PhraseBook((said, r["nome"]) for r in data["situacoes"] for said in r["falas"]),
        by_disease=data["por_doenca"],
        allergy=PhraseBook((said, "alergia") for said in data["alergia"]),
        in_use=frozenset(fold(word) for word in data["em_uso"]),
        pediatric=data["pediatria"],
        infant=data["bebe"],
    )


def _sounds(medicines: dict[str, Any], articles: list[dict[str, Any]]) -> dict[str, str]:
    keys: dict[str, str] = {}
    long_articles = [{"nome": r["nome"], "falas": ()} for r in articles if len(r["nome"]) >= _ARTICLE_AT_LEAST]
    for record in (*medicines["ingredientes"], *medicines["marcas"], *long_articles):
        for said in (record["nome"], *record["falas"]):
            joined = slug(said).replace("-", "")
            if len(joined) >= _SOUND_NAME_AT_LEAST and not joined.isdigit():
                keys.setdefault(sound(joined), record["nome"])
    return keys


_ARTICLE_AT_LEAST = 9
"""Letters of an article's name from which it is repaired too: "re pelente", but never a short everyday word."""
_SOUND_NAME_AT_LEAST = 5
"""Letters below which a name is matched exactly only: short names sound like too many words."""


def _buckets(sounds: Mapping[str, str]) -> dict[tuple[str, int], tuple[str, ...]]:
    buckets: dict[tuple[str, int], list[str]] = {}
    for key in sounds:
        for length in range(len(key) - SOUNDS_APART, len(key) + SOUNDS_APART + 1):
            buckets.setdefault((key[0], length), []).append(key)
    return {place: tuple(keys) for place, keys in buckets.items()}


def _trouble_sounds(symptoms: list[dict[str, Any]]) -> dict[str, str]:
    keys: dict[str, str] = {}
    for record in symptoms:
        if record["tipo"] == "contexto":
            continue
        for said in (record["nome"], *record["falas"]):
            words = words_of(said)
            for index in words.content:
                stem = words.stems[index]
                if stem != BREAK and len(stem) >= SOUND_STEM_AT_LEAST:
                    keys.setdefault(sound(stem), stem)
    return keys


SOUND_STEM_AT_LEAST = 4
"""Letters of a stem below which a misspelt word of a complaint is not put right."""
SOUNDS_APART = 2
"""Letters in which a mangled name may differ from how it sounds, at most."""
