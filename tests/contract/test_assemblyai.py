"""AssemblyAI through its real SDK, against a simulated server on loopback: what is sent, and which way it goes."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from bench.simulated.assemblyai import SimulatedAssemblyAi, Step
from bench.simulated.faults import Latency
from bench.simulated.server import Fault
from deployments.speech_to_text.adapter_settings import AssemblyAISettings
from deployments.speech_to_text.assemblyai import AssemblyAI, build_assemblyai
from deployments.speech_to_text.assemblyai_rest import AssemblyAIRest
from deployments.speech_to_text.port import SttError, SttTimeout, SttUnavailable, Transcript

pytestmark = pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince20")  # the SDK's own

KEY = "aai-simulated"
SECOND = bytes(range(256)) * 125
SPOKEN = "tem soro fisiológico"


def settings(base_url: str, **changes: Any) -> AssemblyAISettings:
    defaults: dict[str, Any] = {"poll_interval_s": 0.01, "timeout_s": 2.5, "keyterms": ()}
    return AssemblyAISettings(
        api_key=SecretStr(KEY), sync_base_url=base_url, rest_base_url=base_url, **{**defaults, **changes}
    )


@asynccontextmanager
async def adapter(server: SimulatedAssemblyAi, **changes: Any) -> AsyncIterator[Any]:
    provider = build_assemblyai(settings(server.base_url, **changes))
    try:
        yield provider
    finally:
        await provider.close()


async def hear(provider: Any, pcm: bytes = SECOND, budget_s: float = 3.0, keyterms: tuple[str, ...] = ()) -> Transcript:
    heard: Transcript = await provider.transcribe(pcm, keyterms=keyterms, budget_s=budget_s)
    return heard


async def test_one_call_sends_raw_audio_and_the_documented_options() -> None:
    async with SimulatedAssemblyAi(SPOKEN) as server, adapter(server, keyterms=("Dorflex",)) as provider:
        heard = await hear(provider, keyterms=("soro",))
        (sent,) = server.requests
    assert (heard.text, heard.model) == (SPOKEN, "universal-3-5-pro")
    assert (sent.path, sent.pcm) == ("/v1/transcribe/live", SECOND)
    assert (sent.headers["authorization"], sent.headers["x-aai-model"]) == (KEY, "universal-3-5-pro")
    assert sent.options == {
        "language_codes": ["pt"],
        "keyterms_prompt": ["soro", "Dorflex"],
        "sample_rate": 16_000,
        "channels": 1,
        "timestamps": True,
    }


async def test_a_second_costs_a_second_with_or_without_keyterms() -> None:
    async with SimulatedAssemblyAi(SPOKEN, SPOKEN) as server, adapter(server, cost_usd_per_hour=0.30) as provider:
        costs = [(await hear(provider, keyterms=terms)).cost_usd for terms in ((), ("soro",))]
    assert costs == pytest.approx([0.30 / 3600] * 2)


async def test_the_warmed_connection_is_the_one_that_is_used() -> None:
    async with SimulatedAssemblyAi(SPOKEN, SPOKEN) as server, adapter(server) as provider:
        assert await provider.warm()
        assert (server.warmed, server.connections) == (1, 1)
        await hear(provider)
        await hear(provider)
        assert server.connections == 1
        assert len({sent.client_port for sent in server.requests}) == 1


async def test_keyterms_stay_within_the_vendors_limits() -> None:
    many = tuple(f"termo {number}" for number in range(300))
    async with SimulatedAssemblyAi(SPOKEN, SPOKEN) as server:
        async with adapter(server, keyterms_max=100, keyterms_max_characters=2048) as provider:
            await hear(provider, keyterms=many)
            await hear(provider, keyterms=("x" * 2000, "y" * 100, "z"))
        first, second = (sent.options["keyterms_prompt"] for sent in server.requests)
    assert first == list(many[:100])
    assert second == ["x" * 2000]


async def test_an_unavailable_sync_endpoint_is_replaced_by_rest_only_where_there_is_time() -> None:
    async with SimulatedAssemblyAi(Fault.SERVER_ERROR, Fault.SERVER_ERROR, SPOKEN) as server:
        async with adapter(server, rest_fallback_min_budget_s=5.0) as provider:
            with pytest.raises(SttUnavailable):
                await hear(provider, budget_s=3.0)
            heard = await hear(provider, budget_s=20.0)
        assert [sent.path for sent in server.requests][-1] == "/v2/transcript"
        assert heard.text == SPOKEN
        assert heard.cost_usd == pytest.approx((0.21) / 3600)


async def test_what_timed_out_on_the_way_is_counted_as_spent() -> None:
    changes = {"rest_fallback_min_budget_s": 1.0, "timeout_s": 0.2}
    async with SimulatedAssemblyAi(Fault.STALL, SPOKEN) as server, adapter(server, **changes) as provider:
        heard = await hear(provider, budget_s=10.0)
    assert heard.cost_usd == pytest.approx((0.30 + 0.21) / 3600)


async def test_audio_that_is_too_long_for_one_call_goes_to_rest() -> None:
    async with SimulatedAssemblyAi(SPOKEN) as server, adapter(server) as provider:
        heard = await hear(provider, bytes(32_000 * 121), budget_s=20.0)
        assert [sent.path for sent in server.requests] == ["/v2/transcript"]
    assert heard.text == SPOKEN


async def test_rest_sends_a_wav_and_polls_until_it_is_ready() -> None:
    async with SimulatedAssemblyAi(SPOKEN, rest_latency=Latency(100)) as server:
        async with adapter(server, endpoint="rest", model="universal-2") as provider:
            assert isinstance(provider, AssemblyAIRest)
            heard = await hear(provider, keyterms=("soro",))
        (sent,) = server.requests
    assert (heard.text, heard.words[-1].end_s) == (SPOKEN, pytest.approx(1.0))
    assert sent.pcm == SECOND
    assert (sent.options["language_code"], sent.options["speech_models"]) == ("pt", ["universal-2"])
    assert sent.options["keyterms_prompt"] == ["soro"]


async def test_a_rest_transcript_is_deleted_once_read_and_also_when_nobody_waited_for_it() -> None:
    async with SimulatedAssemblyAi(SPOKEN, Fault.STALL, SPOKEN) as server:
        async with adapter(server, endpoint="rest") as provider:
            await hear(provider)
            with pytest.raises(SttTimeout):
                await hear(provider, budget_s=0.2)
        assert len(server.deleted) == 2
        async with adapter(server, endpoint="rest", delete_transcripts=False) as provider:
            await hear(provider)
        assert len(server.deleted) == 2


async def test_a_transcription_that_failed_at_the_vendor_is_unavailable() -> None:
    broken = {"status": "error", "error": f"could not understand {SPOKEN}", "text": None}
    async with SimulatedAssemblyAi(broken) as server, adapter(server, endpoint="rest") as provider:
        with pytest.raises(SttUnavailable) as raised:
            await hear(provider)
    assert SPOKEN not in str(raised.value)


@pytest.mark.parametrize("endpoint", ["sync", "rest"])
async def test_answers_of_another_shape_are_not_taken_for_words(endpoint: str) -> None:
    word = {"text": "soro", "start": 0, "end": 10, "confidence": 0.9}
    whole = {"text": SPOKEN, "words": [word], "confidence": 0.9, "audio_duration_ms": 1, "session_id": "s"}
    wrong: list[Step] = [
        {**whole, "text": None},
        {**whole, "text": ["soro"]},
        {**whole, "words": [{**word, "start": "soon"}]},
        {**whole, "words": [{"start": 1}]},
        {**whole, "words": "soro"},
        {"status": "no such status"} if endpoint == "rest" else {},
    ]
    async with SimulatedAssemblyAi(*wrong) as server, adapter(server, endpoint=endpoint) as provider:
        for answer in wrong:
            with pytest.raises(SttError) as raised:
                await hear(provider)
            assert (answer, type(raised.value)) == (answer, SttUnavailable)


async def test_the_sdks_own_environment_variables_do_not_move_the_audio_elsewhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ASSEMBLYAI_SYNC_BASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("ASSEMBLYAI_BASE_URL", "http://127.0.0.1:1")
    async with SimulatedAssemblyAi(SPOKEN) as server, adapter(server) as provider:
        assert (await hear(provider)).text == SPOKEN


async def test_twenty_utterances_take_no_longer_than_one() -> None:
    async with SimulatedAssemblyAi(latency=Latency(300)) as server, adapter(server, timeout_s=10.0) as provider:
        await provider.warm()
        started = time.monotonic()
        await asyncio.gather(*(hear(provider, budget_s=10.0) for _ in range(20)))
        assert time.monotonic() - started < 20 * 0.3 / 2


def test_a_misspelt_setting_or_an_empty_keyterm_is_refused_without_telling_the_key() -> None:
    with pytest.raises(ValidationError, match="base_url"):
        AssemblyAISettings.model_validate({"api_key": KEY, "base_url": "https://x"})
    with pytest.raises(ValidationError, match="empty term") as raised:
        AssemblyAISettings(api_key=SecretStr(KEY), keyterms=(" ",))
    assert KEY not in str(raised.value)


def test_the_settings_alone_do_not_import_the_sdk() -> None:
    program = (
        "import sys; import deployments.speech_to_text.settings\n"
        "print([name for name in ('assemblyai', 'elevenlabs', 'faster_whisper', 'ctranslate2') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]")


def test_the_endpoint_chooses_the_adapter() -> None:
    async def chosen() -> list[type[Any]]:
        providers = [build_assemblyai(AssemblyAISettings(endpoint=endpoint)) for endpoint in ("sync", "rest")]
        for provider in providers:
            await provider.close()
        return [type(provider) for provider in providers]

    assert asyncio.run(chosen()) == [AssemblyAI, AssemblyAIRest]
