"""Counters under load say what the script says, and what became of it is counted without mercy."""

import json
from itertools import pairwise

import numpy as np
import pytest

from audio.decode import decoder_for
from bench.load.counter import CounterSeen
from bench.load.figures import Cost, ledger_of
from bench.load.frames import BINARY, CLOSE, TEXT, FrameInvalid, FrameReader, frame
from bench.load.generator import GeneratorPlan, phase_ms
from bench.load.script import LOOP_MS, PHASE_MS, Loop, loop
from bench.load.simulators import SURE, TEXTS, UNSURE
from bench.load.sizing import Vps, counters_a_vps, size_of
from bench.load.stream import stream_of, webm_of

SAMPLE_RATE_HZ = 16_000


@pytest.fixture(scope="module")
def said():
    return loop()


def test_a_loop_says_six_utterances_of_some_four_and_a_half_seconds(said):
    lengths = [one.end_s - one.begin_s for one in said.said]
    assert len(lengths) == 6
    assert 4.2 < sum(lengths) / 6 < 4.5
    assert len(said.samples) == LOOP_MS * SAMPLE_RATE_HZ // 1000


def test_where_nothing_is_said_there_is_only_noise(said):
    silent = said.samples.astype(float)
    for one in said.said:
        silent[int((one.begin_s - 0.05) * SAMPLE_RATE_HZ) : int((one.end_s + 0.05) * SAMPLE_RATE_HZ)] = 0
    assert 20 * np.log10(np.sqrt(np.mean(silent**2)) / 32768) < -55


def test_customers_are_further_apart_than_what_they_say(said):
    gaps = [b.begin_s - a.end_s for a, b in pairwise(said.said)]
    assert [gap > 4.5 for gap in gaps] == [False, False, True, False, False]
    assert LOOP_MS / 1000 - said.said[-1].end_s + said.said[0].begin_s > 4.5


def test_a_stream_that_begins_in_the_middle_says_what_is_left_and_then_all_of_it_again(said):
    whole = said.spoken(0, 60.0)
    late = said.spoken(30_000, 60.0)
    assert [round(one.begin_s + 30.0, 6) for one in late[:3]] == [round(one.begin_s, 6) for one in whole[3:6]]
    assert late[3].begin_s == pytest.approx(22.5 + whole[0].begin_s)
    assert all(one.end_s <= 60.0 for one in late)


@pytest.mark.parametrize("chunk_ms", [60, 250])
def test_the_pieces_of_pcm_are_the_loop(said, chunk_ms):
    stream = stream_of(said, "pcm", chunk_ms)
    assert b"".join(stream.pieces) == said.pcm
    assert {len(piece) for piece in stream.pieces} == {chunk_ms * 32}


