"""What a fault costs is counted against the script, and a figure that could not be had meets no bar."""

import asyncio
import math

import pytest

from bench.faults.abuse import KINDS, Abuser
from bench.faults.bars import bar
from bench.faults.growth import _back_after_s, _flaps
from bench.faults.service import TWO_EACH, shipped_with
from bench.faults.talking import CHUNK_MS, Account, LoopSource, Talker, account_of, lost_of
from bench.load.script import Loop, Said, loop
from serve_app.client import ClientSettings, Event

SAID = [Said(1.0, 5.0), Said(7.0, 9.0)]


def row(begin_s, end_s, outcome="nada", suggestion_id=None):
    first, end = int(begin_s * 16_000), int(end_s * 16_000)
    return {"first_sample": first, "end_sample": end, "outcome": outcome, "suggestion_id": suggestion_id}


@pytest.mark.parametrize(
    ("rows", "lost"),
    [
        ([row(0.8, 5.2), row(6.8, 9.2)], 0),
        ([row(0.8, 3.1), row(6.8, 9.2)], 0),
        ([row(0.8, 2.9), row(6.8, 9.2)], 1),
        ([row(0.8, 2.4), row(2.6, 5.0), row(6.8, 9.2, outcome="perdido")], 1),
        ([], 2),
    ],
)
def test_what_is_said_is_lost_when_rows_cover_less_than_half_of_it(rows, lost):
    assert lost_of(SAID, rows) == lost


def a_talker(pieces, events=()):
    script = loop()
    talker = Talker("ws://127.0.0.1:1/ws", "bk_x", 0, script, script.pcm, asyncio.Event())
    talker.source.pieces = pieces
    talker.client.stream_started_s = 0.5
    talker.events = list(events)
    return talker


def test_a_delay_is_from_the_scripts_last_sound_to_the_words():
    pieces = loop().length_ms // CHUNK_MS
    one = a_talker(pieces).said[0]
    heard = {"inicio_ms": (one.begin_s - 0.2) * 1000, "fim_ms": (one.end_s + 0.2) * 1000}
    [(at, delay_s)] = a_talker(pieces, [Event(0.5 + one.end_s + 0.7, "ouvido", heard)]).delays()
    assert at == pytest.approx(0.5 + one.end_s)
    assert delay_s == pytest.approx(0.7)


def test_an_account_counts_what_was_said_lost_shown_twice_and_who_gave_up():
    talker = a_talker(
        loop().length_ms // CHUNK_MS,
        [
            Event(1.0, "connected"),
            Event(2.0, "reconnecting"),
            Event(3.5, "connected"),
            Event(4.0, "recomendar", {"id": "a"}),
        ],
    )
    talker.failed = "Refused"
    whole = [row(one.begin_s, one.end_s) for one in talker.said]
    assert account_of([talker], [whole]).lost == 0
    account = account_of([talker], [whole[1:]])
    assert (account.said, account.lost, account.twice, account.gave_up) == (len(talker.said), 1, 0, 1)
    assert (account.reconnections, account.longest_silence_s) == (1, 1.5)


def test_waits_are_those_of_what_was_said_meanwhile():
    account = Account(delays=[(10.0, 0.5), (20.0, 0.9), (30.0, 0.6)])
    assert account.waits(15.0, 25.0) == [0.9]
    assert account.p95_s(0.0, 40.0) == pytest.approx(0.87)
    assert math.isnan(account.p95_s(40.0, 50.0))


def test_a_figure_that_could_not_be_had_meets_no_bar():
    assert bar("x", 3.0, 3.0)["met"]
    assert not bar("x", 3.1, 3.0)["met"]
    for unknown in (float("nan"), float("inf")):
        assert bar("x", unknown, 3.0) == {"name": "x", "value": None, "limit": 3.0, "met": False}


def test_the_configuration_is_the_shipped_one_but_for_what_is_asked():
    as_shipped, two = shipped_with({}, "serve_app.build:build_app"), shipped_with(TWO_EACH, "serve_app.build:build_app")
    assert as_shipped != two
    for before, after in zip(
        as_shipped["applications"][0]["deployments"], two["applications"][0]["deployments"], strict=True
    ):
        if before["name"] in TWO_EACH:
            assert after["autoscaling_config"] == {**before["autoscaling_config"], "min_replicas": 2}
        else:
            assert after == before


def test_a_counter_streams_the_script_from_its_phase_on_until_it_is_over():
    script = Loop(loop().samples[: 16_000 * 2], ())

    async def pieces():
        over = asyncio.Event()
        source = LoopSource(script.pcm, 500, over)
        found = []
        async for piece in source.chunks(ClientSettings(chunk_ms=250)):
            found.append(piece)
            if len(found) == 8:
                over.set()
        return found

    found = asyncio.run(pieces())
    assert len(found) == 8
    assert b"".join(found) == script.pcm[16_000:] + script.pcm[:16_000]


def test_a_stage_flaps_when_it_grows_after_it_has_shrunk():
    def counts(*replicas):
        return [(float(at), n) for at, n in enumerate(replicas)]

    assert _flaps(counts(1, 2, 3, 3, 2, 1), 0.0) == 0
    assert _flaps(counts(1, 3, 2, 3, 2, 1), 0.0) == 1
    assert _flaps(counts(3, 2, 3, 3, 3, 3), 2.0) == 0


def test_the_delay_is_back_from_when_it_stays_back():
    slow, quick = [(float(at), 2.0) for at in range(20)], [(float(at), 0.7) for at in range(20, 90)]
    back_s = _back_after_s(Account(delays=[*slow, *quick]), 0.0, 90.0, 1.0)
    assert 15 <= back_s <= 25
    assert _back_after_s(Account(delays=slow), 0.0, 90.0, 1.0) == math.inf


def test_every_kind_of_abuse_is_one_that_can_be_done():
    assert all(asyncio.iscoroutinefunction(getattr(Abuser, kind)) for kind in KINDS)
