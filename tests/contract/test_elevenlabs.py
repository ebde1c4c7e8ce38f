"""ElevenLabs through its real SDK, against a simulated server on loopback: what is sent, and how each fault ends."""

import asyncio
import hashlib
import logging
import math
import subprocess
import sys
import time
from typing import Any

import pytest
from pydantic import SecretStr

from bench.simulated.elevenlabs import SimulatedElevenLabs, Step
from bench.simulated.server import Fault
from deployments.speech_to_text.elevenlabs import ElevenLabs, together
from deployments.speech_to_text.port import SttUnavailable, Transcription, TranscriptionRequest
from deployments.speech_to_text.settings import ElevenLabsSettings, SpeechToTextSettings
from deployments.speech_to_text.stage import SpeechToText

KEY = "xi-simulated"
PCM = bytes(range(256)) * 125  # one second
SPOKEN = "estou com dor de cabeça"


def settings(base_url: str, key: str = KEY, **changes: Any) -> SpeechToTextSettings:
    vendor = ElevenLabsSettings(api_key=SecretStr(key), base_url=base_url, **changes)
    return SpeechToTextSettings(provider="elevenlabs", elevenlabs=vendor, retry_pause_s=0.01)


async def hear(chosen: SpeechToTextSettings, budget_s: float = 3.0, keyterms: tuple[str, ...] = ()) -> Transcription:
    stage = SpeechToText(chosen)
    try:
        return await stage.transcribe(TranscriptionRequest("u-1", PCM, budget_s, keyterms))
    finally:
        await stage.close()


async def test_the_request_is_the_documented_one() -> None:
    async with SimulatedElevenLabs(SPOKEN) as server:
        await hear(settings(server.base_url, keyterms=("dipirona",)), keyterms=("pílula do dia seguinte",))
        (sent,) = server.requests
    assert sent.pcm == PCM
    assert sent.headers["xi-api-key"] == KEY
    assert sent.headers["content-type"].startswith("multipart/form-data")
    assert sent.file_content_type == "application/octet-stream"
    asked = {name: values for name, values in sent.fields.items() if values != ("null",)}
    assert asked == {
        "model_id": ("scribe_v2",),
        "language_code": ("por",),
        "file_format": ("pcm_s16le_16",),
        "timestamps_granularity": ("word",),
        "tag_audio_events": ("false",),
        "diarize": ("false",),
        "keyterms": ("pílula do dia seguinte", "dipirona"),
    }


async def test_zero_retention_is_asked_for_when_it_is_set() -> None:
    async with SimulatedElevenLabs(SPOKEN, SPOKEN) as server:
        for wanted in (False, True):
            await hear(settings(server.base_url, zero_retention=wanted))
        assert [sent.query.get("enable_logging") for sent in server.requests] == [None, "false"]


async def test_without_keyterms_the_field_is_not_sent_and_the_surcharge_not_counted() -> None:
    async with SimulatedElevenLabs(SPOKEN) as server:
        answer = await hear(settings(server.base_url, keyterms=(), cost_usd_per_hour=0.36))
        assert "keyterms" not in server.requests[0].fields
    assert answer.cost_usd == pytest.approx(0.36 / 3600)


async def test_words_come_back_with_instants_and_confidence_and_without_the_spaces_between_them() -> None:
    async with SimulatedElevenLabs(SPOKEN) as server:
        answer = await hear(settings(server.base_url, cost_usd_per_hour=0.22, keyterms_cost_usd_per_hour=0.05))
    assert (answer.status, answer.text) == ("ok", SPOKEN)
    assert (answer.provider, answer.model, answer.simulated) == ("elevenlabs", "scribe_v2", False)
    assert [word.text for word in answer.words] == SPOKEN.split()
    assert answer.words[0].start_s == 0.0
    assert answer.words[-1].end_s == pytest.approx(1.0, abs=0.01)
    assert answer.words[0].confidence == pytest.approx(math.exp(-0.05))
    assert answer.cost_usd == pytest.approx(0.27 / 3600)


async def test_silence_is_an_empty_outcome() -> None:
    async with SimulatedElevenLabs("") as server:
        answer = await hear(settings(server.base_url))
    assert (answer.status, answer.text, answer.words, answer.error) == ("vazio", "", (), "")


