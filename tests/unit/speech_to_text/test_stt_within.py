"""A time limit that loses no cancellation and lets go of what it waited for."""

import asyncio

import pytest

from deployments.speech_to_text.within import within


class Awaited:
    """Something to wait for that remembers whether it was let go."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.let_go = False

    async def ask(self) -> str:
        try:
            return await self.answer
        except asyncio.CancelledError:
            self.let_go = True
            raise


async def test_what_comes_in_time_is_given() -> None:
    awaited = Awaited()
    awaited.answer.set_result("febre")
    assert await within(1.0, awaited.ask()) == "febre"


async def test_an_error_of_what_was_awaited_is_raised_as_it_is() -> None:
    awaited = Awaited()
    awaited.answer.set_exception(KeyError("x"))
    with pytest.raises(KeyError):
        await within(None, awaited.ask())


async def test_what_is_late_is_cancelled_before_the_timeout_is_raised() -> None:
    awaited = Awaited()
    with pytest.raises(asyncio.TimeoutError):
        await within(0.0, awaited.ask())
    assert awaited.let_go


async def test_a_cancellation_in_the_very_moment_of_the_answer_still_cancels() -> None:
    awaited = Awaited()
    waiting = asyncio.create_task(within(10.0, awaited.ask()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    awaited.answer.set_result("febre")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
