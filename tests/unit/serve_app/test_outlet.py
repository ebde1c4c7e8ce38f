"""What a counter is told leaves in order, and a counter that is gone or does not read holds nobody up."""

import asyncio

from serve_app.outlet import QUEUE_MAX, Outlet


class Socket:
    def __init__(self, fails_after=None, blocked=False):
        self.sent = []
        self.closed = None
        self.fails_after = fails_after
        self.free = asyncio.Event()
        if not blocked:
            self.free.set()

    async def send_text(self, data):
        await self.free.wait()
        if self.fails_after is not None and len(self.sent) >= self.fails_after:
            raise RuntimeError("closed")
        self.sent.append(data)

    async def close(self, code=1000, reason=None):
        self.closed = code


async def test_messages_leave_in_order_and_a_delivery_is_known():
    socket = Socket()
    outlet = Outlet(socket)
    outlet.say("a")
    assert await outlet.deliver("b") is True
    assert socket.sent == ["a", "b"]


async def test_closing_sends_what_is_queued_first():
    socket = Socket()
    outlet = Outlet(socket)
    outlet.say("a")
    await outlet.close(4001)
    assert (socket.sent, socket.closed, outlet.dead) == (["a"], 4001, True)


async def test_after_a_failure_nothing_is_sent_and_everybody_is_told():
    outlet = Outlet(Socket(fails_after=1))
    outlet.say("a")
    answers = await asyncio.gather(outlet.deliver("b"), outlet.deliver("c"))
    assert answers == [False, False]
    assert await outlet.deliver("d") is False
    await outlet.close(1000)
    assert outlet.dead


async def test_a_message_that_cannot_be_sent_holds_up_nobody_behind_it(caplog):
    class Picky(Socket):
        async def send_text(self, data):
            data.encode()
            await super().send_text(data)

    outlet = Outlet(Picky())
    outlet.say("segredo \ud800")
    assert await asyncio.wait_for(outlet.deliver("behind it"), 1) is False
    assert (outlet.dead, "outlet_failed" in caplog.text, "segredo" in caplog.text) == (True, True, False)


async def test_a_counter_that_does_not_read_is_given_up_at_the_limit():
    outlet = Outlet(Socket(blocked=True))
    outlet.say("in flight")
    await asyncio.sleep(0)
    for n in range(QUEUE_MAX):
        outlet.say(str(n))
    assert not outlet.dead
    outlet.say("one too many")
    assert outlet.dead


async def test_closing_towards_a_counter_that_does_not_read_takes_only_so_long():
    socket = Socket(blocked=True)
    outlet = Outlet(socket)
    outlet.say("a")
    await outlet.close(1012, within_s=0.02)
    assert outlet.dead
    assert socket.closed == 1012


async def test_abandoning_tells_who_waits():
    outlet = Outlet(Socket(blocked=True))
    waiting = asyncio.gather(outlet.deliver("a"), outlet.deliver("b"))
    await asyncio.sleep(0)
    outlet.abandon()
    assert await waiting == [False, False]
