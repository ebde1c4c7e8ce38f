"""Who may come in, and how much may come with it: simulated time."""

import pytest
from pydantic import ValidationError

from serve_app.admission import Admission, Buckets, Inflow, IngressSettings, address_behind


def test_a_full_replica_a_full_node_and_an_overloaded_one_take_nobody():
    admission = Admission(IngressSettings(counters_max=2, counters_node_max=3))
    assert admission.knocks("a", 0.0, shedding=False) is None
    assert admission.knocks("a", 0.0, shedding=True) == "sobrecarga"
    admission.sockets = 2
    assert admission.knocks("a", 0.0, shedding=False) == "replica_cheia"
    admission.sockets, admission.node_counters = 1, 2
    assert admission.knocks("a", 0.0, shedding=False) == "no_cheio"


def test_a_flood_of_connections_from_one_address_is_stopped_and_nobody_else_is():
    admission = Admission(IngressSettings(connections_per_s_address=10, connections_burst_address=20))
    flood = [admission.knocks("flooder", step / 200, shedding=False) for step in range(400)]
    assert flood.count(None) == pytest.approx(20 + 10 * 2, abs=2)
    assert admission.knocks("somebody", 2.0, shedding=False) is None


def test_a_clients_flood_of_connections_and_too_many_counters_are_refused_to_that_client_alone():
    admission = Admission(
        IngressSettings(connections_burst_client=3, connections_per_s_client=1, counters_client_max=1)
    )
    assert admission.introduces("chain", 0.0) is None
    admission.came("chain")
    assert admission.introduces("chain", 0.0) == "cliente_cheio"
    admission.left("chain")
    assert admission.introduces("chain", 0.0) is None
    assert admission.introduces("chain", 0.0) == "conexoes_demais"
    assert admission.introduces("other", 0.0) is None


def test_an_attacker_with_many_addresses_costs_bounded_memory():
    buckets = Buckets(per_s=1, burst=1, names_max=100)
    for number in range(1000):
        buckets.takes(f"10.0.{number}", 0.0)
    assert buckets.names == 100


def test_audio_at_16_times_real_time_passes_and_100_times_does_not():
    fast, flood = Inflow(IngressSettings(), 0.0), Inflow(IngressSettings(), 0.0)
    assert {fast.audio(8_000, second / 60) for second in range(3600)} == {None}
    assert "bytes" in {flood.audio(32_000, step / 100) for step in range(300)}


def test_a_few_bytes_that_become_hours_of_audio_are_refused_and_catching_up_is_not():
    fast, bomb = Inflow(IngressSettings(), 0.0), Inflow(IngressSettings(), 0.0)
    assert {fast.decoded(32_000, second / 16) for second in range(3600)} == {None}
    answers = [bomb.decoded(114 * 32_000, step / 50) for step in range(3)]
    assert answers == [None, "segundos", "segundos"]
    assert "16 segundos de áudio" in bomb.complaint("segundos")


def test_text_counts_against_the_bytes_of_a_counter():
    inflow = Inflow(IngressSettings(), 0.0)
    assert inflow.command(16_000, 0.0) is None
    assert inflow.command(10_000_000, 0.0) == "bytes"


def test_many_tiny_messages_are_too_many_and_many_commands_are_dropped():
    inflow = Inflow(IngressSettings(messages_burst_max=100), 0.0)
    assert "mensagens" in {inflow.audio(2, step / 10_000) for step in range(1000)}
    commands = [inflow.command(20, step / 100) for step in range(200)]
    assert commands.count(None) == pytest.approx(50 + 10 * 2, abs=2)


def test_spreading_longer_than_the_drain_is_refused():
    with pytest.raises(ValidationError, match="drain_spread_s"):
        IngressSettings(drain_spread_s=20, drain_s=10)


def test_an_address_is_believed_only_from_a_proxy_of_ours():
    assert address_behind("10.0.0.1", ["1.2.3.4"], 0) == "10.0.0.1"
    assert address_behind("10.0.0.1", ["6.6.6.6, 1.2.3.4"], 1) == "1.2.3.4"
    assert address_behind("10.0.0.1", [], 1) == ""
    assert address_behind("10.0.0.1", ["1.2.3.4"], 2) == ""
