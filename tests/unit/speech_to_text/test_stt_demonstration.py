"""The demonstration recogniser: what it says it heard, how it waits, and how it ends."""

import asyncio
import logging
import sys
import time
from pathlib import Path

import pytest
from stt_fakes import SECOND, ScriptedDecoder

from deployments.speech_to_text import demonstration
from deployments.speech_to_text.demonstration import Demonstration
from deployments.speech_to_text.port import SttThrottled, SttTimeout, SttUnavailable
from deployments.speech_to_text.settings import DemonstrationSettings
from deployments.speech_to_text.sphinx import DecoderGone, Heard, SphinxProcess

SAMPLES = Path(__file__).parents[3] / "samples"


def heard(*tokens: tuple[str, float]) -> list[Heard]:
    return [Heard(token, posterior, 0.5 * n, 0.5 * n + 0.4) for n, (token, posterior) in enumerate(tokens)]


def provider(*decoders: ScriptedDecoder, max_waiting: int = 16) -> Demonstration:
    waiting = list(decoders)
    return Demonstration(DemonstrationSettings(max_waiting=max_waiting), lambda: waiting.pop(0))


async def test_text_is_portuguese_as_a_person_writes_it() -> None:
    decoder = ScriptedDecoder(heard(("<s>", 1.0), ("estou(2)", 0.9), ("com", 1.0), ("dor_de_cabeça(3)", 0.95)))
    transcript = await provider(decoder).transcribe(SECOND, keyterms=(), budget_s=3.0)
    assert transcript.text == "estou com dor de cabeça"
    assert [(word.text, word.start_s, word.end_s) for word in transcript.words][2] == ("dor de cabeça", 1.5, 1.9)
    assert (transcript.cost_usd, Demonstration.simulated) == (0.0, True)


async def test_what_is_below_the_confidence_cut_is_left_out() -> None:
    decoder = ScriptedDecoder(heard(("estou", 0.79), ("com", 0.8), ("azia", 0.2)))
    assert (await provider(decoder).transcribe(SECOND, keyterms=(), budget_s=3.0)).text == "com"


async def test_silence_and_marks_are_no_words() -> None:
    decoder = ScriptedDecoder(heard(("<s>", 1.0), ("<sil>", 1.0), ("[SPEECH]", 1.0), ("</s>", 1.0)), [])
    demo = provider(decoder)
    assert (await demo.transcribe(SECOND, keyterms=(), budget_s=3.0)).text == ""
    assert (await demo.transcribe(SECOND, keyterms=(), budget_s=3.0)).words == ()


async def test_more_utterances_than_may_wait_are_told_so() -> None:
    demo = provider(ScriptedDecoder(heard(("febre", 1.0))), max_waiting=0)
    first = asyncio.ensure_future(demo.transcribe(SECOND, keyterms=(), budget_s=3.0))
    await asyncio.sleep(0)
    with pytest.raises(SttThrottled):
        await demo.transcribe(SECOND, keyterms=(), budget_s=3.0)
    assert (await first).text == "febre"


async def test_an_utterance_without_time_left_is_not_decoded() -> None:
    decoder = ScriptedDecoder()
    demo = provider(decoder)
    with pytest.raises(SttTimeout):
        await demo.transcribe(SECOND, keyterms=(), budget_s=0.0)
    await demo.close()
    assert decoder.heard == []


async def test_a_decoder_that_dies_is_replaced_for_the_next_utterance() -> None:
    demo = provider(ScriptedDecoder(DecoderGone("EOFError")), ScriptedDecoder(heard(("tosse_seca", 1.0))))
    with pytest.raises(SttUnavailable):
        await demo.transcribe(SECOND, keyterms=(), budget_s=3.0)
    assert (await demo.transcribe(SECOND, keyterms=(), budget_s=3.0)).text == "tosse seca"


async def test_closing_ends_the_decoders() -> None:
    decoder = ScriptedDecoder()
    await provider(decoder).close()
    assert decoder.closed


def test_it_says_once_and_loudly_that_it_is_a_demonstration(caplog: pytest.LogCaptureFixture) -> None:
    demonstration._announced.clear()
    with caplog.at_level(logging.WARNING, "balto"):
        provider(ScriptedDecoder())
        provider(ScriptedDecoder())
    assert len(caplog.records) == 1
    assert "DEMONSTRATION RECOGNISER" in caplog.text
    assert "not a product" in caplog.text


def test_a_decoder_that_does_not_answer_is_ended() -> None:
    deaf = SphinxProcess((sys.executable, "-c", "import sys; sys.stdin.buffer.read()"))
    started = time.monotonic()
    with pytest.raises(DecoderGone):
        deaf.hear(SECOND, limit_s=0.05)
    assert time.monotonic() - started < 2.0
    assert deaf._process.returncode is not None


def test_a_decoder_that_breaks_off_is_reported_and_leaves_no_pipe_open() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    broken = SphinxProcess((sys.executable, "-c", "print('not a message')"))
    with pytest.raises(DecoderGone):
        broken.hear(SECOND, limit_s=5.0)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_decoder_ends_with_the_process_that_started_it() -> None:
    decoder = SphinxProcess()
    assert decoder._process.stdin is not None
    decoder._process.stdin.close()  # as when that process is killed
    assert decoder._process.wait(timeout=10) == 0
    decoder.close()


def test_a_decoder_that_cannot_be_started_is_reported() -> None:
    with pytest.raises(DecoderGone):
        SphinxProcess(("/nowhere/python",))
