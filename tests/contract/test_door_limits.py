"""What a counter is spared: more suggestions than anybody reads, and news of a language model that nobody asked."""

import json
from dataclasses import replace

from cestas.model import Item
from serve_app.conversation import ConversationSettings
from serve_app.door import DoorSettings
from serve_app.stages import StageTimeout, StageUnavailable
from tests.support.doors import KEY, ScriptedStages, advice, open_door, to_the_end

AUTH_4 = {"comando": "auth", "versao": 4, "api_key": KEY, "formato": "pcm_s16le_16k", "sessao": None}


async def say(at, *texts):
    """Type `texts`, end the session, and return everything that the counter was told."""
    async with at.counter(AUTH_4) as socket:
        for text in texts:
            await socket.send(json.dumps({"comando": "texto", "texto": text}))
        await socket.send(json.dumps({"comando": "fim"}))
        got, _ = await to_the_end(socket)
    return got


async def test_beyond_the_hourly_limit_a_suggestion_is_recorded_with_the_reason_and_not_shown():
    asked = []

    async def another_item_each_time(request):
        asked.append(request)
        return advice((Item(f"item-{len(asked)}", f"Produto {len(asked)}", "Ajuda."),))

    settings = DoorSettings(conversation=ConversationSettings(suggestions_per_hour_max=2))
    async with open_door(ScriptedStages(recommender=another_item_each_time), settings=settings) as at:
        got = await say(at, "tem soro", "e dipirona", "e simeticona")
    rows = at.records.interaction_rows
    assert [m["produto"] for m in got if m["comando"] == "recomendar"] == ["Produto 1", "Produto 2"]
    assert [(row.outcome, row.discard_reason) for row in rows] == [
        ("sugerido", ""),
        ("sugerido", ""),
        ("nada", "limite_por_hora"),
    ]
    assert rows[2].items[0]["id"] == "item-3"
    assert rows[2].suggestion_id is None
    assert asked[2].shown_item_ids == ("item-1", "item-2")


async def test_sure_rules_between_two_failures_of_the_model_do_not_make_a_storm_of_notices():
    failed = advice(error="AdvisorUnavailable", route="regras_sem_llm")
    sure = replace(advice(), model_asked=False, route="regras_seguras")
    answers = iter([failed, sure, failed, sure, replace(advice(), origin="llm", route="llm")])

    async def one_after_the_other(request):
        return next(answers)

    async with open_door(ScriptedStages(recommender=one_after_the_other)) as at:
        got = await say(at, "um", "dois", "três", "quatro", "cinco")
    assert [m["codigo"] for m in got if m["comando"] == "aviso"] == ["llm_indisponivel", "llm_restabelecido"]


async def test_the_return_of_the_recommender_is_told_also_where_only_rules_answer():
    answers = iter([StageUnavailable("dead"), StageTimeout("late"), advice(), advice()])

    async def one_after_the_other(request):
        return next(answers)

    async with open_door(ScriptedStages(recommender=one_after_the_other)) as at:
        got = await say(at, "um", "dois", "três", "quatro")
    assert [m["codigo"] for m in got if m["comando"] == "aviso"] == ["llm_indisponivel", "llm_restabelecido"]
