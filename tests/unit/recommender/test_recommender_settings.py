"""The settings say who answers, and refuse what cannot work."""

from __future__ import annotations

import pytest
from pydantic import SecretStr, ValidationError

from deployments.recommender.settings import CompatibleSettings, OpenAiSettings, RecommenderSettings, XaiSettings

OPENAI_KEY = OpenAiSettings(api_key=SecretStr("sk-openai"))
XAI_KEY = XaiSettings(api_key=SecretStr("xai-key"))
VLLM = CompatibleSettings(base_url="http://10.0.0.9:8000/v1", model_entities="qwen", model_category="qwen")


def chosen(settings: RecommenderSettings) -> str | None:
    return next((name for name, _ in settings.language_models()), None)


def test_without_any_key_the_rules_answer() -> None:
    assert chosen(RecommenderSettings()) is None


def test_a_key_alone_switches_its_provider_on() -> None:
    assert chosen(RecommenderSettings(openai=OPENAI_KEY)) == "openai"
    assert chosen(RecommenderSettings(xai=XAI_KEY)) == "xai"


def test_openai_comes_first_when_both_have_keys_and_the_provider_can_be_named() -> None:
    assert chosen(RecommenderSettings(openai=OPENAI_KEY, xai=XAI_KEY)) == "openai"
    assert chosen(RecommenderSettings(openai=OPENAI_KEY, xai=XAI_KEY, provider="xai")) == "xai"


def test_a_named_provider_without_its_key_is_not_replaced_by_another() -> None:
    assert chosen(RecommenderSettings(openai=OPENAI_KEY, provider="xai")) is None


def test_a_blank_key_is_no_key() -> None:
    assert chosen(RecommenderSettings(openai=OpenAiSettings(api_key=SecretStr("  ")))) is None


def test_the_policy_regras_ignores_keys() -> None:
    assert chosen(RecommenderSettings(policy="regras", openai=OPENAI_KEY)) is None


def test_the_policy_llm_refuses_to_start_without_a_key_and_names_the_provider() -> None:
    with pytest.raises(ValueError, match="xai"):
        RecommenderSettings(policy="llm", provider="xai").language_models()


def test_the_cascade_needs_a_key_too_when_it_is_asked_for_by_name() -> None:
    with pytest.raises(ValueError, match="cascata"):
        RecommenderSettings(policy="cascata").language_models()


def order(settings: RecommenderSettings) -> list[str]:
    return [name for name, _ in settings.language_models()]


def test_every_provider_that_is_set_up_takes_part_in_the_stated_order() -> None:
    assert order(RecommenderSettings(openai=OPENAI_KEY, xai=XAI_KEY, compatible=VLLM)) == [
        "openai",
        "xai",
        "compatible",
    ]
    reversed_order = RecommenderSettings(
        openai=OPENAI_KEY, xai=XAI_KEY, compatible=VLLM, provider=("compatible", "openai")
    )
    assert order(reversed_order) == ["compatible", "openai"]
    assert order(RecommenderSettings(openai=OPENAI_KEY, provider=("xai", "openai"))) == ["openai"]


def test_a_server_of_ones_own_needs_no_key_but_the_names_of_its_models() -> None:
    assert order(RecommenderSettings(policy="llm", compatible=VLLM)) == ["compatible"]
    with pytest.raises(ValidationError, match="model_entities"):
        CompatibleSettings(base_url="http://10.0.0.9:8000/v1")


def test_an_unknown_key_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="temperatura"):
        RecommenderSettings.model_validate({"openai": {"temperatura": 0}})


def test_a_key_is_not_shown_when_the_settings_are_printed() -> None:
    assert "sk-openai" not in repr(RecommenderSettings(openai=OPENAI_KEY))


@pytest.mark.parametrize(
    ("model", "effort"),
    [
        ("gpt-6-luna", "none"),
        ("gpt-5.4-mini", "none"),
        ("gpt-5-mini", "minimal"),
        ("gpt-4o", None),
        ("gpt-4o-mini", None),
    ],
)
def test_reasoning_effort_is_sent_only_to_models_that_know_it(model: str, effort: str | None) -> None:
    assert OpenAiSettings().reasoning_effort(model) == effort


def test_the_cost_of_tokens_follows_the_price_list() -> None:
    priced = OpenAiSettings(cost_usd_per_million_tokens_in=2.0, cost_usd_per_million_tokens_out=10.0)
    assert priced.cost_usd(500_000, 100_000) == pytest.approx(2.0)
