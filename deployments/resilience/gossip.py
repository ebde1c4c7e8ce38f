"""What replicas tell each other of their breakers, on messages that flow anyway; the newest word on a provider wins."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

PROVIDERS_MAX = 64
"""More names than this are not kept: a message must stay small whatever comes in."""


@dataclass(frozen=True, slots=True)
class ProviderState:
    """One provider's breaker as some replica knows it; instants in seconds since the epoch."""

    provider: str
    open_until_unix_s: float
    """When it may be probed next; 0 when the breaker is closed."""
    changed_unix_s: float
    """Version: the later one wins. A replica's own change is always later than what it has heard."""
    kind: str = ""
    """The failure that opened it; empty when closed."""


class Gossip:
    """The newest known state of each provider, from whoever told it."""

    def __init__(self) -> None:
        self._newest: dict[str, ProviderState] = {}

    @property
    def known(self) -> tuple[ProviderState, ...]:
        """What to tell the next replica."""
        return tuple(self._newest.values())

    def merge(self, states: Iterable[ProviderState]) -> None:
        """Take over what is newer than what is known."""
        for state in states:
            have = self._newest.get(state.provider)
            if have is None and len(self._newest) >= PROVIDERS_MAX:
                continue
            if have is None or state.changed_unix_s > have.changed_unix_s:
                self._newest[state.provider] = state
