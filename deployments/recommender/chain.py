"""Several language models in order: the next answers where one fails, and one that is away is left alone."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from deployments.metrics import Metrics, NoMetrics
from deployments.recommender.port import (
    AdviceRequest,
    Advisor,
    AdvisorError,
    AdvisorTimeout,
    AdvisorUnavailable,
    Understanding,
)
from deployments.recommender.settings import FailoverSettings
from deployments.resilience.breaker import Breaker, Permit
from deployments.resilience.budget import ShareBudget
from deployments.resilience.gossip import ProviderState
from deployments.resilience.latency import RecentLatency

log = logging.getLogger("balto.recommender")

MIN_ATTEMPT_S: Final = 0.05
"""With less time than this left, no further provider is asked."""
LATENCY_SAMPLES: Final = 300
LATENCY_HORIZON_S: Final = 1800.0


@dataclass(slots=True, eq=False)
class _Link:
    """One provider, and what is known of it."""

    advisor: Advisor
    breaker: Breaker
    latency: RecentLatency = field(default_factory=lambda: RecentLatency(LATENCY_SAMPLES, LATENCY_HORIZON_S))
    cost_usd: float = 0.0


class AdvisorChain:
    """An advisor made of others, asked one after the other within one budget; at most one is asked at a time.

    `clock` gives monotonic seconds, `unix_clock` seconds since the epoch, which replicas share.
    """

    def __init__(
        self,
        advisors: Sequence[Advisor],
        settings: FailoverSettings,
        metrics: Metrics | None = None,
        clock: Callable[[], float] = time.monotonic,
        unix_clock: Callable[[], float] = time.time,
    ) -> None:
        self.name = advisors[0].name if len(advisors) == 1 else "llm"
        self._links = [_Link(advisor, Breaker(advisor.name, settings.breaker)) for advisor in advisors]
        self._settings = settings
        self._retries = ShareBudget(settings.retries.share, settings.retries.burst)
        self._metrics = metrics if metrics is not None else NoMetrics()
        self._clock = clock
        self._unix_clock = unix_clock

    @property
    def states(self) -> tuple[ProviderState, ...]:
        """What other replicas may learn of the providers."""
        return tuple(link.breaker.known() for link in self._links)

    def learn(self, states: Iterable[ProviderState]) -> None:
        """Take over what other replicas know of the providers."""
        by_name = {link.breaker.provider: link.breaker for link in self._links}
        for state in states:
            if state.provider in by_name:
                by_name[state.provider].adopt(state, self._unix_clock())

    async def understand(self, request: AdviceRequest) -> Understanding:
        """The first good answer within `request.budget_s`, with what failed attempts had cost; raises AdvisorError.

        Raises the last provider's error; where nobody was asked AdvisorTimeout (no time) or AdvisorUnavailable (every
        breaker is open).
        """
        if request.budget_s < MIN_ATTEMPT_S:
            raise AdvisorTimeout("no time left for a language model")
        deadline_s = self._clock() + request.budget_s
        self._retries.earn()
        spent: AdvisorError = AdvisorUnavailable("every provider is left alone for now")
        failed = 0
        for link in self._links:
            left_s = deadline_s - self._clock()
            permit = self._permit(link, left_s, is_retry=failed > 0)
            if permit is None:
                continue
            try:
                answer = await self._attempt(link, permit, replace(request, budget_s=self._share(link, left_s)))
            except AdvisorError as error:
                failed += 1
                error.spent(spent.tokens_in, spent.tokens_out, spent.cost_usd)
                spent = error
                if not error.elsewhere:
                    break
            else:
                return _with_spent(answer, link.advisor.name, failed + 1, spent)
        spent.calls = failed
        raise spent

    def health(self) -> dict[str, Any]:
        """Each provider's state, quantiles of its latest answers in ms, errors by kind, cost since the start in USD."""
        now_s, now_unix_s = self._clock(), self._unix_clock()
        return {"provedores": {link.advisor.name: _told(link, now_s, now_unix_s) for link in self._links}}

    async def close(self) -> None:
        """Release connections."""
        for link in self._links:
            await link.advisor.close()

    def _permit(self, link: _Link, left_s: float, *, is_retry: bool) -> Permit | None:
        """Leave to ask this provider now, where there is time and, after a failure, budget."""
        if left_s < MIN_ATTEMPT_S:
            return None
        permit = link.breaker.enter(self._unix_clock())
        if permit is not None and is_retry and not self._retries.take():
            link.breaker.abandoned(permit)
            return None
        return permit

    def _share(self, link: _Link, left_s: float) -> float:
        """What this attempt gets of the time left: not all of it where another provider could follow."""
        now_unix_s = self._unix_clock()
        later = self._links[self._links.index(link) + 1 :]
        may_follow = any(other.breaker.state(now_unix_s) == "closed" for other in later)
        return left_s * self._settings.first_attempt_share if may_follow else left_s

    async def _attempt(self, link: _Link, permit: Permit, request: AdviceRequest) -> Understanding:
        """Ask one provider; its breaker learns how it went, except of a cancellation, which says nothing of it."""
        started_s = self._clock()
        try:
            answer = await link.advisor.understand(request)
        except AdvisorError as error:
            self._note_failure(link, permit, error, request.budget_s)
            raise
        except BaseException:
            link.breaker.abandoned(permit)
            raise
        finally:
            link.latency.add(self._clock() - started_s, self._clock())
        link.breaker.succeeded(permit, self._unix_clock())
        link.cost_usd += answer.cost_usd
        self._metrics.count("advisor_attempts_total", advisor=link.advisor.name, result="ok")
        return answer

    def _note_failure(self, link: _Link, permit: Permit, error: AdvisorError, budget_s: float) -> None:
        link.cost_usd += error.cost_usd
        self._metrics.count("advisor_attempts_total", advisor=link.advisor.name, result=type(error).__name__)
        was, now_unix_s = link.breaker.kind, self._unix_clock()
        too_short = isinstance(error, AdvisorTimeout) and budget_s * 1e3 < self._settings.counted_timeout_ms
        if error.failure is None:
            link.breaker.succeeded(permit, now_unix_s)
        elif too_short:
            link.breaker.abandoned(permit)
        else:
            link.breaker.failed(permit, error.failure, now_unix_s, error.retry_after_s)
        if link.breaker.kind and not was:
            log.warning("advisor_breaker_open advisor=%s kind=%s", link.advisor.name, link.breaker.kind)
            self._metrics.count("advisor_breaker_openings_total", advisor=link.advisor.name, kind=link.breaker.kind)


def _with_spent(answer: Understanding, provider: str, calls: int, spent: AdvisorError) -> Understanding:
    return replace(
        answer,
        provider=provider,
        calls=calls,
        tokens_in=answer.tokens_in + spent.tokens_in,
        tokens_out=answer.tokens_out + spent.tokens_out,
        cost_usd=answer.cost_usd + spent.cost_usd,
    )


def _told(link: _Link, now_s: float, now_unix_s: float) -> dict[str, Any]:
    quantiles = {name: link.latency.quantile(q, now_s) for name, q in (("p50_ms", 0.5), ("p95_ms", 0.95))}
    return {
        "estado": link.breaker.state(now_unix_s),
        "motivo": link.breaker.kind,
        "erros": dict(link.breaker.errors),
        "custo_usd": round(link.cost_usd, 6),
        **{name: None if s is None else round(s * 1e3, 1) for name, s in quantiles.items()},
        **link.advisor.health(),
    }
