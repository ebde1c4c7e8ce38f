"""A language model brings medicines only from a shelf to which something points that the rules read themselves."""

from __future__ import annotations

from recommender_fakes import FakeAdvisor

from cestas.entities import extract
from cestas.lexicon import Lexicon
from cestas.model import Entities, Item
from deployments.recommender.grounds import GROUND_RULE, grounded_macros, is_heard_in, without_groundless
from deployments.recommender.port import Advice, AdviceRequest, Understanding
from deployments.recommender.settings import RecommenderSettings
from deployments.recommender.stage import Recommender

PAIN = ("DOR_FEBRE_INFLAMACAO", "ANALGESICOS_ANTITERMICOS")


async def advised(lexicon: Lexicon, text: str, by_model: Understanding, *, needed: bool = True) -> Advice:
    settings = RecommenderSettings(policy="llm", medicines_need_grounds=needed)
    stage = Recommender(settings, llm=FakeAdvisor(by_model), lexicon=lexicon)
    return await stage.advise(AdviceRequest("u1", text, 3.0))


def medicines(advice: Advice, lexicon: Lexicon) -> list[str]:
    shown = [(item.suggestion, lexicon.resolve(item.suggestion)) for item in advice.items]
    return [name for name, inside in shown if any(lexicon.products[one].is_medicine for one in inside)]


def understood(**named: tuple[str, ...]) -> Understanding:
    return Understanding(Entities(**named), *PAIN, 1.0, "llm")


async def test_a_shelf_that_nothing_said_points_to_brings_articles_alone(lexicon: Lexicon) -> None:
    lied = await advised(lexicon, "um pacote de absorvente noturno com aba", understood(symptoms=("febre",)))
    assert medicines(lied, lexicon) == []
    assert GROUND_RULE in {block.rule_id for block in lied.blocked}


async def test_a_shelf_that_the_complaint_points_to_brings_its_medicines(lexicon: Lexicon) -> None:
    honest = await advised(lexicon, "acho que é febre, tá quente demais o corpo", understood(symptoms=("febre",)))
    assert medicines(honest, lexicon)
    assert GROUND_RULE not in {block.rule_id for block in honest.blocked}


async def test_a_complaint_said_a_moment_ago_is_ground_enough(lexicon: Lexicon) -> None:
    stage = Recommender(
        RecommenderSettings(policy="llm"), llm=FakeAdvisor(understood(symptoms=("febre",))), lexicon=lexicon
    )
    request = AdviceRequest("u1", "desde ontem, sabe", 3.0, context=("minha irmã está com febre",))
    assert medicines(await stage.advise(request), lexicon)


async def test_a_pharmacy_may_trust_its_model(lexicon: Lexicon) -> None:
    text = "um pacote de absorvente noturno com aba"
    trusted = await advised(lexicon, text, understood(symptoms=("febre",)), needed=False)
    assert GROUND_RULE not in {block.rule_id for block in trusted.blocked}


async def test_the_rules_own_shelf_needs_no_other_ground(lexicon: Lexicon) -> None:
    stage = Recommender(RecommenderSettings(policy="regras"), lexicon=lexicon)
    advice = await stage.advise(AdviceRequest("u1", "estou com dor de cabeça desde ontem", 3.0))
    assert medicines(advice, lexicon)


def test_what_somebody_takes_already_is_no_ground(lexicon: Lexicon) -> None:
    assert grounded_macros(extract("quero uma dipirona", lexicon), lexicon) == {PAIN[0]}
    assert grounded_macros(extract("minha mãe toma dipirona todo dia", lexicon), lexicon) == frozenset()


def test_a_childs_complaint_is_ground_for_the_childrens_shelf_too(lexicon: Lexicon) -> None:
    read = extract("meu filho de cinco anos está com febre", lexicon)
    assert grounded_macros(read, lexicon) == {PAIN[0], "PEDIATRIA"}


def test_a_name_that_nobody_can_resolve_counts_as_a_medicine(lexicon: Lexicon) -> None:
    kept, blocked = without_groundless(
        [Item("a", "Poção da vovó", "x"), Item("b", "Termômetro digital", "x")], PAIN[0], Entities(), lexicon
    )
    assert [item.id for item in kept] == ["b"]
    assert [block.item_id for block in blocked] == ["a"]


def test_a_brand_said_is_evidence_of_its_ingredient_and_a_stray_word_of_nothing(lexicon: Lexicon) -> None:
    assert is_heard_in("paracetamol", "um tylenol", lexicon)
    assert is_heard_in("losartana", "luzartana", lexicon)
    assert not is_heard_in("clonazepam", "tem alguma coisa boa", lexicon)
