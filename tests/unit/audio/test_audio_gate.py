"""The noise floor stands on the shop's noise, not on the talk in it."""

import numpy as np
import pytest

from audio.segmenter import Segmenter
from audio.settings import SegmenterSettings

DEFAULTS = SegmenterSettings()


def floors(sounds, signal, segmenter=None, step_s=0.5):
    """The floor after every half second."""
    segmenter = segmenter or Segmenter(DEFAULTS)
    pcm, step = sounds.pcm(signal), int(step_s * 32_000)
    seen = []
    for at in range(0, len(pcm), step):
        segmenter.feed(pcm[at : at + step])
        seen.append(segmenter.noise_floor_dbfs)
    return seen


@pytest.mark.parametrize("dbfs", [-65, -50, -35])
def test_the_floor_finds_a_steady_noise_of_any_level(sounds, dbfs):
    assert floors(sounds, sounds.noise(4, dbfs))[-1] == pytest.approx(dbfs, abs=1)


@pytest.mark.parametrize("step_db", [-15, 6, 15, 25])
def test_the_floor_follows_a_step_of_the_noise_within_three_seconds(sounds, step_db):
    signal = np.concatenate([sounds.noise(6, -55), sounds.noise(3, -55 + step_db, seed=1)])
    assert floors(sounds, signal)[-1] == pytest.approx(-55 + step_db, abs=1.5)


@pytest.mark.parametrize("snr_db", [10, 20])
def test_the_floor_does_not_climb_into_dense_speech(sounds, snr_db):
    pieces = [sounds.noise(0, -20)]
    for _ in range(20):  # 30 s, more than 80 % speech
        pieces += [sounds.speech(-25), sounds.quiet(0.25)]
    talk = sounds.over(np.concatenate([sounds.quiet(3), *pieces]), -25 - snr_db)
    assert max(floors(sounds, talk)[6:]) <= -25 - snr_db + 3


def test_a_stream_that_begins_with_talk_does_not_take_it_for_the_floor(sounds):
    segmenter = Segmenter(DEFAULTS)
    segmenter.feed(sounds.pcm(sounds.speech(-20)))
    assert segmenter.speaking
    assert segmenter.noise_floor_dbfs <= -55


def test_digital_silence_has_a_hard_floor(sounds):
    segmenter = Segmenter(DEFAULTS)
    dither = np.random.default_rng(0).integers(-1, 2, 16_000) / 32768
    found = segmenter.feed(sounds.pcm(sounds.quiet(5), dither, sounds.quiet(2)))
    assert found == []
    assert segmenter.noise_floor_dbfs == -72
    assert segmenter.threshold_dbfs == -68


@pytest.mark.parametrize("dbfs", [-52, -12])
def test_whispering_and_shouting_are_heard(sounds, dbfs):
    segmenter = Segmenter(DEFAULTS)
    signal = np.concatenate([sounds.quiet(2), sounds.speech(dbfs), sounds.quiet(1)])
    assert len(segmenter.feed(sounds.pcm(sounds.over(signal, -80)))) == 1


def test_the_absolute_floor_of_a_counter_is_honoured(sounds):
    deaf = Segmenter(SegmenterSettings(min_energy_rms=3000))
    signal = np.concatenate([sounds.quiet(1), sounds.speech(-40), sounds.quiet(1)])
    assert deaf.feed(sounds.pcm(signal)) == []
    assert deaf.threshold_dbfs == pytest.approx(20 * np.log10(3000 / 32768))


def test_steady_noise_alone_is_no_utterance(sounds):
    segmenter = Segmenter(DEFAULTS)
    assert segmenter.feed(sounds.pcm(sounds.noise(20, -35))) + segmenter.flush() == []
