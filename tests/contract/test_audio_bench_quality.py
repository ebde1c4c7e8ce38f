"""The bench's own rulers are right: on signals and sentences whose answer is known."""

import numpy as np
import pytest

from bench.hearing.denoise import Row, as_text, variants
from bench.hearing.quality import cut_share, si_sdr_db, word_errors


@pytest.mark.parametrize(
    ("heard", "errors"),
    [
        ("tem dipirona em gotas", 0),
        ("tem em gotas", 1),
        ("tem a dipirona em gotas", 1),
        ("tem aspirina em gotas", 1),
        ("", 4),
        ("gotas em dipirona tem", 4),
    ],
)
def test_word_errors_are_the_least_insertions_omissions_and_replacements(heard, errors):
    assert word_errors(["tem", "dipirona", "em", "gotas"], heard.split()) == errors


def test_si_sdr_is_the_snr_of_added_noise_at_any_scale(sounds):
    speech, noise = sounds.speech(-25), sounds.noise(sounds.sentence_s, -45)[: len(sounds.sentence)]
    assert si_sdr_db(speech, speech + noise) == pytest.approx(20, abs=0.5)
    assert si_sdr_db(speech, 3 * (speech + noise)) == pytest.approx(si_sdr_db(speech, speech + noise))


def test_frames_that_lose_more_than_ten_decibels_are_cut(sounds):
    tone = np.sin(np.arange(48_000))
    halved = tone.copy()
    halved[24_000:] *= 10 ** (-12 / 20)
    assert cut_share(tone, tone) == 0
    assert cut_share(tone, halved) == pytest.approx(0.5)
    assert cut_share(tone, tone * 10 ** (-8 / 20)) == 0


def test_cleaning_with_a_profile_cuts_no_speech_and_without_one_it_does(sounds):
    speech = np.tile(sounds.speech(-25), 2)
    noise = sounds.noise(len(speech) / 16_000 + 1, -45)
    made = variants(speech + noise[16_000 : 16_000 + len(speech)], noise[:16_000])
    cut = {name: cut_share(speech, estimate) for name, estimate in made.items()}
    assert cut["raw"] == cut[".6"] == 0
    assert cut["own .85"] > 0.2


def test_the_table_ends_with_the_means_over_the_noises():
    rows = [Row("fan", 10.0, {"STOI": {"raw": 0.8, ".6": 0.9}}), Row("hum", 10.0, {"STOI": {"raw": 0.6, ".6": 0.8}})]
    assert as_text(rows).splitlines() == [
        "| noise | SNR | STOI: raw, .6 |",
        "|---|---|---|",
        "| fan | 10 dB | 0.80 / 0.90 |",
        "| hum | 10 dB | 0.60 / 0.80 |",
        "| **mean** | 10 dB | 0.70 / 0.85 |",
    ]
