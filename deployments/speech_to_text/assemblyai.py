"""Speech recognition by AssemblyAI's one-call Sync API, through the vendor's SDK; its REST endpoint is the slow way."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import replace

import assemblyai as vendor

from audio.utterance import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ
from deployments.speech_to_text.adapter_settings import AssemblyAISettings
from deployments.speech_to_text.assemblyai_account import Account, Heard, validated
from deployments.speech_to_text.assemblyai_rest import AssemblyAIRest
from deployments.speech_to_text.port import SpeechToTextProvider, SttError, SttTimeout, SttUnavailable, Transcript

SYNC_MAX_S = 120.0
"""Longer audio is not taken by the Sync API (https://www.assemblyai.com/docs/sync-stt/audio-requirements)."""


def build_assemblyai(settings: AssemblyAISettings) -> SpeechToTextProvider:
    """The adapter that `settings.endpoint` names."""
    return AssemblyAI(settings) if settings.endpoint == "sync" else AssemblyAIRest(settings)


class AssemblyAI:
    """One call for one utterance over kept-alive connections.

    Audio that the Sync API does not take, or does not answer for while the budget still allows upload and polling
    (`rest_fallback_min_budget_s`), goes to the REST endpoint.
    """

    name = "assemblyai"
    simulated = False

    def __init__(self, settings: AssemblyAISettings) -> None:
        self._settings = settings
        self._account = Account(settings)
        self._rest = AssemblyAIRest(settings, self._account)
        self._transcriber = vendor.AsyncSyncTranscriber(
            client=self._account.client, config=vendor.SyncTranscriptionConfig(model=settings.model)
        )

    async def transcribe(self, pcm: bytes, *, keyterms: tuple[str, ...], budget_s: float) -> Transcript:
        """Recognise 16 kHz mono s16le `pcm` within `budget_s`, a call within `timeout_s`; raises SttError."""
        started = time.monotonic()
        wasted_usd = 0.0
        if _seconds(pcm) <= SYNC_MAX_S:
            try:
                return await self._in_one_call(pcm, keyterms, min(self._settings.timeout_s, budget_s))
            except (SttUnavailable, SttTimeout) as error:
                budget_s -= time.monotonic() - started
                if budget_s < self._settings.rest_fallback_min_budget_s:
                    raise
                wasted_usd = self.price_usd(pcm) if isinstance(error, SttTimeout) else 0.0
        slow = await self._rest.transcribe(pcm, keyterms=keyterms, budget_s=budget_s)
        return replace(slow, cost_usd=slow.cost_usd + wasted_usd)

    def price_usd(self, pcm: bytes, keyterms: Iterable[str] = ()) -> float:
        """What one call for `pcm` costs, by the second; keyterms are included in the price."""
        return _seconds(pcm) / 3600 * self._settings.cost_usd_per_hour

    async def warm(self) -> bool:
        """Open a connection ahead of the first utterance; False when the vendor is out of reach. Costs nothing."""
        try:
            return await self._transcriber.warm()
        except SttError:
            return False

    async def close(self) -> None:
        """Close the connections."""
        await self._rest.close()
        await self._account.close()

    async def _in_one_call(self, pcm: bytes, keyterms: tuple[str, ...], limit_s: float) -> Transcript:
        heard = await self._account.within(limit_s, self._convert(pcm, self._account.keyterms(keyterms)))
        return Transcript(heard.text.strip(), heard.timed_words(), self._settings.model, self.price_usd(pcm))

    async def _convert(self, pcm: bytes, keyterms: list[str]) -> Heard:
        config = vendor.SyncTranscriptionConfig(
            model=self._settings.model,
            language_codes=[self._settings.language_code],
            keyterms_prompt=keyterms or None,
            sample_rate=SAMPLE_RATE_HZ,
            channels=1,
            timestamps=True,
        )
        return validated(await self._transcriber.transcribe(pcm, config))


def _seconds(pcm: bytes) -> float:
    return len(pcm) / (BYTES_PER_SAMPLE * SAMPLE_RATE_HZ)
