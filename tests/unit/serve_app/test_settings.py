"""Settings: YAML and environment become one frozen model, and what is wrong is named."""

from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr, ValidationError

from serve_app.settings import ROOT, BaltoSettings, Environment, missing_fast_flags, with_environment

NAMES = [name.upper() for name in Environment.model_fields]


@pytest.fixture
def environment(monkeypatch):
    """Builds an Environment of these names alone, whatever this machine has set."""

    def build(**values):
        for name in NAMES:
            monkeypatch.delenv(name, raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        return Environment(_env_file=None)

    return build


def test_the_shipped_configuration_is_valid_and_every_deployment_is_in_it(environment):
    config = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    (application,) = config["applications"]
    settings = with_environment(BaltoSettings.model_validate(application["args"]), environment())
    assert settings.session.deadline_ms == 3000
    assert [d["name"] for d in application["deployments"]] == [
        "CounterIngress",
        "Voice",
        "SpeechToText",
        "Recommender",
        "Telemetry",
    ]


def test_a_socket_has_a_slot_for_every_counter_that_is_let_in():
    config = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    (application,) = config["applications"]
    assert application["deployments"][0]["max_ongoing_requests"] > application["args"]["ingress"]["counters_max"]


def test_the_environment_wins_over_the_file(environment):
    env = environment(
        ELEVENLABS_API_KEY="el",
        OPENAI_API_KEY="oa",
        XAI_API_KEY="xa",
        ADMIN_SECRET="s",
        VAD_ENERGY_THRESHOLD="300",
        VAD_THRESHOLD_MULTIPLIER="1.5",
        DB_FILE="/data/registro.db",
        BALTO_STATE_DIR="/data/state",
    )
    settings = with_environment(BaltoSettings(), env)
    assert settings.speech_to_text.elevenlabs.api_key == SecretStr("el")
    assert settings.recommender.openai.api_key == SecretStr("oa")
    assert settings.recommender.xai.api_key == SecretStr("xa")
    assert settings.access.admin_secret == SecretStr("s")
    assert settings.segmenter.min_energy_rms == 300
    assert settings.segmenter.margin_db == pytest.approx(3.52, abs=0.01)
    assert settings.telemetry.sqlite_path == Path("/data/registro.db")
    assert settings.telemetry.state_dir == Path("/data/state")


def test_an_empty_name_counts_as_unset(environment):
    settings = with_environment(BaltoSettings(), environment(ELEVENLABS_API_KEY="", VAD_ENERGY_THRESHOLD="0"))
    assert settings.speech_to_text.elevenlabs.api_key is None
    assert settings.segmenter.min_energy_rms is None


def test_postgres_parts_make_a_url_and_database_url_wins(environment):
    parts = {"POSTGRES_HOST": "db", "POSTGRES_USER": "u", "POSTGRES_PASSWORD": "p@ss/word", "POSTGRES_DB": "balto"}
    url = environment(**parts).postgres_url
    assert url is not None
    assert url.get_secret_value() == "postgresql://u:p%40ss%2Fword@db:5432/balto"
    whole = environment(**parts, DATABASE_URL="postgresql://other/x").postgres_url
    assert whole is not None
    assert whole.get_secret_value() == "postgresql://other/x"
    assert environment().postgres_url is None


@pytest.mark.parametrize(
    ("args", "names"),
    [
        ({"colour": 1}, "colour"),
        ({"voice": {"denoise": "loud"}}, "voice.denoise"),
        ({"segmenter": {"hangover_ms": "long"}}, "segmenter.hangover_ms"),
        ({"telemetry": {"stor": "sqlite"}}, "telemetry.stor"),
    ],
)
def test_an_unknown_or_badly_typed_key_is_refused_and_named(args, names):
    with pytest.raises(ValidationError) as caught:
        BaltoSettings.model_validate(args)
    assert ".".join(str(part) for part in caught.value.errors()[0]["loc"]) == names


def test_a_service_without_the_fast_ingress_flags_is_told_which_are_missing(monkeypatch):
    monkeypatch.setenv("RAY_SERVE_ENABLE_HA_PROXY", "1")
    monkeypatch.delenv("RAY_SERVE_THROUGHPUT_OPTIMIZED", raising=False)
    assert missing_fast_flags() == ["RAY_SERVE_THROUGHPUT_OPTIMIZED"]


def test_secrets_do_not_show(environment):
    settings = with_environment(BaltoSettings(), environment(ELEVENLABS_API_KEY="very-secret"))
    assert "very-secret" not in repr(settings)


@pytest.mark.parametrize(
    ("args", "key", "speculation"),
    [
        ({}, "el", "on"),
        ({}, "", "off"),
        ({"session": {"speculation": "off"}}, "el", "off"),
        ({"session": {"speculation": "on"}}, "", "on"),
        ({"speech_to_text": {"cheap_below_usd_per_hour": 0.1}}, "el", "off"),
    ],
)
def test_utterances_are_handed_on_early_where_recognition_is_cheap(environment, args, key, speculation):
    settings = with_environment(BaltoSettings.model_validate(args), environment(ELEVENLABS_API_KEY=key))
    assert settings.door.session.speculation == speculation
