"""Turns with the stages: a flood waits behind itself."""

import asyncio

import pytest

from serve_app.fairness import NoTurn, Turns


async def started(turns, client, order, may_end):
    """One utterance that holds its turn until `may_end`."""
    async with turns.turn(client, 10.0):
        order.append(client)
        await may_end.wait()


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_flood_does_not_delay_another_clients_utterance_by_more_than_one_turn():
    turns, order, gates = Turns(2), [], [asyncio.Event() for _ in range(8)]
    flood = [asyncio.create_task(started(turns, "flood", order, gate)) for gate in gates[:7]]
    await settle()
    other = asyncio.create_task(started(turns, "small", order, gates[7]))
    await settle()
    assert order == ["flood", "flood"]
    assert turns.waiting == 6
    gates[0].set()
    await settle()
    assert order == ["flood", "flood", "small"]
    for gate in gates:
        gate.set()
    await asyncio.gather(*flood, other)
    assert (turns.taken, turns.waiting) == (0, 0)


async def test_one_client_alone_may_have_all_turns_unless_the_replica_is_loaded():
    for strict, expected in ((False, 6), (True, 3)):
        turns, order, gate = Turns(6), [], asyncio.Event()
        turns.strict = strict
        tasks = [asyncio.create_task(started(turns, "chain", order, gate)) for _ in range(10)]
        await settle()
        assert len(order) == expected
        gate.set()
        await asyncio.gather(*tasks)
        assert len(order) == 10


async def test_a_turn_that_does_not_come_in_time_is_said_and_leaves_nothing_behind():
    turns, gate, order = Turns(1), asyncio.Event(), []
    holder = asyncio.create_task(started(turns, "a", order, gate))
    await settle()
    with pytest.raises(NoTurn):
        async with turns.turn("b", 0.01):
            pass
    assert turns.waiting == 0
    gate.set()
    await holder


async def test_a_cancelled_waiter_does_not_keep_a_turn():
    turns, gate, order = Turns(1), asyncio.Event(), []
    holder = asyncio.create_task(started(turns, "a", order, gate))
    await settle()
    waiter = asyncio.create_task(started(turns, "b", order, gate))
    await settle()
    gate.set()
    waiter.cancel()
    await asyncio.gather(holder, waiter, return_exceptions=True)
    assert (turns.taken, turns.waiting) == (0, 0)
    async with turns.turn("c", 0.1):
        assert turns.taken == 1
