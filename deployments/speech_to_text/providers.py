"""Chooses the providers of speech recognition and builds them, importing only what the chosen ones need."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from pydantic import SecretStr

from deployments.speech_to_text.naming import ProviderName
from deployments.speech_to_text.port import SpeechToTextProvider
from deployments.speech_to_text.settings import SpeechToTextSettings

log = logging.getLogger("balto.speech_to_text")


class ProviderNotUsable(ValueError):
    """The settings ask for a provider that cannot work; the text names the setting."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A provider that is ready, the model it uses, and how often it may be asked again."""

    provider: SpeechToTextProvider
    model: str
    max_retries: int


def resolve(settings: SpeechToTextSettings) -> tuple[ProviderName, ...]:
    """The providers that `settings` lead to, first to last; raises ProviderNotUsable. Builds nothing: ask it before
    serving."""
    chosen = _chosen(settings)
    if len(set(chosen)) != len(chosen):
        raise ProviderNotUsable("speech_to_text.providers: a provider is named twice; name each once")
    if "demonstracao" in chosen and len(chosen) > 1:
        raise ProviderNotUsable(
            "speech_to_text.providers: the demonstration guesses and must not stand in for a recogniser; name it alone"
        )
    for name in chosen:
        _check_usable(name, settings)
    if any(not order for order in settings.routing.by_client.values()):
        raise ProviderNotUsable(
            "speech_to_text.routing.by_client: a client without any provider; name one or leave it out"
        )
    strangers = sorted(settings.routing.named() - set(chosen))
    if strangers:
        raise ProviderNotUsable(
            f"speech_to_text.routing: {', '.join(strangers)} is not among the providers in use "
            f"({', '.join(chosen)}); add it to speech_to_text.providers, with its key"
        )
    return chosen


def is_cheap(settings: SpeechToTextSettings) -> bool:
    """Whether every provider that `settings` lead to may be asked in vain now and then.

    The demonstration costs no money but a fifth of a second of CPU for each second of speech, and a local model costs
    more: they are not cheap.
    """
    eleven, assembly = settings.elevenlabs, settings.assemblyai
    prices = {
        "elevenlabs": eleven.cost_usd_per_hour + eleven.keyterms_cost_usd_per_hour,
        "assemblyai": assembly.cost_usd_per_hour,
    }
    limit = settings.cheap_below_usd_per_hour
    return all(name in prices and prices[name] < limit for name in resolve(settings))


def build(settings: SpeechToTextSettings) -> tuple[Plan, ...]:
    """The providers that `settings` lead to, first to last; raises ProviderNotUsable."""
    return tuple(_BUILDERS[name](settings) for name in resolve(settings))


def _chosen(settings: SpeechToTextSettings) -> tuple[ProviderName, ...]:
    if settings.providers:
        return settings.providers
    if settings.provider != "auto":
        return (settings.provider,)
    keys: dict[ProviderName, SecretStr | None] = {
        "elevenlabs": settings.elevenlabs.api_key,
        "assemblyai": settings.assemblyai.api_key,
    }
    return tuple(name for name, key in keys.items() if _given(key)) or ("demonstracao",)


def _check_usable(name: ProviderName, settings: SpeechToTextSettings) -> None:
    if name == "elevenlabs" and not _given(settings.elevenlabs.api_key):
        raise ProviderNotUsable("speech_to_text.provider: elevenlabs needs a key; set ELEVENLABS_API_KEY")
    if name == "assemblyai" and not _given(settings.assemblyai.api_key):
        raise ProviderNotUsable("speech_to_text.provider: assemblyai needs a key; set ASSEMBLYAI_API_KEY")
    if name == "local":
        from deployments.speech_to_text.local_whisper import LocalNotUsable, check_local

        try:
            check_local(settings.local)
        except LocalNotUsable as error:
            raise ProviderNotUsable(str(error)) from None


def _elevenlabs(settings: SpeechToTextSettings) -> Plan:
    from deployments.speech_to_text.elevenlabs import ElevenLabs

    vendor = settings.elevenlabs
    return Plan(ElevenLabs(vendor), vendor.model, vendor.max_retries)


def _assemblyai(settings: SpeechToTextSettings) -> Plan:
    from deployments.speech_to_text.assemblyai import build_assemblyai

    vendor = settings.assemblyai
    return Plan(build_assemblyai(vendor), vendor.model, vendor.max_retries)


def _local(settings: SpeechToTextSettings) -> Plan:
    from deployments.speech_to_text.local import build_local
    from deployments.speech_to_text.local_whisper import LocalNotUsable

    try:
        return Plan(build_local(settings.local), settings.local.model, max_retries=0)
    except LocalNotUsable as error:
        raise ProviderNotUsable(str(error)) from None


def _demonstration(settings: SpeechToTextSettings) -> Plan:
    from deployments.speech_to_text.demonstration import MODEL, Demonstration

    return Plan(Demonstration(settings.demonstracao), MODEL, max_retries=1)


_BUILDERS: dict[ProviderName, Callable[[SpeechToTextSettings], Plan]] = {
    "elevenlabs": _elevenlabs,
    "assemblyai": _assemblyai,
    "local": _local,
    "demonstracao": _demonstration,
}


def _given(key: SecretStr | None) -> bool:
    """Whether there is a key; an empty variable in `.env` is none."""
    return key is not None and bool(key.get_secret_value())
