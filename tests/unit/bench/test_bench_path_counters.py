"""What simulated counters say is heard by the service's own gate as it was meant."""

import random

import pytest

from audio.segmenter import Segmenter
from audio.settings import SegmenterSettings
from audio.utterance import SAMPLE_RATE_HZ
from bench.path.counters import NEW_CUSTOMER_SILENCE_S, UTTERANCES_PER_CUSTOMER, clips, speech
from serve_app.conversation import Conversation, ConversationSettings

CHUNK_BYTES = 8000


@pytest.fixture(scope="module")
def sentences():
    return clips()


def heard(pcm):
    segmenter = Segmenter(SegmenterSettings())
    return [found for at in range(0, len(pcm), CHUNK_BYTES) for found in segmenter.feed(pcm[at : at + CHUNK_BYTES])]


@pytest.mark.parametrize("seed", range(5))
def test_every_customer_says_three_utterances_with_what_they_said_before_as_context(sentences, seed):
    settings = ConversationSettings(new_customer_silence_s=NEW_CUSTOMER_SILENCE_S)
    conversation, contexts = Conversation(settings), []
    for number, utterance in enumerate(heard(speech(sentences, 80, 8.8, random.Random(seed)))):
        start_s, end_s = utterance.first_sample / SAMPLE_RATE_HZ, utterance.end_sample / SAMPLE_RATE_HZ
        contexts.append(len(conversation.heard(f"frase {number}", start_s, end_s).context))
    assert len(contexts) >= 2 * UTTERANCES_PER_CUSTOMER
    assert contexts == [number % UTTERANCES_PER_CUSTOMER for number in range(len(contexts))]


def test_utterances_come_as_often_as_asked_in_the_mean(sentences):
    choice, seconds = random.Random(7), 600
    utterances = heard(speech(sentences, seconds, 8.8, choice))
    assert len(utterances) == pytest.approx(seconds / 8.8, rel=0.15)
    assert sum(found.duration_s for found in utterances) / len(utterances) == pytest.approx(4.7, abs=0.7)


def test_two_counters_do_not_speak_in_chorus(sentences):
    one, other = (heard(speech(sentences, 40, 8.8, random.Random(f"1-{number}"))) for number in range(2))
    assert {found.first_sample for found in one}.isdisjoint(found.first_sample for found in other)


def test_the_same_counter_says_the_same_in_every_run(sentences):
    assert speech(sentences, 20, 8.8, random.Random("1-3")) == speech(sentences, 20, 8.8, random.Random("1-3"))
