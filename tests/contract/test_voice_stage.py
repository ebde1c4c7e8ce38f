"""The voice stage lets speech pass, discards the rest with its reason, and keeps the event loop free."""

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from audio.silero import Silero, SileroUnavailable
from deployments.voice.confirm import Bypass, make_confirmer
from deployments.voice.messages import VoiceRequest
from deployments.voice.settings import VoiceSettings
from deployments.voice.stage import Voice

RATE = 16_000
FALA = (Path(__file__).parents[1] / "data" / "fala.wav").read_bytes()[44:]
SPEECH = np.frombuffer(FALA, "<i2") / 32768
OFF = VoiceSettings(denoise="off", confirm="off")


class ScriptedConfirmer:
    """Answers what the test says, and remembers in which thread it was asked."""

    name = "silero"

    def __init__(self, answer):
        self.answer = answer
        self.threads = []

    def confidence(self, samples, enough):
        self.threads.append(threading.current_thread())
        return self.answer


class CountingMetrics:
    """Keeps what was counted."""

    def __init__(self):
        self.counted = []

    def count(self, name, value=1.0, **labels):
        self.counted.append((name, labels))

    def observe_ms(self, name, value_ms, **labels):
        pass

    def gauge(self, name, value, **labels):
        pass


def noise(seconds, dbfs, seed=0):
    white = np.random.default_rng(seed).normal(size=int(seconds * RATE))
    return white * 10 ** (dbfs / 20)


def pcm(samples):
    return np.clip(np.rint(samples * 32768), -32768, 32767).astype("<i2").tobytes()


def request(samples=SPEECH, floor=-60.0, budget_s=3.0, background=None):
    return VoiceRequest("u1", pcm(samples), pcm(noise(1, floor) if background is None else background), floor, budget_s)


async def examine(settings, asked, confirmer=None, metrics=None):
    voice = Voice(settings, metrics, confirmer)
    try:
        return await voice.examine(asked), await voice.health()
    finally:
        await voice.close()


async def test_confirmed_speech_passes_with_its_figures():
    report, health = await examine(OFF, request(), ScriptedConfirmer(0.93))
    assert (report.discard, report.confidence, report.confirmer) == (None, 0.93, "silero")
    assert report.metrics.duration_s == pytest.approx(len(SPEECH) / RATE)
    assert 70 < report.metrics.pitch_mean_hz < 200
    assert report.elapsed_ms > 0
    assert health["counts"] == {"fala": 1}


async def test_what_the_confirmer_does_not_take_for_speech_is_discarded_and_counted():
    metrics = CountingMetrics()
    report, _ = await examine(OFF, request(), ScriptedConfirmer(0.2), metrics)
    assert (report.discard, report.confidence) == ("sem_fala", 0.2)
    assert ("voice_utterances_total", {"outcome": "sem_fala"}) in metrics.counted


async def test_too_short_a_sound_is_discarded_without_asking_the_confirmer():
    confirmer = ScriptedConfirmer(1.0)
    blip = np.concatenate([noise(0.5, -60), noise(0.05, -20), noise(0.5, -60)])
    report, _ = await examine(OFF, request(blip), confirmer)
    assert report.discard == "curto_demais"
    assert confirmer.threads == []


async def test_a_spent_budget_is_discarded_but_measured():
    confirmer = ScriptedConfirmer(1.0)
    report, _ = await examine(OFF, request(budget_s=0.0), confirmer)
    assert report.discard == "prazo"
    assert report.metrics.rms_mean > 0
    assert confirmer.threads == []


async def test_the_work_is_never_done_on_the_event_loop():
    confirmer = ScriptedConfirmer(1.0)
    await examine(OFF, request(), confirmer)
    assert confirmer.threads != [threading.main_thread()]


async def test_several_utterances_are_examined_at_once():
    voice = Voice(OFF, confirmer=ScriptedConfirmer(1.0))
    reports = await asyncio.gather(*(voice.examine(request()) for _ in range(6)))
    assert [r.discard for r in reports] == [None] * 6
    await voice.close()


@pytest.mark.parametrize(("policy", "floor", "cleans"), [("off", -20.0, False), ("auto", -60.0, False)])
async def test_without_need_nothing_is_cleaned(policy, floor, cleans):
    settings = VoiceSettings(denoise="off", confirm="off") if policy == "off" else AUTO
    report, _ = await examine(settings, request(floor=floor), ScriptedConfirmer(1.0))
    assert (report.cleaned_pcm is not None) == cleans
    assert report.denoise_gain_db is None


