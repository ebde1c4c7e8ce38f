"""Which provider the settings lead to, and what is refused before anything is served."""

import logging

import pytest
from pydantic import SecretStr, ValidationError

from deployments.speech_to_text.providers import ProviderNotUsable, resolve
from deployments.speech_to_text.settings import (
    AssemblyAISettings,
    DemonstrationSettings,
    ElevenLabsSettings,
    ProviderChoice,
    SpeechToTextSettings,
)

KEY = SecretStr("xi-secret")


def settings(provider: ProviderChoice, eleven: bool = False, assembly: bool = False) -> SpeechToTextSettings:
    return SpeechToTextSettings(
        provider=provider,
        elevenlabs=ElevenLabsSettings(api_key=KEY if eleven else None),
        assemblyai=AssemblyAISettings(api_key=KEY if assembly else None),
    )


def test_without_any_key_the_demonstration_recognises() -> None:
    assert resolve(settings("auto")) == "demonstracao"


def test_with_its_key_elevenlabs_recognises() -> None:
    assert resolve(settings("auto", eleven=True, assembly=True)) == "elevenlabs"


def test_the_demonstration_can_be_asked_for_in_spite_of_a_key() -> None:
    assert resolve(settings("demonstracao", eleven=True)) == "demonstracao"


def test_a_key_of_a_provider_without_adapter_is_skipped_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "balto"):
        assert resolve(settings("auto", assembly=True)) == "demonstracao"
    assert "ASSEMBLYAI_API_KEY" in caplog.text


def test_an_empty_key_is_no_key() -> None:
    empty = SecretStr("")
    chosen = SpeechToTextSettings(elevenlabs=ElevenLabsSettings(api_key=empty))
    assert resolve(chosen) == "demonstracao"


def test_a_provider_without_adapter_is_refused_naming_the_setting() -> None:
    with pytest.raises(ProviderNotUsable, match=r"speech_to_text\.provider: assemblyai"):
        resolve(settings("assemblyai", assembly=True))


@pytest.mark.parametrize("key", [None, SecretStr("")])
def test_elevenlabs_without_a_key_is_refused_naming_the_variable(key: SecretStr | None) -> None:
    chosen = SpeechToTextSettings(provider="elevenlabs", elevenlabs=ElevenLabsSettings(api_key=key))
    with pytest.raises(ProviderNotUsable, match="ELEVENLABS_API_KEY"):
        resolve(chosen)


@pytest.mark.parametrize(
    "wrong",
    [
        {"provider": "google"},
        {"provedor": "auto"},
        {"elevenlabs": {"timeout_ms": 3}},
        {"elevenlabs": {"base_url": "api.elevenlabs.io"}},
        {"elevenlabs": {"keyterms": ["x" * 51]}},
        {"elevenlabs": {"keyterms": ["um dois três quatro cinco seis"]}},
        {"elevenlabs": {"keyterms": ["<b>dipirona</b>"]}},
        {"elevenlabs": {"keyterms": [f"termo {n}" for n in range(101)]}},
        {"demonstracao": {"min_confidence": 1.5}},
    ],
)
def test_unknown_or_impossible_settings_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SpeechToTextSettings.model_validate(wrong)


def test_settings_do_not_change_after_start_and_never_show_a_key() -> None:
    frozen = settings("auto", eleven=True)
    with pytest.raises(ValidationError):
        frozen.provider = "demonstracao"  # type: ignore[misc]
    assert "xi-secret" not in repr(frozen)


def test_the_default_confidence_cut_is_the_measured_one() -> None:
    assert DemonstrationSettings().min_confidence == 0.8
