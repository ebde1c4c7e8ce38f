"""Which provider the settings lead to, and what is refused before anything is served."""

import pytest
from pydantic import SecretStr, ValidationError

from deployments.speech_to_text.providers import ProviderNotUsable, build, is_cheap, resolve
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
    assert resolve(settings("auto")) == ("demonstracao",)


def test_every_provider_with_a_key_stands_by() -> None:
    assert resolve(settings("auto", eleven=True)) == ("elevenlabs",)
    assert resolve(settings("auto", assembly=True)) == ("assemblyai",)
    assert resolve(settings("auto", eleven=True, assembly=True)) == ("elevenlabs", "assemblyai")


def test_one_provider_can_be_asked_for_in_spite_of_other_keys() -> None:
    assert resolve(settings("demonstracao", eleven=True)) == ("demonstracao",)
    assert resolve(settings("assemblyai", eleven=True, assembly=True)) == ("assemblyai",)


def test_the_order_can_be_turned_round() -> None:
    both = settings("auto", eleven=True, assembly=True).model_dump()
    turned = SpeechToTextSettings.model_validate(both | {"providers": ("assemblyai", "elevenlabs")})
    assert resolve(turned) == ("assemblyai", "elevenlabs")
    assert [plan.provider.name for plan in build(turned)] == ["assemblyai", "elevenlabs"]


def test_an_empty_key_is_no_key() -> None:
    empty = SecretStr("")
    chosen = SpeechToTextSettings(elevenlabs=ElevenLabsSettings(api_key=empty))
    assert resolve(chosen) == ("demonstracao",)


def test_assemblyai_without_a_key_is_refused_naming_the_variable() -> None:
    with pytest.raises(ProviderNotUsable, match="ASSEMBLYAI_API_KEY"):
        resolve(settings("assemblyai"))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"providers": ("elevenlabs", "elevenlabs")}, "named twice"),
        ({"providers": ("elevenlabs", "demonstracao")}, "name it alone"),
        ({"routing": {"economical": "assemblyai"}}, "routing: assemblyai is not among"),
        ({"routing": {"by_client": {"c-1": ("local",)}}}, "routing: local is not among"),
        ({"routing": {"by_client": {"c-1": ()}}}, "without any provider"),
    ],
)
def test_an_order_that_cannot_work_is_refused_saying_what_to_do(changes: dict[str, object], said: str) -> None:
    chosen = SpeechToTextSettings.model_validate(settings("auto", eleven=True).model_dump() | changes)
    with pytest.raises(ProviderNotUsable, match=said):
        resolve(chosen)


def test_only_providers_that_are_all_cheap_are_asked_in_vain() -> None:
    assert is_cheap(settings("auto", eleven=True, assembly=True))
    assert not is_cheap(settings("auto"))
    dear = settings("auto", eleven=True).model_copy(update={"cheap_below_usd_per_hour": 0.1})
    assert not is_cheap(dear)


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