AUTO = VoiceSettings(denoise="auto", confirm="off")


async def test_in_a_loud_shop_the_utterance_is_cleaned_and_the_change_told():
    noisy = np.concatenate([np.zeros(RATE // 2), SPEECH])
    noisy = noisy + noise(len(noisy) / RATE + 1, -29, seed=3)[: len(noisy)]
    report, health = await examine(AUTO, request(noisy, floor=-29.0), ScriptedConfirmer(1.0))
    assert report.metrics.snr_db < AUTO.denoise_below_snr_db
    assert len(report.cleaned_pcm) == 2 * len(noisy)
    assert -25 < report.denoise_gain_db < -3
    assert health["counts"]["limpo"] == 1


async def test_where_the_cleaned_audio_is_not_wanted_cleaning_is_due_and_asked_for_apart():
    voice = Voice(VoiceSettings(denoise="on"), None, ScriptedConfirmer(1.0))
    asked = replace(request(floor=-40.0), wants_cleaned=False)
    try:
        report = await voice.examine(asked)
        gain_db = await voice.clean(asked)
        late = await voice.clean(replace(asked, budget_s=0.0))
    finally:
        await voice.close()
    assert (report.cleaning_due, report.cleaned_pcm, report.denoise_gain_db) == (True, None, None)
    assert gain_db is not None
    assert gain_db < 0
    assert late is None


async def test_a_discarded_utterance_is_never_due_for_cleaning():
    asked = replace(request(), wants_cleaned=False)
    report, _ = await examine(VoiceSettings(denoise="on"), asked, ScriptedConfirmer(0.0))
    assert (report.discard, report.cleaning_due) == ("sem_fala", False)


async def test_without_a_background_nothing_is_cleaned():
    settings = VoiceSettings(denoise="on", confirm="off")
    report, _ = await examine(settings, request(background=np.zeros(100)), ScriptedConfirmer(1.0))
    assert (report.cleaned_pcm, report.denoise_gain_db) == (None, None)


async def test_a_discarded_utterance_is_not_cleaned():
    settings = VoiceSettings(denoise="on", confirm="off")
    report, _ = await examine(settings, request(), ScriptedConfirmer(0.0))
    assert report.cleaned_pcm is None


async def test_a_bypass_that_nobody_wanted_is_visible():
    metrics = CountingMetrics()
    report, health = await examine(VoiceSettings(denoise="off"), request(), Bypass(), metrics)
    assert (report.discard, report.confidence, report.confirmer) == (None, 1.0, "bypass")
    assert health["degraded"] is True
    assert ("voice_confirm_bypassed_total", {}) in metrics.counted


async def test_a_bypass_that_was_asked_for_is_not_degraded():
    report, health = await examine(OFF, request())
    assert report.confirmer == "bypass"
    assert health["degraded"] is False


def test_the_real_model_tells_speech_from_noise_and_from_a_beep():
    silero = make_confirmer("silero")
    beep = 0.3 * np.sin(2 * np.pi * 2000 * np.arange(RATE) / RATE)
    assert silero.confidence(SPEECH.astype(np.float32), 0.5) > 0.8
    assert silero.confidence(noise(2, -25).astype(np.float32), 0.5) < 0.3
    assert silero.confidence(beep.astype(np.float32), 0.5) < 0.3
    assert silero.confidence(np.zeros(0, np.float32), 0.5) < 0.3


def test_soft_speech_beside_a_loud_slam_is_still_speech():
    slam = noise(0.9, -8) * np.exp(-np.arange(int(0.9 * RATE)) / 4000)
    mixed = np.concatenate([SPEECH * 0.1, np.zeros(RATE), slam]).astype(np.float32)
    assert Silero().confidence(mixed, 0.5) > 0.5


def test_a_model_that_cannot_be_loaded_is_said_once_and_bypassed(monkeypatch, caplog):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SileroUnavailable, match="FileNotFoundError"):
        Silero()
    with caplog.at_level("WARNING", logger="balto.voice"):
        assert make_confirmer("silero").name == "bypass"
    assert [record.getMessage() for record in caplog.records] == ["confirmer_unavailable"]