@pytest.mark.parametrize(
    ("fault", "status", "error", "attempts"),
    [
        (Fault.UNAUTHORIZED, "recusado", "SttRefused", 1),
        (Fault.FORBIDDEN, "recusado", "SttRefused", 1),
        (Fault.BAD_REQUEST, "recusado", "SttRefused", 1),
        (Fault.THROTTLED, "limite", "SttThrottled", 1),  # it asks for 1 s, more than a budget of 1.2 s has to spare
        (Fault.SERVER_ERROR, "indisponivel", "SttUnavailable", 2),
        (Fault.STALL, "prazo", "SttTimeout", 1),
        (Fault.TRUNCATED_JSON, "indisponivel", "SttUnavailable", 2),
        (Fault.GARBAGE, "indisponivel", "SttUnavailable", 2),
        (Fault.WRONG_CONTENT_TYPE, "indisponivel", "SttUnavailable", 2),
        (Fault.RESET, "indisponivel", "SttUnavailable", 2),
    ],
)
async def test_every_fault_ends_in_a_typed_outcome_without_words(
    fault: Fault, status: str, error: str, attempts: int, caplog: pytest.LogCaptureFixture
) -> None:
    started = time.monotonic()
    with caplog.at_level(logging.INFO):
        async with SimulatedElevenLabs(fault, fault) as server:
            timeout_s = 0.3 if fault is Fault.STALL else 2.5
            budget_s = 1.2 if fault is Fault.THROTTLED else 3.0
            answer = await hear(settings(server.base_url, timeout_s=timeout_s), budget_s)
            assert len(server.requests) == attempts
    assert (answer.status, answer.error, answer.attempts) == (status, error, attempts)
    assert (answer.text, answer.words) == ("", ())
    assert (answer.cost_usd > 0) == (fault is Fault.STALL)  # sent and given up is billed, refused is not
    assert time.monotonic() - started < 3.0 + 1.0  # the budget, and the closing of the server
    failures = [record for record in caplog.records if record.getMessage() == "stt_failed"]
    assert [(record.status, record.attempts) for record in failures] == [(status, attempts)]  # type: ignore[attr-defined]
    assert KEY not in caplog.text


async def test_a_fault_that_passes_costs_one_more_attempt_with_the_whole_form() -> None:
    async with SimulatedElevenLabs(Fault.SERVER_ERROR, SPOKEN) as server:
        answer = await hear(settings(server.base_url))
        first, second = server.requests
    assert (answer.status, answer.text, answer.attempts) == ("ok", SPOKEN, 2)
    assert (first.fields, first.pcm) == (second.fields, second.pcm)


async def test_a_throttled_request_waits_as_long_as_it_is_asked_to() -> None:
    async with SimulatedElevenLabs(Fault.THROTTLED, SPOKEN, retry_after_s=1) as server:
        answer = await hear(settings(server.base_url), budget_s=3.0)
    assert (answer.status, answer.attempts) == ("ok", 2)
    assert answer.elapsed_ms >= 1_000


async def test_a_wrong_key_is_refused() -> None:
    async with SimulatedElevenLabs(SPOKEN) as server:
        answer = await hear(settings(server.base_url, key="xi-other"))
    assert (answer.status, answer.error) == ("recusado", "SttRefused")


async def test_no_server_at_all_is_unavailable() -> None:
    async with SimulatedElevenLabs() as server:
        gone = server.base_url
    answer = await hear(settings(gone))
    assert (answer.status, answer.error, answer.attempts) == ("indisponivel", "SttUnavailable", 2)


WORD = {"text": "febre", "start": 0.1, "end": 0.4, "type": "word", "logprob": -0.1}


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"text": SPOKEN},
        {"text": None, "words": []},
        {"text": ["febre"], "words": []},
        {"text": SPOKEN, "words": [{"start": 0.1}]},
        {"text": SPOKEN, "words": [{**WORD, "logprob": "sure"}]},
        {"text": SPOKEN, "words": [{**WORD, "start": "soon"}]},
        {"transcripts": [{"text": SPOKEN, "words": []}]},
        {"message": "Request is being processed", "request_id": "r"},
    ],
)
async def test_answers_of_another_shape_are_not_taken_for_words(answer: Step) -> None:
    async with SimulatedElevenLabs(answer, answer) as server:
        heard = await hear(settings(server.base_url))
    assert (heard.status, heard.text, heard.error) == ("indisponivel", "", "SttUnavailable")


