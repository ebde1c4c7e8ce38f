"""Records survive the way through the outbox's JSON, whatever they hold."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from telemetry_fakes import NOW, feedback, interaction

from deployments.telemetry.records import Interaction
from deployments.telemetry.rows import TABLES, decode, encode, microseconds, readable


def test_an_interaction_comes_back_with_every_field_and_its_microseconds():
    record = interaction(
        1, snr_db=12.5, band_energies_db=(1.0, -2.5), items=[{"id": "a"}], entities={"medicines": ["x"]}
    )
    row = encode(record, NOW)
    back = readable(decode(row.kind, row.payload))
    assert back["speech_ended_at"] == NOW
    assert back["speech_ended_at"].microsecond == 123456
    assert (back["snr_db"], back["band_energies_db"], back["items"]) == (12.5, [1.0, -2.5], [{"id": "a"}])
    assert back["entities"] == {"medicines": ["x"]}
    assert set(back) == {f.name for f in fields(Interaction)} | {"happened_at", "recorded_at"}


def test_a_feedback_comes_back_whole():
    row = encode(feedback(7), NOW)
    back = readable(decode(row.kind, row.payload))
    assert (row.row_id, back["result"], back["reported_at"]) == ("feedback:f-7", "aceita", NOW)


def test_instants_of_any_zone_are_kept_in_utc():
    there = datetime(2026, 11, 22, 9, 0, 0, 5, tzinfo=timezone(timedelta(hours=-3)))
    back = decode("interaction", encode(interaction(1, stt_sent_at=there), NOW).payload)
    assert back["stt_sent_at"].isoformat() == "2026-11-22T12:00:00.000005+00:00"


def test_an_instant_without_a_zone_is_refused_by_name():
    with pytest.raises(ValueError, match="stt_sent_at"):
        encode(interaction(1, stt_sent_at=datetime(2026, 1, 1)), NOW)


def test_what_no_database_can_hold_is_replaced_so_that_the_row_is_written_anyway():
    record = interaction(
        1, text="dor\0 de \ud83d cabeça", snr_db=math.inf, pitch_mean_hz=math.nan, gate_settings={"a": math.nan}
    )
    back = readable(decode("interaction", encode(record, NOW).payload))
    assert back["text"] == "dor de ? cabeça"
    assert (back["snr_db"], back["pitch_mean_hz"], back["gate_settings"]) == (None, None, {"a": None})


def test_figures_of_numpy_are_plain_numbers():
    back = decode("interaction", encode(interaction(1, snr_db=np.float32(1.5), rms_max=np.float64(2.5)), NOW).payload)
    assert (back["snr_db"], back["rms_max"]) == (1.5, 2.5)


def test_an_older_payload_takes_defaults_and_a_newer_one_loses_what_we_do_not_know():
    payload = json.loads(encode(interaction(1), NOW).payload)
    del payload["stt_provider"]
    payload["invented_later"] = 1
    back = decode("interaction", json.dumps(payload))
    assert back["stt_provider"] == ""
    assert "invented_later" not in back


def test_an_interaction_happened_when_speech_ended_or_else_when_it_was_heard_or_recorded():
    earlier = NOW - timedelta(seconds=5)
    typed = interaction(1, speech_ended_at=None)
    heard = interaction(1, speech_ended_at=None, audio_received_at=earlier)
    assert decode("interaction", encode(typed, NOW).payload)["happened_at"] == NOW
    assert decode("interaction", encode(heard, NOW).payload)["happened_at"] == earlier


def test_the_key_of_each_table_is_one_of_its_columns():
    assert all(table.key in table.columns for table in TABLES.values())


@settings(max_examples=50, deadline=None)
@given(st.text(), st.floats(), st.datetimes(timezones=st.just(timezone.utc)))
def test_any_text_number_and_instant_makes_a_row_of_valid_utf8_json(text: str, number: float, instant: datetime):
    row = encode(interaction(1, text=text, snr_db=number, speech_ended_at=instant), NOW)
    assert "\0" not in row.payload.encode("utf-8").decode()
    back = decode("interaction", row.payload)
    assert back["speech_ended_at"] == instant
    assert microseconds(back["speech_ended_at"]) == microseconds(instant)
    assert back["snr_db"] is None or back["snr_db"] == number
