"""The providers of a replica in their order: routes an utterance, races it, compares samples, owns what runs on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any, Final

from deployments.metrics import Metrics
from deployments.resilience.budget import ShareBudget
from deployments.resilience.gossip import ProviderState
from deployments.speech_to_text.comparison import word_differences, words_of
from deployments.speech_to_text.member import BYTES_PER_S, Clock, Member
from deployments.speech_to_text.port import TranscriptionRequest
from deployments.speech_to_text.providers import Plan
from deployments.speech_to_text.race import Finish, Race, Rules
from deployments.speech_to_text.routing import is_compared, ordered
from deployments.speech_to_text.settings import SpeechToTextSettings
from deployments.speech_to_text.within import within

COMPARISONS_AT_ONCE_MAX: Final = 8
"""Beyond it a sample is left out: comparing must never compete with counters."""

WARM_TIMEOUT_S: Final = 5.0
NEVER_USED_S: Final = 1e9
"""A connection that was ever used, was so more lately than this."""


class Chain:
    """Asks the providers of `plans`, in that order unless routing says otherwise. `clock`: seconds since the epoch."""

    def __init__(
        self, plans: Sequence[Plan], settings: SpeechToTextSettings, metrics: Metrics, clock: Clock = time.time
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self.members = {plan.provider.name: Member(plan, settings, metrics, clock) for plan in plans}
        self._background: set[asyncio.Task[Any]] = set()
        self._comparing = 0
        self._rules = Rules(
            settings=settings,
            metrics=metrics,
            clock=clock,
            hedges=ShareBudget(settings.hedge.share, settings.hedge.burst, begins_full=False),
            retries=ShareBudget(settings.retry.share, settings.retry.burst),
            keep=self._keep,
        )

    @property
    def first(self) -> Member:
        """The provider that is asked first by default."""
        return next(iter(self.members.values()))

    @property
    def running_on(self) -> int:
        """Tasks that nobody waits for: cancelled attempts on their way out, probes, comparisons."""
        return len(self._background)

    async def hear(self, request: TranscriptionRequest, deadline_s: float) -> Finish:
        """The first good answer before `deadline_s` (the event loop's time), or the last failure."""
        self._rules.hedges.earn()
        self._rules.retries.earn()
        order = self._order(request)
        self._warm(order[1:])
        finish = await Race(self._rules, order, request, deadline_s).run()
        self._compare(request, finish)
        return finish

    def learn(self, states: Iterable[ProviderState]) -> None:
        """What other replicas found."""
        for state in states:
            member = self.members.get(state.provider)
            if member is not None:
                member.learn(state)

    def states(self) -> tuple[ProviderState, ...]:
        """What to tell other replicas: nothing of a provider that never failed."""
        known = (member.breaker.known() for member in self.members.values())
        return tuple(state for state in known if state.changed_unix_s > 0)

    def health(self) -> dict[str, Any]:
        """Each provider by its name."""
        now_s = asyncio.get_running_loop().time()
        return {name: member.health(now_s) for name, member in self.members.items()}

    async def close(self) -> None:
        """End what runs on, then release every provider's connections and processes."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await asyncio.gather(*(member.plan.provider.close() for member in self.members.values()))

    def _order(self, request: TranscriptionRequest) -> list[Member]:
        names = ordered(
            self._settings.routing,
            tuple(self.members),
            client_id=request.client_id,
            duration_s=len(request.pcm) / BYTES_PER_S,
            snr_db=request.snr_db,
        )
        members = [self.members[name] for name in names]
        return sorted(members, key=lambda member: member.price_usd(request)) if request.economical else members

    def warm_unused(self) -> None:
        """Open the connections of providers that nobody has asked yet, in the background."""
        now_s = asyncio.get_running_loop().time()
        for member in self.members.values():
            if member.is_cold(NEVER_USED_S, now_s):
                self._keep(asyncio.create_task(within(WARM_TIMEOUT_S, member.warm(now_s))))

    def _warm(self, standing_by: Iterable[Member]) -> None:
        """Open the connections of those that may have to overtake."""
        now_s, every_s = asyncio.get_running_loop().time(), self._settings.warm_every_s
        for member in standing_by:
            if every_s and member.is_cold(every_s, now_s):
                self._keep(asyncio.create_task(within(WARM_TIMEOUT_S, member.warm(now_s))))

    def _keep(self, task: asyncio.Task[Any]) -> None:
        self._background.add(task)
        task.add_done_callback(self._let_go)

    def _let_go(self, task: asyncio.Task[Any]) -> None:
        self._background.discard(task)
        if not task.cancelled():
            task.exception()  # taken note of by whoever judged it

    def _compare(self, request: TranscriptionRequest, finish: Finish) -> None:
        """Let another provider hear a sample of what was recognised, when nobody waits any more."""
        routing = self._settings.routing
        second = self.members.get(routing.compare_with or "")
        if request.economical or second is None or second is finish.member or finish.transcript is None:
            return
        allowed = routing.by_client.get(request.client_id)
        if allowed and second.name not in allowed:
            return
        if self._comparing < COMPARISONS_AT_ONCE_MAX and is_compared(routing, request.utterance_id):
            self._comparing += 1
            task = asyncio.create_task(self._compared(request, finish.member.name, finish.transcript.text, second))
            task.add_done_callback(self._one_less)
            self._keep(task)

    def _one_less(self, _: asyncio.Task[None]) -> None:
        self._comparing -= 1

    async def _compared(self, request: TranscriptionRequest, first: str, text: str, second: Member) -> None:
        """Ask `second` and count in how many words the two differ; neither text goes anywhere."""
        until_s = asyncio.get_running_loop().time() + self._settings.comparison_timeout_s
        finish = await Race(self._rules, [second], request, until_s).run()
        result = "ok" if finish.transcript is not None else finish.error.status
        self._metrics.count("stt_comparisons", first=first, second=second.name, result=result)
        if finish.transcript is not None:
            words, others = words_of(text), words_of(finish.transcript.text)
            differences = float(word_differences(words, others))
            self._metrics.count("stt_compared_words", float(len(words)), first=first, second=second.name)
            self._metrics.count("stt_compared_differences", differences, first=first, second=second.name)