def test_the_pieces_of_webm_decode_to_the_loop_and_go_on_without_a_seam(said):
    start = int((said.said[0].begin_s - 1.0) * SAMPLE_RATE_HZ)
    short = Loop(said.samples[start : start + 3 * SAMPLE_RATE_HZ], ())
    stream = stream_of(short, "webm", 250)
    decoder = decoder_for(None)
    pcm = decoder.feed(stream.head) + b"".join(decoder.feed(piece) for piece in (*stream.pieces, *stream.pieces[:6]))
    assert len(pcm) / 32 == pytest.approx(4500, abs=10)
    loud = np.abs(np.frombuffer(pcm, "<i2").astype(float))
    assert loud[int(1.2 * SAMPLE_RATE_HZ) : int(2.8 * SAMPLE_RATE_HZ)].mean() > 20 * loud[: SAMPLE_RATE_HZ // 2].mean()


def test_any_pcm_becomes_one_webm():
    tone = (8000 * np.sin(np.arange(16_100) / 5)).astype("<i2").tobytes()
    assert len(decoder_for("webm_opus").feed(webm_of(tone))) / 32 == pytest.approx(1020, abs=10)


def test_pieces_that_leave_a_seam_are_refused_with_those_that_do_not(said):
    with pytest.raises(ValueError, match="250"):
        stream_of(said, "pcm", 70)


def test_neighbouring_counters_are_at_other_places_of_the_loop():
    phases = [phase_ms(number) for number in range(LOOP_MS // PHASE_MS)]
    assert len(set(phases)) == LOOP_MS // PHASE_MS
    assert all(abs(a - b) >= 10_000 for a, b in pairwise(phases))


@pytest.mark.parametrize("size", [0, 125, 126, 70_000])
def test_a_servers_frames_are_read_whatever_pieces_they_come_in(size):
    payload = b"x" * size
    masked = frame(BINARY, payload)
    length = bytes((masked[1] & 0x7F,)) + masked[2 : len(masked) - size - 4]
    data = masked[:1] + length + payload + b"\x81\x02{}" + b"\x88\x02\x03\xe8"
    step = max(1, len(data) // 7)
    reader = FrameReader()
    found = [one for at in range(0, len(data), step) for one in reader.feed(data[at : at + step])]
    assert found == [(BINARY, payload), (TEXT, b"{}"), (CLOSE, b"\x03\xe8")]


def test_a_frame_that_no_server_sends_is_refused():
    with pytest.raises(FrameInvalid):
        list(FrameReader().feed(b"\x01\x00"))


def test_a_generators_plan_survives_its_journey():
    plan = GeneratorPlan("ws://h/ws", ("a", "b"), (0, 1), 4, "webm", 60, 25.0)
    assert GeneratorPlan.read(plan.document()) == plan


def test_every_other_text_is_one_that_the_rules_leave_to_the_model():
    assert len(set(TEXTS)) == len(SURE) + len(UNSURE)
    assert TEXTS[::2] == SURE
    assert TEXTS[1::2] == UNSURE


def row(one, number, *, outcome="sugerido", origin="regras"):
    return {
        "first_sample": round(one.begin_s * SAMPLE_RATE_HZ) - 3000,
        "end_sample": round(one.end_s * SAMPLE_RATE_HZ) + 3000,
        "outcome": outcome,
        "advice_origin": origin,
        "suggestion_id": f"s{number}",
        "sent_to_counter_at": "2026-11-22T12:00:00+00:00" if outcome == "sugerido" else None,
    }


NOON = 1_795_348_800.0
"""2026-11-22T12:00:00Z."""


@pytest.fixture
def heard(said):
    """A counter that streamed one loop around noon, and the rows of all that it said."""
    spoken = said.spoken(0, 52.5 - 4.0)
    seen = CounterSeen(0, 0, began_at=NOON - 30, pieces=210)
    rows = [row(one, number, origin=("regras", "llm")[number % 2]) for number, one in enumerate(spoken)]
    seen.suggestions = {f"s{n}": [seen.began_at + one.end_s + 0.4 + n % 2] for n, one in enumerate(spoken)}
    return seen, rows


def counted(said, seen, rows):
    return ledger_of(said, seen, rows, 250, (0.0, 2 * NOON))


def test_what_was_heard_and_shown_once_is_neither_lost_nor_twice(said, heard):
    found = counted(said, *heard)
    assert found.said == found.heard == len(heard[1])
    assert (found.lost, found.doubled_rows, found.doubled_suggestions, found.undelivered) == (0, 0, 0, 0)


def test_the_delay_runs_from_the_last_sound_of_the_words_by_who_answered(said, heard):
    found = counted(said, *heard).speech_ms
    assert found["regras"] == pytest.approx([400.0] * len(found["regras"]), abs=0.1)
    assert found["llm"] == pytest.approx([1400.0] * len(found["llm"]), abs=0.1)


def test_what_is_in_no_row_is_lost(said, heard):
    seen, rows = heard
    assert counted(said, seen, rows[1:]).lost == 1


def test_a_row_that_says_so_is_lost_too(said, heard):
    seen, rows = heard
    rows[2]["outcome"] = "perdido"
    assert counted(said, seen, rows).lost == 1


def test_the_same_piece_of_the_stream_in_two_rows_is_told(said, heard):
    seen, rows = heard
    assert counted(said, seen, [*rows, dict(rows[0])]).doubled_rows == 1


def test_a_suggestion_that_came_twice_or_never_is_told(said, heard):
    seen, rows = heard
    seen.suggestions["s0"] *= 2
    del seen.suggestions["s1"]
    found = counted(said, seen, rows)
    assert (found.doubled_suggestions, found.undelivered) == (1, 1)


def test_what_is_said_outside_the_window_is_not_counted(said, heard):
    assert ledger_of(said, *heard, 250, (0.0, 1.0)).said == 0


def test_a_counter_that_never_got_in_lost_nothing(said):
    assert counted(said, CounterSeen(0, 0), []).said == 0


def test_a_counter_costs_what_the_idle_service_does_not():
    cost = Cost(
        100, {"CounterIngress": 0.30, "haproxy": 0.05, "raylet": 0.06}, {"raylet": 0.05, "CounterIngress": 0.01}
    )
    assert cost.total_ms == pytest.approx(3.5)
    assert cost.counters_per_core == pytest.approx(285.7, abs=0.1)
    assert cost.counters_per_core_all_in == pytest.approx(243.9, abs=0.1)
    assert next(iter(cost.ms_per_counter_s.items())) == ("CounterIngress", pytest.approx(2.9))


def test_what_a_counter_saw_travels_as_json():
    seen = CounterSeen(3, 1500, suggestions={"a": [1.0]})
    assert CounterSeen(**json.loads(json.dumps(seen.document()))) == seen


def test_a_machine_holds_what_its_scarcer_half_holds():
    assert counters_a_vps(Vps(idle_cores=0.2), 5.0, 450.0) == (200, "cpu")
    assert counters_a_vps(Vps(memory_mb=2200), 1.0, 1000.0) == (60, "memory")
    with pytest.raises(ValueError, match="no room"):
        counters_a_vps(Vps(memory_mb=2000), 5.0, 450.0)


def test_one_machine_may_be_lost_at_the_busiest_hour():
    few, many = (size_of(counters, Vps(idle_cores=0.2), 5.0, 450.0) for counters in (100, 1000))
    assert (few.vpses, few.bound_by) == (2, "spare")
    assert (many.vpses, many.bound_by) == (6, "cpu")
    assert many.eur_per_counter_month == pytest.approx(0.03)
    assert many.recogniser_at_once == pytest.approx(34.3, abs=0.1)
