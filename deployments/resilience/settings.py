"""Settings of a breaker, of hedging and of retries: the same for speech and for language providers."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class BreakerSettings(BaseModel):
    """When a provider is left alone, and how its return is noticed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    failures_in_a_row: int = Field(3, ge=1, le=100)
    """So many failures of the kinds that count, with no success between them, open the breaker."""
    late_in_a_row: int = Field(4, ge=1, le=100)
    """So many calls that were late (see Breaker.late) while the provider answered nobody open it too: a provider that
    stalls is overtaken by the next one before it fails. At a hedging quantile of 0.9 a healthy provider is late four
    times running once in ten thousand calls."""
    window_s: float = Field(30.0, gt=0, le=3600)
    window_calls_min: int = Field(10, ge=1, le=100)
    """The share below is not looked at with fewer calls than this in the window."""
    failure_share: float = Field(0.5, gt=0, le=1)
    """Share of the window's calls that failed from which the breaker opens, successes in between or not."""
    probe_every_s: float = Field(3.0, gt=0, le=600)
    """How long an open breaker waits for its next probe: how late a provider's return is noticed, at most, while
    somebody speaks."""
    probe_lease_s: float = Field(30.0, gt=0, le=600)
    """A probe that ended without a word is given up after so long: longer than any attempt."""
    throttled_open_s: float = Field(1.0, gt=0, le=600)
    """Pause after "too many requests" where the provider does not say how long."""
    throttled_open_max_s: float = Field(60.0, gt=0, le=3600)
    """A longer `Retry-After` than this is not believed."""
    refused_open_s: float = Field(60.0, gt=0, le=86_400)
    """Pause after a refused key: only a person can mend it, and one request a minute tells that it is mended."""

    @property
    def longest_open_s(self) -> float:
        """No pause is longer than this, whatever another replica's clock says."""
        return max(self.probe_every_s, self.throttled_open_max_s, self.refused_open_s)


class HedgeSettings(BaseModel):
    """When the next provider is asked although the first has not failed yet."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(0.10, ge=0, le=1)
    """Requests that hedging may add, as a share of the traffic; 0: no hedging."""
    burst: int = Field(20, ge=1, le=1000)
    """Hedges that may come at once after a quiet time."""
    quantile: float = Field(0.902, ge=0.5, lt=1)
    """A provider slower than this quantile of its own recent answers is overtaken. 0.902 spends nearly the whole of a
    share of 10 %: docs/decisions/providers.md has the curve."""
    over_median: float = Field(1.3, ge=1, le=100)
    """Slow is at least so many times the median: where all answers take alike, overtaking the slower ones gains
    nothing."""
    samples_min: int = Field(30, ge=2, le=1000)
    """Answers that must have been seen before a quantile of them is believed."""
    samples: int = Field(1000, ge=2, le=10_000)
    """Latest answers that are looked at."""
    horizon_s: float = Field(1800.0, gt=0)
    """Older answers say nothing any more."""


class RetrySettings(BaseModel):
    """How many attempts a brown-out may add."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    share: float = Field(0.20, ge=0, le=1)
    """Retries as a share of the traffic."""
    burst: int = Field(10, ge=1, le=1000)
    """Retries that may come at once after a quiet time."""
