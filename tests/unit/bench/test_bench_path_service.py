"""The bench's service takes nothing from the installation that it runs in."""

import pytest

from bench.path.__main__ import settings_changes
from bench.path.counters import NEW_CUSTOMER_SILENCE_S
from bench.path.service import SIMULATED_KEY, ServicePlan, configuration, environment
from serve_app.settings import BaltoSettings, Environment, with_environment

INSTALLATIONS_ENV = """PORT=80
XAI_API_KEY=real
OPENAI_API_KEY=real
ELEVENLABS_API_KEY=real
ASSEMBLYAI_API_KEY=real
DATABASE_URL=postgresql://production/balto
POSTGRES_HOST=production
POSTGRES_PORT=1
POSTGRES_DB=production
POSTGRES_USER=production
POSTGRES_PASSWORD=production
DB_FILE=/production
VAD_ENERGY_THRESHOLD=400
VAD_THRESHOLD_MULTIPLIER=9
ADMIN_SECRET=real
BALTO_STATE_DIR=/production
COMPATIBLE_API_KEY=real
METRICS_PORT=9100
FORWARDED_HOPS=1
BALTO_STORAGE_KEY=real
"""


@pytest.fixture
def effective(tmp_path, monkeypatch):
    """The settings of the bench's service in an installation whose .env and shell set everything."""
    env_file = tmp_path / ".env"
    env_file.write_text(INSTALLATIONS_ENV)
    for line in INSTALLATIONS_ENV.splitlines():
        monkeypatch.setenv(*line.split("=", 1))
    ours = environment(tmp_path / "state", 12345, "secret", "postgresql://bench/balto")
    for line in INSTALLATIONS_ENV.splitlines():
        monkeypatch.delenv(line.split("=", 1)[0])
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    found = Environment(_env_file=env_file)
    return found, with_environment(BaltoSettings(), found)


def test_the_hostile_installation_sets_everything_that_can_be_set():
    names = {line.split("=", 1)[0] for line in INSTALLATIONS_ENV.splitlines()}
    assert names == {name.upper() for name in Environment.model_fields}


def test_an_installations_database_is_never_written_to(effective, tmp_path):
    found, settings = effective
    assert found.state_dir == tmp_path / "state"
    assert settings.telemetry.database_url.get_secret_value() == "postgresql://bench/balto"
    assert settings.telemetry.store == "postgres"


def test_an_installations_keys_are_never_used(effective):
    _, settings = effective
    keys = [settings.speech_to_text.elevenlabs, settings.recommender.openai, settings.recommender.xai]
    assert {provider.api_key.get_secret_value() for provider in keys} == {SIMULATED_KEY}
    assert settings.access.admin_secret.get_secret_value() == "secret"


def test_the_gate_is_the_default_one(effective):
    _, settings = effective
    assert settings.segmenter.min_energy_rms is None
    assert settings.segmenter.margin_db == pytest.approx(4.0, abs=0.001)


def test_the_service_asks_the_simulated_recogniser_and_the_rules():
    changes = settings_changes("on", "regras", "http://127.0.0.1:1", None)
    settings = BaltoSettings.model_validate(configuration(ServicePlan(changes))["applications"][0]["args"])
    assert settings.voice.denoise == "on"
    assert settings.speech_to_text.provider == "elevenlabs"
    assert settings.speech_to_text.elevenlabs.base_url == "http://127.0.0.1:1"
    assert settings.conversation.new_customer_silence_s == NEW_CUSTOMER_SILENCE_S
    assert settings.recommender.policy == "regras"


def test_the_service_asks_the_simulated_language_model_where_it_is_wanted():
    changes = settings_changes("off", "llm", "http://127.0.0.1:1", "http://127.0.0.1:2/v1")
    recommender = BaltoSettings.model_validate(
        configuration(ServicePlan(changes))["applications"][0]["args"]
    ).recommender
    assert (recommender.policy, recommender.provider) == ("llm", "openai")
    assert recommender.openai.base_url == "http://127.0.0.1:2/v1"


def test_what_is_not_changed_stays_as_shipped():
    plain, changed = configuration(ServicePlan({})), configuration(ServicePlan({"voice.denoise": "on"}))
    assert changed["applications"][0]["args"].pop("voice") == {"denoise": "on"}
    assert plain["applications"][0]["args"].pop("voice")["denoise"] == "auto"
    assert changed == plain
