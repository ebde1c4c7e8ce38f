"""What reaches the stages while a replica is loaded."""

import time

import pytest

from deployments.metrics import NoMetrics
from deployments.recommender.port import AdviceRequest
from deployments.recommender.settings import RecommenderSettings
from deployments.recommender.stage import Recommender
from deployments.speech_to_text.port import TranscriptionRequest
from deployments.voice.messages import VoiceRequest
from serve_app.fairness import Turns
from serve_app.overload import Overload, Shedding
from serve_app.shedding import SheddingStages
from serve_app.stages import StageTimeout
from tests.support.doors import ScriptedStages

ASK = AdviceRequest("u-1", "estou com azia", 1.0, client_id="c-1")
HEAR = TranscriptionRequest("u-1", bytes(320), 1.0, client_id="c-1")


async def passed(level):
    """The requests as they reach the stages at this level."""
    stages, overload = ScriptedStages(), Overload()
    overload.level = level
    shedding = SheddingStages(stages, overload, Turns(4), NoMetrics())
    await shedding.transcribe(HEAR)
    await shedding.advise(ASK)
    return stages.asked


@pytest.mark.parametrize(
    ("level", "may_hedge", "rules_only"),
    [
        (Shedding.NOTHING, True, False),
        (Shedding.SPECULATION, True, False),
        (Shedding.HEDGES, False, False),
        (Shedding.LANGUAGE_MODEL, False, True),
        (Shedding.CONNECTIONS, False, True),
    ],
)
async def test_hedges_go_before_the_language_model(level, may_hedge, rules_only):
    heard, advised = await passed(level)
    assert (heard.may_hedge, advised.rules_only) == (may_hedge, rules_only)


async def test_an_utterance_whose_turn_does_not_come_in_time_is_a_timeout_like_any_other():
    turns = Turns(1)
    shedding = SheddingStages(ScriptedStages(), Overload(), turns, NoMetrics())
    async with turns.turn("c-2", 1.0):
        with pytest.raises(StageTimeout):
            await shedding.advise(AdviceRequest("u-1", "estou com azia", 0.01, client_id="c-1"))


async def test_the_time_in_the_voice_stage_counts_as_load():
    overload = Overload()
    shedding = SheddingStages(ScriptedStages(), overload, Turns(1), NoMetrics())
    await shedding.examine(VoiceRequest("u-1", bytes(320), b"", -50.0, 1.0))
    overload.tick(0.0, 0, time.monotonic())
    assert overload.pressure > 0


class NeverAsked:
    name = "nunca"

    async def understand(self, request):
        raise AssertionError

    def health(self):
        return {}

    async def close(self):
        pass


async def test_the_recommender_asks_no_model_when_it_is_told_so():
    stage = Recommender(RecommenderSettings(policy="llm"), llm=NeverAsked())
    advice = await stage.advise(AdviceRequest("u-1", "estou com muita azia", 1.0, rules_only=True))
    await stage.close()
    assert (advice.origin, advice.status) == ("regras", "sugerido")
