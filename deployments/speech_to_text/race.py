"""One utterance among the providers: who is asked when, who is overtaken, and whose answer counts."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from deployments.metrics import Metrics
from deployments.resilience.breaker import Permit
from deployments.resilience.budget import ShareBudget
from deployments.speech_to_text.member import Clock, Member
from deployments.speech_to_text.port import (
    SttError,
    SttRefused,
    SttThrottled,
    SttTimeout,
    SttUnavailable,
    Transcript,
    TranscriptionRequest,
)
from deployments.speech_to_text.settings import SpeechToTextSettings
from deployments.speech_to_text.within import within

log = logging.getLogger("balto.speech_to_text")

SHORTEST_PAUSE_S: Final = 0.05
"""A wait for a provider's return looks again after at least so long."""


class SttBroken(SttError):
    """Our own code or an SDK failed in a way that no provider foresaw; its text is the class of what was raised."""


class SttResting(SttUnavailable):
    """Every provider was left alone because it failed for others a moment ago."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What all races of a replica share."""

    settings: SpeechToTextSettings
    metrics: Metrics
    clock: Clock
    hedges: ShareBudget
    retries: ShareBudget
    keep: Callable[[asyncio.Task[Any]], None]
    """Owns a task that nobody waits for any more, until it has ended."""


@dataclass(slots=True)
class Finish:
    """How a race ended: the transcript and who heard it, or the last error."""

    member: Member
    transcript: Transcript | None = None
    error: SttError = field(default_factory=SttTimeout)
    attempts: int = 0
    hedged: bool = False
    cost_usd: float = 0.0
    """Of all attempts, those included that were overtaken or given up after everything had been sent."""


@dataclass(slots=True, eq=False)
class _Attempt:
    member: Member
    permit: Permit
    task: asyncio.Task[Transcript]
    begun_s: float
    usual_until_s: float
    """From then on it is late: a hedge may be made."""
    patience_until_s: float
    """From then on the next provider is asked whatever it costs."""
    late: bool = False

    @property
    def next_s(self) -> float:
        """When something is to be done about it."""
        return self.patience_until_s if self.late else min(self.usual_until_s, self.patience_until_s)