async def test_what_the_vendor_says_in_an_error_never_reaches_the_exception() -> None:
    async with SimulatedElevenLabs({"text": SPOKEN, "words": [{"text": SPOKEN}]}) as server:
        provider = ElevenLabs(ElevenLabsSettings(api_key=SecretStr(KEY), base_url=server.base_url))
        with pytest.raises(SttUnavailable) as raised:
            await provider.transcribe(PCM, keyterms=(), budget_s=3.0)
        await provider.close()
    assert SPOKEN not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


async def test_words_without_instants_and_sounds_are_left_out() -> None:
    untimed = {**WORD, "start": None, "end": None}
    laughter = {**WORD, "text": "(risos)", "type": "audio_event"}
    unsure = {**WORD, "logprob": None}
    async with SimulatedElevenLabs({"text": "febre", "words": [untimed, laughter, unsure]}) as server:
        answer = await hear(settings(server.base_url))
    assert [(word.text, word.confidence) for word in answer.words] == [("febre", None)]


async def test_one_connection_is_kept_for_the_next_utterances() -> None:
    async with SimulatedElevenLabs(texts=(SPOKEN,)) as server:
        stage = SpeechToText(settings(server.base_url))
        for n in range(3):
            await stage.transcribe(TranscriptionRequest(f"u-{n}", PCM, 3.0))
        await stage.close()
        assert len(server.requests) == 3
        assert len({sent.client_port for sent in server.requests}) == 1


async def test_many_utterances_are_recognised_at_once() -> None:
    async with SimulatedElevenLabs(texts=(SPOKEN,), latency_ms=500) as server:
        stage = SpeechToText(settings(server.base_url, timeout_s=20.0))
        requests = [TranscriptionRequest(f"u-{n}", PCM, 20.0) for n in range(20)]
        answers = await asyncio.gather(*(stage.transcribe(request) for request in requests))
        await stage.close()
    assert {answer.status for answer in answers} == {"ok"}
    assert server.most_at_once >= 5


async def test_texts_can_be_scripted_by_what_is_heard() -> None:
    by_sha256 = {hashlib.sha256(PCM).hexdigest(): "tem soro?"}
    async with SimulatedElevenLabs(texts=(SPOKEN,), texts_by_sha256=by_sha256) as server:
        answer = await hear(settings(server.base_url))
        assert server.answered == 1
    assert answer.text == "tem soro?"


async def test_a_fault_can_come_every_so_many_requests() -> None:
    async with SimulatedElevenLabs(texts=(SPOKEN,), fault=Fault.UNAUTHORIZED, fault_every=3) as server:
        outcomes = [(await hear(settings(server.base_url))).status for _ in range(6)]
    assert outcomes == ["ok", "ok", "recusado", "ok", "ok", "recusado"]


def test_keyterms_are_joined_once_each_and_within_the_vendors_limits() -> None:
    asked = ("Dipirona", "x" * 51, "a b c d e f", "<b>", "")
    assert together(("dipirona", "Dorflex"), asked) == ["dipirona", "Dorflex"]
    many = tuple(f"termo {n}" for n in range(150))
    assert together((), many) == list(many[:100])


def test_using_elevenlabs_never_imports_the_demonstration() -> None:
    program = (
        "import sys; from pydantic import SecretStr\n"
        "from deployments.speech_to_text.settings import ElevenLabsSettings, SpeechToTextSettings\n"
        "from deployments.speech_to_text.stage import SpeechToText\n"
        "assert 'elevenlabs' not in sys.modules\n"
        "SpeechToText(SpeechToTextSettings(elevenlabs=ElevenLabsSettings(api_key=SecretStr('k'))))\n"
        "assert 'elevenlabs' in sys.modules\n"
        "print([name for name in sys.modules if 'sphinx' in name or name == 'ray'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "[]", "")
