"""Which providers an utterance is offered to, and in which order: by its quality, its length, and whose it is."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from deployments.speech_to_text.naming import ProviderName


class RoutingSettings(BaseModel):
    """Every provider named here must be one that the settings lead to (`speech_to_text.providers`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    economical: ProviderName | None = None
    """Asked first for long, clean audio; None: the order stays."""
    robust: ProviderName | None = None
    """Asked first for everything else; None: the order stays."""
    economical_from_s: float = Field(2.5, ge=0, le=60)
    """Audio at least this long is long."""
    economical_from_snr_db: float = Field(20.0, ge=-20, le=100)
    """Audio with at least this signal to noise is clean; where it was not measured, audio is not."""
    by_client: dict[str, tuple[ProviderName, ...]] = {}
    """Client id → the only providers that its audio goes to, in this order: a contract may forbid the others."""
    compare_with: ProviderName | None = None
    """Comparison: this provider also hears a sample of what another recognised. Its words are never shown."""
    comparison_share: float = Field(0.0, ge=0, le=1)
    """Part of the utterances in that sample; each is paid for twice."""

    def named(self) -> frozenset[ProviderName]:
        """Every provider that is named here."""
        single = {self.economical, self.robust, self.compare_with} - {None}
        return frozenset(name for name in (*single, *(n for order in self.by_client.values() for n in order)) if name)


def ordered(
    settings: RoutingSettings,
    available: Sequence[str],
    *,
    client_id: str,
    duration_s: float,
    snr_db: float | None,
) -> tuple[str, ...]:
    """The providers to ask, first to last, out of `available` (in its default order)."""
    own = settings.by_client.get(client_id)
    if own:
        return tuple(name for name in own if name in available)
    clean = snr_db is not None and snr_db >= settings.economical_from_snr_db
    first = settings.economical if clean and duration_s >= settings.economical_from_s else settings.robust
    if first is None or first not in available:
        return tuple(available)
    return (first, *(name for name in available if name != first))


def is_compared(settings: RoutingSettings, utterance_id: str) -> bool:
    """Whether this utterance is in the sample: decided by its id, so that a repeated one is treated the same."""
    if settings.compare_with is None or settings.comparison_share == 0:
        return False
    number = int.from_bytes(hashlib.sha256(utterance_id.encode()).digest()[:8], "big")
    return number < settings.comparison_share * 2**64
