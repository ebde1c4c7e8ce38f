"""Speech recognition by AssemblyAI's REST endpoint: upload, submit, poll; for recordings, not for a counter."""

from __future__ import annotations

import asyncio
import io
import logging
import wave
from collections.abc import Iterable

import assemblyai as vendor

from audio.utterance import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ
from deployments.speech_to_text.adapter_settings import AssemblyAISettings
from deployments.speech_to_text.assemblyai_account import Account, Heard, validated
from deployments.speech_to_text.port import SttError, SttUnavailable, Transcript

log = logging.getLogger("balto.speech_to_text")

DELETE_TIMEOUT_S = 10.0
"""A transcript that could not be deleted within this time is logged and left to the vendor's own schedule."""


class AssemblyAIRest:
    """Upload, submission and polling over one client; the transcript at the vendor is deleted once it has been read."""

    name = "assemblyai"
    simulated = False

    def __init__(self, settings: AssemblyAISettings, account: Account | None = None) -> None:
        self._settings = settings
        self._owns_account = account is None
        self._account = account or Account(settings)
        self._transcriber = vendor.AsyncTranscriber(client=self._account.client)
        self._deleting: set[asyncio.Task[None]] = set()

    async def transcribe(self, pcm: bytes, *, keyterms: tuple[str, ...], budget_s: float) -> Transcript:
        """Recognise 16 kHz mono s16le `pcm` within `budget_s` or `rest_timeout_s`; raises SttError."""
        limit_s = min(self._settings.rest_timeout_s, budget_s)
        terms = self._account.keyterms(keyterms)
        heard = await self._account.within(limit_s, self._convert(pcm, terms))
        return Transcript(heard.text.strip(), heard.timed_words(), self._settings.model, self.price_usd(pcm, terms))

    def price_usd(self, pcm: bytes, keyterms: Iterable[str] = ()) -> float:
        """What recognising `pcm` costs, by the second; the standing keyterms are counted besides `keyterms`."""
        hours = len(pcm) / (BYTES_PER_SAMPLE * SAMPLE_RATE_HZ) / 3600
        surcharge = bool(self._account.keyterms(keyterms)) * self._settings.rest_keyterms_cost_usd_per_hour
        return hours * (self._settings.rest_cost_usd_per_hour + surcharge)

    async def warm(self) -> bool:
        """Nothing to warm: a handshake is nothing beside the seconds that polling takes."""
        return True

    async def close(self) -> None:
        """Wait for the deletions under way, then close the connections."""
        if self._deleting:
            await asyncio.wait(self._deleting)
        if self._owns_account:
            await self._account.close()

    async def _convert(self, pcm: bytes, keyterms: list[str]) -> Heard:
        config = vendor.TranscriptionConfig(
            language_code=self._settings.language_code,
            speech_models=[self._settings.model],
            keyterms_prompt=keyterms or None,
        )
        transcript = await self._transcriber.submit(_wav(pcm), config)
        try:
            await transcript.wait_for_completion()
            if transcript.status != vendor.TranscriptStatus.completed:
                raise SttUnavailable("the vendor could not transcribe it")
            return validated(transcript)
        finally:
            self._delete_later(transcript.id)

    def _delete_later(self, transcript_id: str | None) -> None:
        if transcript_id and self._settings.delete_transcripts:
            task = asyncio.create_task(self._delete(transcript_id))
            self._deleting.add(task)
            task.add_done_callback(self._deleting.discard)

    async def _delete(self, transcript_id: str) -> None:
        try:
            await self._account.within(DELETE_TIMEOUT_S, self._transcriber.delete_by_id(transcript_id))
        except SttError as error:
            log.warning("stt_transcript_not_deleted", extra={"error": type(error).__name__, "reason": str(error)})


def _wav(pcm: bytes) -> bytes:
    """`pcm` in a WAV container: the endpoint has no way to be told a raw format."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(BYTES_PER_SAMPLE)
        out.setframerate(SAMPLE_RATE_HZ)
        out.writeframes(pcm)
    return file.getvalue()
