"""Intent, category and invented text."""

import pytest

from cestas.advise import advise
from cestas.catalogue import Catalogue
from cestas.classify import NOTHING, classify
from cestas.entities import extract
from cestas.intent import intent_of
from cestas.invented import is_invented
from cestas.lexicon import Lexicon
from cestas.model import Entities


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("quanto custa o dorflex?", "preco"),
        ("o luftal tá mais caro que semana passada", "preco"),
        ("quantas gotas de dipirona pra nove quilos?", "posologia"),
        ("posso tomar junto com o omeprazol?", "posologia"),
        ("pode passar no cartão de crédito", "pagamento"),
        ("vocês entregam em casa a losartana?", "entrega"),
        ("o ministério da saúde confirmou casos de gripe", "tv"),
        ("boa tarde, tudo bem?", "conversa"),
        ("essa conta do banco é uma dor de cabeça", "conversa"),
        ("tô com dor de cabeça", "sintoma_ou_pedido"),
        ("me vê um dorflex e passa no cartão", "sintoma_ou_pedido"),
    ],
)
def test_the_speakers_aim_is_told(lexicon: Lexicon, text: str, intent: str) -> None:
    assert intent_of(text, extract(text, lexicon)) == intent


@pytest.mark.parametrize(
    ("text", "macro", "micro"),
    [
        ("tô com azia", "GASTROINTESTINAL", "AZIA_REFLUXO_ANTIACIDO_IBP"),
        ("minha filha de três anos tá com febre", "PEDIATRIA", "FEBRE_INFANTIL"),
        ("meu bebê tá com gases", "PEDIATRIA", "COLICAS_GASES_BEBE"),
        ("sou diabético e tô com tosse seca", "RESPIRATORIO_GRIPE", "TOSSE_SECA"),
        ("meu pai toma varfarina e tá com dor de dente", "BOCA_GARGANTA_ODONTO", "DOR_DE_DENTE_INFECCAO_SUSPEITA"),
        ("um teste de gravidez", "SAUDE_INTIMA_URINARIO", "TESTE_GRAVIDEZ"),
        ("vamos pra praia", "HIGIENE_CUIDADOS_PESSOAIS_HPPC", "PROTETOR_SOLAR_FOTOPROTECAO"),
    ],
)
def test_the_category_follows_what_they_came_for(lexicon: Lexicon, text: str, macro: str, micro: str) -> None:
    found = classify(text, extract(text, lexicon), lexicon)
    assert (found.macro, found.micro) == (macro, micro)
    assert 0.5 < found.confidence <= 1


def test_a_complaint_alone_is_surer_than_two_that_disagree(lexicon: Lexicon) -> None:
    one = classify("", Entities(symptoms=("azia",)), lexicon)
    two = classify("", Entities(symptoms=("azia", "dor de dente")), lexicon)
    assert one.confidence > two.confidence


def test_without_entities_there_is_no_category(lexicon: Lexicon) -> None:
    assert classify("", Entities(), lexicon) == NOTHING
    assert classify("", Entities(symptoms=("nome que ninguem conhece",)), lexicon) == NOTHING


@pytest.mark.parametrize(
    "text",
    [
        "Legendas pela comunidade Amara.org",
        "Obrigado por assistir!",
        "Inscreva-se no canal e ative o sininho",
        "[Música]",
        "...",
        "",
        "e aí e aí e aí e aí e aí e aí",
        "tosse tosse tosse tosse tosse",
    ],
)
def test_text_that_speech_recognition_made_up_is_recognised(text: str) -> None:
    assert is_invented(text)


@pytest.mark.parametrize(
    "text",
    ["não, não, é pra dor de cabeça mesmo", "obrigado, viu", "tem dorflex?", "muito, muito obrigada, tchau tchau"],
)
def test_what_people_say_is_not_taken_for_invention(text: str) -> None:
    assert not is_invented(text)


def test_invented_text_leads_to_no_advice(lexicon: Lexicon, catalogue: Catalogue) -> None:
    advice = advise("dor dor dor dor dor dor", lexicon, catalogue)
    assert advice.items == ()
    assert advice.entities.empty
