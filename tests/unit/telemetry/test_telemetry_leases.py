"""Which replica holds a session, who may take it over, and the order to drain: simulated time."""

from deployments.telemetry.leases import Held, Leases, RollAnswer, RollCall


def call(leases, replica, now_s, *held, node="vps-1", counters=0, leaving=False):
    return leases.call(RollCall(replica, node, counters, held, leaving), now_s)


def test_a_live_session_is_not_given_to_another_replica_and_a_silent_one_is():
    leases = Leases()
    assert leases.claim("s", 100, "a", 0.0) == 100
    call(leases, "a", 1.0, Held("s", 100, silent_s=0.1))
    assert leases.claim("s", 200, "b", 1.5) is None
    call(leases, "a", 4.0, Held("s", 100, silent_s=2.5))
    assert leases.claim("s", 400, "b", 4.1) == 400
    assert call(leases, "a", 5.0, Held("s", 100, silent_s=3.5)).lost == ("s",)


def test_a_session_of_a_dead_replica_or_of_one_that_leaves_is_free():
    leases = Leases()
    leases.claim("dead", 1, "a", 0.0)
    leases.claim("left", 1, "b", 0.0)
    call(leases, "a", 0.5, Held("dead", 1))
    call(leases, "b", 4.0, Held("left", 1), leaving=True)
    assert leases.claim("dead", 2, "c", 5.0) == 2
    assert leases.claim("left", 2, "c", 4.1) == 2


def test_the_same_replica_may_claim_again():
    leases = Leases()
    leases.claim("s", 10, "a", 0.0)
    assert leases.claim("s", 5, "a", 0.1) == 11


def test_after_a_restart_of_the_keeper_the_later_handshake_keeps_the_session():
    leases = Leases()
    call(leases, "a", 0.0, Held("s", 100))
    assert call(leases, "b", 0.5, Held("s", 200)).lost == ()
    assert call(leases, "a", 1.0, Held("s", 100)).lost == ("s",)


def test_a_session_that_its_replica_no_longer_names_is_free():
    leases = Leases()
    leases.claim("s", 1, "a", 0.0)
    call(leases, "a", 1.0, Held("s", 1))
    call(leases, "a", 6.0)
    assert leases.claim("s", 2, "b", 6.1) == 2


def test_a_replica_hears_of_its_neighbours_counters():
    leases = Leases()
    call(leases, "a", 0.0, counters=300)
    call(leases, "far", 0.0, node="vps-2", counters=500)
    assert call(leases, "b", 0.5, counters=10) == RollAnswer((), 300, False)
    assert call(leases, "b", 60.0, counters=10).node_counters == 0


def test_an_order_to_drain_reaches_its_node_and_ends_by_itself():
    leases = Leases()
    leases.order_drain("vps-1", 0.0)
    assert call(leases, "a", 1.0).drain
    assert not call(leases, "far", 1.0, node="vps-2").drain
    assert not call(leases, "a", 121.0).drain
    leases.order_drain("", 200.0)
    assert call(leases, "far", 201.0, node="vps-2").drain
