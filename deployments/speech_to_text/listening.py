"""Listening along: what the counters of one ingress replica share of the realtime provider."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Final

from deployments.metrics import Metrics
from deployments.resilience.breaker import Breaker, Permit
from deployments.speech_to_text.adapter_settings import ListeningSettings
from deployments.speech_to_text.ear import Ear
from deployments.speech_to_text.member import kind_of
from deployments.speech_to_text.port import SttError
from deployments.speech_to_text.providers import ProviderNotUsable
from deployments.speech_to_text.realtime import RealtimeProvider
from deployments.speech_to_text.settings import SpeechToTextSettings

EVERY_CLIENT: Final = "*"

Spent = Callable[[str, float], None]
"""Told of what was billed for a client, in US dollars."""


def check_listening(settings: SpeechToTextSettings) -> None:
    """Raises ProviderNotUsable where the settings ask for listening that cannot be."""
    if settings.realtime == "off":
        return
    key = settings.elevenlabs_realtime.api_key
    if key is None or not key.get_secret_value():
        raise ProviderNotUsable("speech_to_text.realtime: on needs a key; set ELEVENLABS_API_KEY, or set it to off")
    if not settings.listening.clients:
        raise ProviderNotUsable(
            "speech_to_text.listening.clients: realtime is on for nobody; name client ids, or `*` for all"
        )
    for client_id in sorted(set(settings.listening.clients) & set(settings.routing.by_client)):
        if "elevenlabs" not in settings.routing.by_client[client_id]:
            raise ProviderNotUsable(
                f"speech_to_text.listening.clients: routing.by_client keeps the audio of {client_id} from elevenlabs; "
                "take it out of one of the two"
            )


def build_listener(settings: SpeechToTextSettings, metrics: Metrics, spent: Spent | None = None) -> Listener | None:
    """Who listens along, by the settings; None where nobody does. Raises ProviderNotUsable."""
    check_listening(settings)
    if settings.realtime == "off":
        return None
    from deployments.speech_to_text.elevenlabs_realtime import ElevenLabsRealtime

    return Listener(settings, ElevenLabsRealtime(settings.elevenlabs_realtime, metrics), metrics, spent)


class Listener:
    """Gives each counter its ear, and owns what they share: the provider, its breaker, the number of sessions.

    `spent` may be set later; `clock` gives seconds since the epoch.
    """

    def __init__(
        self,
        settings: SpeechToTextSettings,
        provider: RealtimeProvider,
        metrics: Metrics,
        spent: Spent | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.settings: ListeningSettings = settings.listening
        self.believing = settings.believing
        self.provider = provider
        self.metrics = metrics
        self.spent: Spent = spent or (lambda client_id, usd: None)
        self.may_spend: Callable[[str], bool] = lambda client_id: True
        self.min_commit_ms = settings.elevenlabs_realtime.min_commit_ms
        self.connect_s = settings.elevenlabs_realtime.connect_timeout_s
        self._by_client = settings.routing.by_client
        self._breaker = Breaker(provider.name, settings.breaker)
        self._clock = clock
        self._seats = 0
        self._results: Counter[str] = Counter()
        self._leaving: set[asyncio.Task[None]] = set()

    def ear(self, client_id: str) -> Ear | None:
        """An ear for a counter of this client; None where its client is not listened to along."""
        own = self._by_client.get(client_id)
        if own and "elevenlabs" not in own:
            return None
        chosen = client_id in self.settings.clients or EVERY_CLIENT in self.settings.clients
        return Ear(client_id, self) if chosen else None

    def take_seat(self) -> bool:
        """Whether one more session may be open; `give_seat` when it is closed."""
        if self._seats >= self.settings.sessions_max:
            return False
        self._seats += 1
        self.metrics.gauge("stt_realtime_sessions", float(self._seats))
        return True

    def give_seat(self) -> None:
        """A session was closed."""
        self._seats -= 1
        self.metrics.gauge("stt_realtime_sessions", float(self._seats))

    def enter(self) -> Permit | None:
        """Leave to use the provider, for one commit; None: leave it alone."""
        return self._breaker.enter(self._clock(), alternative=True)

    def worked(self, permit: Permit) -> None:
        """A commit was answered."""
        self._breaker.succeeded(permit, self._clock())

    def failed(self, permit: Permit, error: SttError) -> None:
        """The provider failed."""
        self._breaker.failed(permit, kind_of(error), self._clock(), error.retry_after_s)

    def abandoned(self, permit: Permit) -> None:
        """Nothing became of it that says anything of the provider."""
        self._breaker.abandoned(permit)

    def noted(self, result: str, elapsed_ms: float) -> None:
        """An utterance's end: `ok`, or why it goes to batch recognition."""
        self._results[result] += 1
        self.metrics.count("stt_realtime", result=result)
        if result == "ok":
            self.metrics.observe_ms("stt_realtime_ms", elapsed_ms)

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Nobody waits for a goodbye."""
        task = asyncio.create_task(work)
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def health(self) -> dict[str, Any]:
        """For `/saude`: `degraded` while the provider is left alone, though utterances are recognised all the same."""
        state = self._breaker.state(self._clock())
        return {
            "degraded": state != "closed",
            "provider": self.provider.name,
            "state": state,
            "reason": self._breaker.kind,
            "sessions": self._seats,
            "utterances": dict(self._results),
        }

    async def close(self) -> None:
        """Hang up whatever is open."""
        if self._leaving:
            await asyncio.wait(self._leaving)
        await self.provider.close()
