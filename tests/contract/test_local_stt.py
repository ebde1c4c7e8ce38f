"""Whisper on the premises with a model that is made here: tiny, of random weights, and therefore wise to nothing."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.speech_to_text.adapter_settings import LocalSettings
from deployments.speech_to_text.local import build_local
from deployments.speech_to_text.local_whisper import LocalNotUsable, Whisper, check_local
from deployments.speech_to_text.port import SttTimeout
from tests.support.tiny_whisper import make


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("models") / "tiny")


def settings(model: Path, **changes: Any) -> LocalSettings:
    defaults = {"threads": 1, "max_new_tokens": 12, "min_free_memory_mb": 0, "start_limit_s": 60}
    return LocalSettings.model_validate({"model": str(model), **defaults, **changes})


def noise(seconds: float, seed: int = 1) -> bytes:
    random = np.random.default_rng(seed)
    return (random.standard_normal(int(seconds * 16_000)) * 3000).astype("<i2").tobytes()


async def test_a_whole_model_recognises_something_and_says_how_sure_it_is(model: Path) -> None:
    provider = build_local(settings(model))
    heard = await provider.transcribe(noise(1.0), keyterms=("dipirona",), budget_s=20.0)
    await provider.close()
    assert heard.text
    assert "<|" not in heard.text
    assert heard.no_speech is not None
    assert 0 <= heard.no_speech <= 1
    assert (heard.model, heard.cost_usd) == (str(model), 0.0)


def test_a_batch_gives_each_utterance_what_it_would_get_alone(model: Path) -> None:
    whisper = Whisper(settings(model))
    utterances = [noise(0.5, 2), noise(1.0, 3), noise(2.0, 4)]
    together = whisper.recognise(utterances, ())
    alone = [whisper.recognise([pcm], ())[0] for pcm in utterances]
    assert [one.text for one in together] == [one.text for one in alone]


def test_audio_of_more_than_half_a_minute_is_heard_to_its_end(model: Path) -> None:
    whisper = Whisper(settings(model))
    short, long = whisper.recognise([noise(1.0)], ())[0], whisper.recognise([noise(35.0)], ())[0]
    assert len(long.text.split()) > len(short.text.split())


def test_audio_that_the_model_takes_for_silence_is_empty(model: Path) -> None:
    doubtful = Whisper(settings(model, no_speech_threshold=0.0, log_prob_threshold=0.0))
    assert doubtful.recognise([noise(1.0)], ())[0].text == ""


async def test_a_deadline_is_kept_even_though_a_batch_cannot_be_stopped(model: Path) -> None:
    provider = build_local(settings(model, max_new_tokens=224))
    utterance = noise(8.0)
    for _ in range(3):  # a machine that is busy with something else may be late once
        started = asyncio.get_running_loop().time()
        with pytest.raises(SttTimeout):
            await provider.transcribe(utterance, keyterms=(), budget_s=0.01)
        late_s = asyncio.get_running_loop().time() - started - 0.01
        if late_s < 0.15:
            break
    await provider.close()
    assert late_s < 0.15


def test_a_model_that_is_not_there_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(LocalNotUsable, match=r"no-such-model.*local\.download"):
        check_local(settings(Path("no-such-model"), download_dir=str(tmp_path)))


def test_a_model_with_a_file_missing_is_refused_before_anything_is_fetched(model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(model, broken)
    (broken / "tokenizer.json").unlink()
    with pytest.raises(LocalNotUsable, match="has no tokenizer"):
        check_local(settings(broken))


def test_a_model_that_is_cut_short_is_refused(model: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut"
    shutil.copytree(model, cut)
    whole = (cut / "model.bin").read_bytes()
    (cut / "model.bin").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(LocalNotUsable, match="cannot be loaded"):
        Whisper(settings(cut))


def test_a_machine_without_the_memory_the_cores_or_the_speed_is_refused(model: Path) -> None:
    with pytest.raises(LocalNotUsable, match="MB are free; use a smaller model"):
        check_local(settings(model, min_free_memory_mb=10**9))
    with pytest.raises(LocalNotUsable, match="64 on a machine with"):
        check_local(settings(model, threads=64))
    with pytest.raises(LocalNotUsable, match="too small"):
        Whisper(settings(model, start_limit_s=1e-6))


def test_a_model_that_knows_only_english_is_refused_for_portuguese(tmp_path: Path) -> None:
    with pytest.raises(LocalNotUsable, match="English only"):
        Whisper(settings(make(tmp_path / "english", multilingual=False)))


def test_a_language_that_whisper_does_not_know_is_refused(model: Path) -> None:
    with pytest.raises(LocalNotUsable, match="cannot be loaded"):
        Whisper(settings(model, language_code="por"))


def test_a_type_that_the_library_does_not_know_is_refused(model: Path) -> None:
    with pytest.raises(LocalNotUsable, match="cannot be loaded"):
        Whisper(settings(model, compute_type="int3"))
