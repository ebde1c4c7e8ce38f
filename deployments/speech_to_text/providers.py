"""Chooses the provider of speech recognition and builds it, importing only what the chosen one needs."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

from pydantic import SecretStr

from deployments.speech_to_text.port import SpeechToTextProvider
from deployments.speech_to_text.settings import SpeechToTextSettings

log = logging.getLogger("balto.speech_to_text")

ProviderName = Literal["elevenlabs", "demonstracao"]


class ProviderNotUsable(ValueError):
    """The settings ask for a provider that cannot work; the text names the setting."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A provider that is ready, the model it uses, and how often it may be asked again."""

    provider: SpeechToTextProvider
    model: str
    max_retries: int


def resolve(settings: SpeechToTextSettings) -> ProviderName:
    """Which provider `settings` lead to; raises ProviderNotUsable. Builds nothing: ask it before serving."""
    if settings.provider == "assemblyai":
        raise ProviderNotUsable(
            "speech_to_text.provider: assemblyai has no adapter in this version; use auto, elevenlabs or demonstracao"
        )
    has_key = _given(settings.elevenlabs.api_key)
    if settings.provider == "elevenlabs" and not has_key:
        raise ProviderNotUsable("speech_to_text.provider: elevenlabs needs a key; set ELEVENLABS_API_KEY")
    if settings.provider == "elevenlabs" or (settings.provider == "auto" and has_key):
        return "elevenlabs"
    if settings.provider == "auto" and _given(settings.assemblyai.api_key):
        log.warning("stt_assemblyai_skipped reason=no_adapter_in_this_version setting=ASSEMBLYAI_API_KEY")
    return "demonstracao"


def is_cheap(settings: SpeechToTextSettings) -> bool:
    """Whether the provider that `settings` lead to may be asked in vain now and then.

    The demonstration costs no money but a fifth of a second of CPU for each second of speech: it is not cheap.
    """
    vendor = settings.elevenlabs
    price = vendor.cost_usd_per_hour + vendor.keyterms_cost_usd_per_hour
    return resolve(settings) == "elevenlabs" and price < settings.cheap_below_usd_per_hour


def build(settings: SpeechToTextSettings) -> Plan:
    """The provider that `settings` lead to; raises ProviderNotUsable."""
    if resolve(settings) == "elevenlabs":
        from deployments.speech_to_text.elevenlabs import ElevenLabs

        vendor = settings.elevenlabs
        return Plan(ElevenLabs(vendor), vendor.model, vendor.max_retries)
    from deployments.speech_to_text.demonstration import MODEL, Demonstration

    return Plan(Demonstration(settings.demonstracao), MODEL, max_retries=1)


def _given(key: SecretStr | None) -> bool:
    """Whether there is a key; an empty variable in `.env` is none."""
    return key is not None and bool(key.get_secret_value())
