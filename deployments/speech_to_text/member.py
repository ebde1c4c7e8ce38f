"""One provider in the chain: its breaker, how long it takes, and what it has cost."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from deployments.metrics import Metrics
from deployments.resilience.breaker import Breaker, FailureKind, Permit
from deployments.resilience.gossip import ProviderState
from deployments.resilience.latency import RecentLatency
from deployments.speech_to_text.port import (
    Priced,
    SttError,
    SttRefused,
    SttStalled,
    SttThrottled,
    SttTimeout,
    TranscriptionRequest,
    Warmable,
)
from deployments.speech_to_text.providers import Plan
from deployments.speech_to_text.settings import SpeechToTextSettings

log = logging.getLogger("balto.speech_to_text")

Clock = Callable[[], float]
"""Seconds since the epoch."""

BYTES_PER_S = 32_000
"""16 kHz mono s16le."""


class Member:
    """What a replica knows of one provider. `now_s` is the event loop's time; the breaker has the epoch's."""

    def __init__(self, plan: Plan, settings: SpeechToTextSettings, metrics: Metrics, clock: Clock) -> None:
        self.plan = plan
        self.name = plan.provider.name
        self.breaker = Breaker(self.name, settings.breaker)
        self.requests = self.answered = self.overtaken = self.probes = 0
        self.cost_usd = 0.0
        self._hedge = settings.hedge
        self._counts_from_s = settings.timeout_counts_from_s
        self._latency = RecentLatency(settings.hedge.samples, settings.hedge.horizon_s)
        self._metrics = metrics
        self._clock = clock
        self._left_alone = False
        self._fresh_s = float("-inf")
        """When its connection was last used."""

    @property
    def is_well(self) -> bool:
        """Whether it would be asked now without a second thought."""
        return self.breaker.state(self._clock()) == "closed"

    def enter(self, *, alternative: bool) -> Permit | None:
        """Leave to ask it now; `alternative`: another one could be asked in its place."""
        return self.breaker.enter(self._clock(), alternative=alternative)

    def usual_s(self, now_s: float) -> float | None:
        """How long it takes when it is not slow; None while too little was seen of it, or without hedging."""
        hedge = self._hedge
        median_s = self._latency.quantile(0.5, now_s, hedge.samples_min) if hedge.share else None
        slow_s = self._latency.quantile(hedge.quantile, now_s, hedge.samples_min)
        return None if median_s is None or slow_s is None else max(slow_s, median_s * hedge.over_median)

    def price_usd(self, request: TranscriptionRequest) -> float:
        """What this request costs, whether or not anybody waits for the answer."""
        provider = self.plan.provider
        return provider.price_usd(request.pcm, request.keyterms) if isinstance(provider, Priced) else 0.0

    def asked(self, permit: Permit, request: TranscriptionRequest, now_s: float) -> None:
        """A request is on its way."""
        self._fresh_s = now_s
        self.requests += 1
        self.probes += permit.probe
        self._metrics.count("stt_audio_sent_s", len(request.pcm) / BYTES_PER_S, provider=self.name)

    def answered_in(self, elapsed_s: float, permit: Permit, cost_usd: float, now_s: float) -> None:
        """It answered."""
        self.answered += 1
        self._latency.add(elapsed_s, now_s)
        self.breaker.succeeded(permit, self._clock())
        self._ended("ok", elapsed_s)
        self.costs(cost_usd)

    def failed(self, error: SttError, permit: Permit, elapsed_s: float) -> None:
        """It failed. A timeout counts against it only if it had a fair chance."""
        if isinstance(error, SttTimeout) and elapsed_s < self._counts_from_s:
            self.breaker.abandoned(permit)
        else:
            self.breaker.failed(permit, kind_of(error), self._clock(), error.retry_after_s)
        self._ended(kind_of(error), elapsed_s)

    def late(self, permit: Permit) -> None:
        """A request takes longer than usual."""
        self.breaker.late(permit, self._clock())
        self._notice()

    def abandoned(self, permit: Permit, elapsed_s: float, *, late: bool, now_s: float) -> None:
        """Nobody waits for it any more: another answered first, or the caller left."""
        self.breaker.abandoned(permit)
        if late:  # it took at least so long: leaving it out would make the quantiles too small
            self._latency.add(elapsed_s, now_s)
        self._ended("abandoned", elapsed_s)

    def is_cold(self, every_s: float, now_s: float) -> bool:
        """Whether its connection is to be opened again: it was not used for `every_s`, and it may be."""
        can = isinstance(self.plan.provider, Warmable) and self.is_well
        return can and now_s - self._fresh_s > every_s

    async def warm(self, now_s: float) -> None:
        """Open its connection; whether that worked, the next request will tell."""
        self._fresh_s = now_s
        if isinstance(self.plan.provider, Warmable):
            await self.plan.provider.warm()

    def learn(self, state: ProviderState) -> None:
        """What another replica found."""
        self.breaker.adopt(state, self._clock())
        self._notice()

    def costs(self, cost_usd: float) -> None:
        """Something was billed."""
        self.cost_usd += cost_usd
        self._metrics.count("stt_cost_usd", cost_usd, provider=self.name)

    def health(self, now_s: float) -> dict[str, Any]:
        """For `/saude`."""
        quantiles = {f"p{round(q * 100)}_ms": self._latency.quantile(q, now_s) for q in (0.5, 0.95)}
        return {
            "state": self.breaker.state(self._clock()),
            "reason": self.breaker.kind,
            **{name: None if value is None else round(value * 1e3) for name, value in quantiles.items()},
            "requests": self.requests,
            "answered": self.answered,
            "overtaken": self.overtaken,
            "probes": self.probes,
            "openings": self.breaker.openings,
            "errors": dict(self.breaker.errors),
            "cost_usd": round(self.cost_usd, 6),
        }

    def _ended(self, result: str, elapsed_s: float) -> None:
        self._metrics.count("stt_attempts", provider=self.name, result=result)
        self._metrics.observe_ms("stt_attempt_ms", elapsed_s * 1e3, provider=self.name)
        self._notice()

    def _notice(self) -> None:
        """Say once that the provider is left alone, and once that it is back."""
        left_alone = not self.is_well
        if left_alone == self._left_alone:
            return
        self._left_alone = left_alone
        self._metrics.gauge("stt_breaker_open", float(left_alone), provider=self.name)
        if left_alone:
            log.warning("stt_provider_left_alone", extra={"provider": self.name, "kind": self.breaker.kind})
        else:
            log.warning("stt_provider_back", extra={"provider": self.name})


def kind_of(error: SttError) -> FailureKind:
    """What the breaker makes of an error of the port."""
    if isinstance(error, SttRefused):
        return "refused" if error.of_key else "rejected"
    if isinstance(error, SttTimeout):
        return "timeout"
    if isinstance(error, SttThrottled):
        return "throttled"
    return "stalled" if isinstance(error, SttStalled) else "unavailable"