class Race:
    """Runs once. Times are the event loop's. The caller's cancellation ends every attempt but a probe."""

    def __init__(
        self, rules: Rules, members: Sequence[Member], request: TranscriptionRequest, deadline_s: float
    ) -> None:
        self._rules = rules
        self._members = members
        self._request = request
        self._deadline_s = deadline_s
        self._loop = asyncio.get_running_loop()
        self._waiting = deque(members)
        self._running: dict[asyncio.Task[Transcript], _Attempt] = {}
        self._retryable: dict[Member, int] = dict.fromkeys(members, 0)
        """Members that may be asked (again), with the attempts they have had."""
        self._finish = Finish(members[0])

    async def run(self) -> Finish:
        """The first good answer, or the last failure once nothing more can be tried in time."""
        try:
            self._ask_next()
            while True:
                while self._running:
                    if await self._step():
                        return self._finish
                if not await self._again():
                    return self._finish
        finally:
            self._leave_all()

    @property
    def _left_s(self) -> float:
        return self._deadline_s - self._loop.time()

    async def _step(self) -> bool:
        """Wait for the next thing to happen, and do what follows from it; True when the race is over."""
        wake_s = min(self._deadline_s, *(a.next_s for a in self._running.values()))
        timeout_s = max(0.0, wake_s - self._loop.time())
        done, _ = await asyncio.wait(self._running, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            if self._settle(self._running.pop(task)):
                return True
        if not done:
            if self._left_s <= 0:
                self._out_of_time()
                return True
            self._overdue()
        if not self._running:
            self._ask_next()
        return False

    def _ask_next(self) -> bool:
        """Ask the next provider that may be asked. A probe alone is not relied on where another can be asked too."""
        while self._waiting and self._left_s >= self._rules.settings.min_attempt_s:
            member = self._waiting.popleft()
            permit = member.enter(alternative=any(other.is_well for other in self._waiting))
            if permit is not None:
                self._launch(member, permit)
                if permit.probe:
                    self._ask_next()
                return True
        return False

    def _launch(self, member: Member, permit: Permit) -> None:
        now, left_s = self._loop.time(), self._left_s
        usual_s = None if permit.probe else member.usual_s(now)
        share = 1.0 if permit.probe or not self._waiting else self._rules.settings.attempt_share
        patience_until_s = now + left_s * share
        self._finish.attempts += 1
        self._finish.member = member
        self._retryable[member] += 1
        member.asked(permit, self._request, now)
        attempt = _Attempt(
            member=member,
            permit=permit,
            task=asyncio.create_task(self._asked(member, left_s, probe=permit.probe)),
            begun_s=now,
            usual_until_s=patience_until_s if usual_s is None else now + usual_s,
            patience_until_s=patience_until_s,
        )
        self._running[attempt.task] = attempt

    async def _asked(self, member: Member, budget_s: float, *, probe: bool) -> Transcript:
        """The provider's answer; raises SttError. A probe may outlive the race, so it minds its own time."""
        request = self._request
        asking = member.plan.provider.transcribe(request.pcm, keyterms=request.keyterms, budget_s=budget_s)
        try:
            return await (_bounded(asking, budget_s) if probe else asking)
        except SttError:
            raise
        except Exception as error:
            # Its text may hold what somebody said: say what it is and where, not what it says.
            where = traceback.extract_tb(error.__traceback__)[-1]
            kind = type(error).__name__
            log.error("stt_broken", extra={"error": kind, "at": f"{where.filename}:{where.lineno}"})
            raise SttBroken(kind) from None

    def _settle(self, attempt: _Attempt) -> bool:
        """Take note of an attempt that has ended; True when its answer ends the race."""
        error = self._judge(attempt)
        if error is None:
            self._finish.member, self._finish.transcript = attempt.member, attempt.task.result()
            return True
        self._finish.error = error
        if not error.retryable:
            self._retryable.pop(attempt.member, None)
        return False

    def _judge(self, attempt: _Attempt) -> SttError | None:
        """Tell the member what became of an attempt that has ended; the error, if it was one."""
        member, now = attempt.member, self._loop.time()
        elapsed_s = now - attempt.begun_s
        if attempt.task.cancelled():  # nobody of ours did: the provider's own doing
            error: BaseException | None = SttUnavailable("cancelled")
        else:
            error = attempt.task.exception()
        if error is None:
            cost_usd = attempt.task.result().cost_usd
            member.answered_in(elapsed_s, attempt.permit, cost_usd, now)
            self._finish.cost_usd += cost_usd
            return None
        if not isinstance(error, SttError):
            raise error
        member.failed(error, attempt.permit, elapsed_s)
        if error.billed:
            self._billed(member)
        return error

    def _overdue(self) -> None:
        """Somebody is slow: ask the next provider too, within the budget of hedges or because patience has ended."""
        now = self._loop.time()
        for attempt in list(self._running.values()):
            if now < attempt.next_s:
                continue
            if not attempt.late:
                attempt.late = True
                attempt.member.late(attempt.permit)
                if now < attempt.patience_until_s and not self._may_hedge():
                    continue
            if now >= attempt.patience_until_s:
                attempt.patience_until_s = self._deadline_s
            if self._ask_next():
                self._finish.hedged = True
                attempt.member.overtaken += 1
                self._rules.metrics.count("stt_hedges", provider=attempt.member.name)

    def _may_hedge(self) -> bool:
        return self._request.may_hedge and bool(self._waiting) and self._rules.hedges.take()

    async def _again(self) -> bool:
        """Nobody is being asked: wait for whoever may be asked again, while there is time; False when there is not.

        Asking again spends the budget of retries; waiting for a provider that is being left alone does not.
        """
        again = [m for m in self._members if m in self._retryable and self._retryable[m] <= m.plan.max_retries]
        paid = not self._finish.attempts
        while again:
            pause_s = min(m.breaker.probe_in_s(self._rules.clock()) for m in again)
            pause_s = max(pause_s, self._rules.settings.retry_pause_s if self._finish.attempts else SHORTEST_PAUSE_S)
            if self._left_s < pause_s + self._rules.settings.min_attempt_s:
                break
            paid = paid or self._rules.retries.take()
            if not paid:
                self._rules.metrics.count("stt_retries_refused")
                break
            await asyncio.sleep(pause_s)
            self._waiting = deque(again)
            if self._ask_next():
                return True
        if not self._finish.attempts:
            self._finish.error = _resting(self._members[0])
        return False

    def _out_of_time(self) -> None:
        """The deadline has come: whoever did not answer has failed."""
        self._finish.error = SttTimeout()
        for attempt in self._running.values():
            attempt.member.failed(self._finish.error, attempt.permit, self._loop.time() - attempt.begun_s)
            self._billed(attempt.member)
            attempt.task.cancel()
            self._rules.keep(attempt.task)
        self._running.clear()

    def _leave_all(self) -> None:
        """Nobody waits for what still runs: cancel it. What was sent is billed. A probe goes on to its verdict."""
        now = self._loop.time()
        for attempt in self._running.values():
            if attempt.task.done():  # a dead heat
                self._judge(attempt)
                continue
            if attempt.permit.probe:
                attempt.task.add_done_callback(lambda _, left=attempt: self._probed(left))  # type: ignore[misc]
            else:
                attempt.member.abandoned(attempt.permit, now - attempt.begun_s, late=attempt.late, now_s=now)
                self._billed(attempt.member)
                attempt.task.cancel()
            self._rules.keep(attempt.task)
        self._running.clear()

    def _probed(self, attempt: _Attempt) -> None:
        """A probe has ended after its race; its cost is the provider's, not the utterance's."""
        if attempt.task.cancelled():  # the chain is being closed
            attempt.member.breaker.abandoned(attempt.permit)
            attempt.member.costs(attempt.member.price_usd(self._request))
        else:
            self._judge(attempt)

    def _billed(self, member: Member) -> None:
        cost_usd = member.price_usd(self._request)
        member.costs(cost_usd)
        self._finish.cost_usd += cost_usd


async def _bounded(asking: Coroutine[Any, Any, Transcript], budget_s: float) -> Transcript:
    try:
        return await within(budget_s, asking)
    except asyncio.TimeoutError:
        raise SttTimeout(f"no answer within {budget_s:.2f} s") from None


def _resting(member: Member) -> SttError:
    """Why nobody was asked: too little time, or what opened the first provider's breaker."""
    kind = member.breaker.kind
    if not kind:
        return SttTimeout("too little time")
    if kind == "throttled":
        return SttThrottled("resting")
    return SttRefused("resting") if kind == "refused" else SttResting("resting")
