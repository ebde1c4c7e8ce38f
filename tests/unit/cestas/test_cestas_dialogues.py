"""What a customer said of themselves holds until they go, and never reaches the next one."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import pytest

from cestas.advise import advise
from cestas.catalogue import Catalogue
from cestas.lexicon import Lexicon
from cestas.model import Item
from cestas.safety import check
from serve_app.conversation import Conversation

PEOPLE = {
    "tô grávida de cinco meses": ("gestante", {"aine", "aas", "descongestionante_sistemico", "melatonina"}),
    "tô amamentando meu filho": ("amamentando", {"aas", "melatonina"}),
    "tenho pressão alta": ("hipertenso", {"aine", "aas", "descongestionante_sistemico", "sodio"}),
    "sou diabética": ("diabetico", {"acucarado", "calos"}),
    "meu rim não funciona direito": ("renal", {"aine", "aas", "magnesio"}),
    "tenho gastrite": ("gastrite_ulcera", {"aine", "aas"}),
    "tenho asma": ("asmatico", {"aine", "aas"}),
    "tomo varfarina": ("anticoagulado", {"aine", "aas", "ginkgo"}),
    "acho que tô com dengue": ("dengue", {"aine", "aas"}),
    "eu tenho glaucoma": ("glaucoma", {"antiespasmodico", "descongestionante_sistemico"}),
    "vou dirigir daqui a pouco": ("dirige", {"antihistaminico_sedativo", "relaxante_muscular"}),
    "tomei cerveja no almoço": ("alcool", {"aine", "aas", "antihistaminico_sedativo"}),
}
COMPLAINTS = (
    "quero algo pra dor de cabeça",
    "tem alguma coisa pra dor nas costas?",
    "queria um remédio pra gripe",
    "preciso de algo pra azia",
    "me vê alguma coisa pra cólica menstrual",
    "tô com o nariz entupido",
    "tô com tosse seca",
    "e pra insônia, o que tem?",
    "tem algo pra prisão de ventre?",
)
CERTAIN_SILENCE_S, UNCERTAIN_SILENCE_S, PAUSE_S, SPOKEN_S = 60.0, 10.0, 2.0, 2.0
DIALOGUES = list(product(PEOPLE.items(), COMPLAINTS))


class _Counter:
    """A counter where things are said one after the other and advised on as in the service."""

    def __init__(self, lexicon: Lexicon, catalogue: Catalogue) -> None:
        self._lexicon, self._catalogue = lexicon, catalogue
        self._conversation = Conversation()
        self._now_s = 0.0

    def says(self, text: str, after_s: float = PAUSE_S) -> tuple[Sequence[Item], frozenset[str]]:
        """The items shown for `text`, and the situations that were known of this customer when it was advised on."""
        start_s = self._now_s + after_s
        self._now_s = start_s + SPOKEN_S
        ask = self._conversation.heard(text, start_s, self._now_s)
        assert ask is not None
        shown = (self._lexicon, self._catalogue, ask.context, ask.situations, ask.shown_item_ids)
        advice = advise(ask.text, *shown)
        guarded = replace(advice.entities, situations=(*advice.entities.situations, *ask.guarded_situations))
        items = check(advice.items, guarded, self._lexicon, self._catalogue, ask.text, ask.context).items
        self._conversation.advised([item.id for item in items], advice.entities.situations)
        return items, frozenset((*ask.situations, *advice.entities.situations))


def _classes(items: Sequence[Item], lexicon: Lexicon) -> frozenset[str]:
    return frozenset(name for item in items for name in lexicon.contents(lexicon.resolve(item.suggestion))[1])


def test_there_are_more_than_a_hundred_dialogues() -> None:
    assert len(DIALOGUES) >= 100


@pytest.mark.parametrize("who", PEOPLE)
def test_what_was_said_once_holds_for_every_later_request(lexicon: Lexicon, catalogue: Catalogue, who: str) -> None:
    situation, banned = PEOPLE[who]
    for complaint in COMPLAINTS:
        counter = _Counter(lexicon, catalogue)
        counter.says("bom dia, tudo bem?")
        counter.says(who)
        counter.says("deixa eu ver aqui o que mais")
        items, known = counter.says(complaint)
        assert situation in known, complaint
        assert not _classes(items, lexicon) & banned, complaint


@pytest.mark.parametrize("who", PEOPLE)
def test_it_never_reaches_the_next_customer(lexicon: Lexicon, catalogue: Catalogue, who: str) -> None:
    situation, _ = PEOPLE[who]
    for complaint in COMPLAINTS[::2]:
        counter = _Counter(lexicon, catalogue)
        counter.says(who)
        counter.says(complaint)
        items, known = counter.says(complaint, after_s=CERTAIN_SILENCE_S)
        fresh, _ = _Counter(lexicon, catalogue).says(complaint)
        assert situation not in known, complaint
        assert items == fresh, complaint


@pytest.mark.parametrize("who", PEOPLE)
def test_across_an_uncertain_change_it_still_guards(lexicon: Lexicon, catalogue: Catalogue, who: str) -> None:
    _, banned = PEOPLE[who]
    for complaint in COMPLAINTS[1::2]:
        counter = _Counter(lexicon, catalogue)
        counter.says(who)
        items, _ = counter.says(f"oi, {complaint}", after_s=UNCERTAIN_SILENCE_S)
        assert not _classes(items, lexicon) & banned, complaint


def test_a_fresh_customer_is_usually_answered(lexicon: Lexicon, catalogue: Catalogue) -> None:
    answered = [bool(_Counter(lexicon, catalogue).says(complaint)[0]) for complaint in COMPLAINTS]
    assert sum(answered) >= len(answered) - 1
