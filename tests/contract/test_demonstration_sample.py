"""The demonstration recogniser with its real model and the bundled conversation."""

import json
import wave
from pathlib import Path

from deployments.speech_to_text.port import TranscriptionRequest
from deployments.speech_to_text.settings import SpeechToTextSettings
from deployments.speech_to_text.stage import SpeechToText

SAMPLES = Path(__file__).parents[2] / "samples"


def pcm_between(start_s: float, end_s: float) -> bytes:
    with wave.open(str(SAMPLES / "balcao.wav")) as file:
        file.setpos(round(start_s * 16_000))
        return file.readframes(round((end_s - start_s) * 16_000))


async def test_it_hears_the_customers_of_the_sample_that_the_truth_expects_of_it() -> None:
    truth = json.loads((SAMPLES / "balcao.json").read_text("utf-8"))
    expected = [line for line in truth if line["expected_of_demonstration"]]
    stage = SpeechToText(SpeechToTextSettings(provider="demonstracao"))
    try:
        for line in expected:
            pcm = pcm_between(line["start_s"] - 0.4, line["end_s"] + 0.4)
            answer = await stage.transcribe(TranscriptionRequest("u", pcm, 10.0))
            complaint = line["text"].rstrip(".?").lower().split(" com ")[-1].split(" para ")[-1]
            assert complaint in answer.text
            assert (answer.status, answer.simulated, answer.cost_usd) == ("ok", True, 0.0)
    finally:
        await stage.close()
    assert len(expected) >= 3
