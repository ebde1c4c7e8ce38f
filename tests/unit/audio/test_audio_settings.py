"""A counter's own gate settings: honoured, or refused with a reason."""

import math

import pytest

from audio.errors import VadSettingsInvalid
from audio.settings import SegmenterSettings, with_vad_settings

BASE = SegmenterSettings(min_energy_rms=50)


@pytest.mark.parametrize(("multiplier", "margin_db"), [(1, 0), (1.5, 3.522), (1.8, 5.105), (100, 40)])
def test_the_multiplier_is_a_margin_in_db(multiplier, margin_db):
    changed = with_vad_settings(BASE, {"threshold_multiplier": multiplier})
    assert changed.margin_db == pytest.approx(margin_db, abs=0.001)
    assert changed.min_energy_rms == 50


@pytest.mark.parametrize("name", ["min_energy", "min_energy_threshold"])
def test_the_minimum_energy_has_two_names(name):
    assert with_vad_settings(BASE, {name: 120.0}).min_energy_rms == 120


def test_the_newer_name_wins_and_zero_unsets():
    assert with_vad_settings(BASE, {"min_energy": 0, "min_energy_threshold": 300}).min_energy_rms is None


def test_unknown_and_empty_fields_change_nothing():
    assert with_vad_settings(BASE, {"sensibilidade": "alta", "min_energy": None}) == BASE


@pytest.mark.parametrize("value", ["1.5", True, [1], math.nan, math.inf, 0.5, -1, 1000])
def test_a_bad_multiplier_is_refused_by_name(value):
    with pytest.raises(VadSettingsInvalid, match="threshold_multiplier"):
        with_vad_settings(BASE, {"threshold_multiplier": value})


@pytest.mark.parametrize("value", ["120", False, -1, 40_000, math.nan])
def test_a_bad_minimum_energy_is_refused_by_name(value):
    with pytest.raises(VadSettingsInvalid, match="min_energy"):
        with_vad_settings(BASE, {"min_energy": value})
