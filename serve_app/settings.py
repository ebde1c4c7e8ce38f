"""Every setting of Balto, once: `args` of serve_config.yaml and the environment become one frozen model."""

import math
import os
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from audio.settings import SegmenterSettings
from deployments.recommender.settings import RecommenderSettings
from deployments.speech_to_text import providers
from deployments.speech_to_text.settings import SpeechToTextSettings
from deployments.telemetry.settings import TelemetrySettings
from deployments.voice.settings import VoiceSettings
from serve_app.access import AccessSettings
from serve_app.accounts import AccountsSettings
from serve_app.admission import IngressSettings
from serve_app.console import ConsoleSettings
from serve_app.conversation import ConversationSettings
from serve_app.door import DoorSettings
from serve_app.passage import SessionSettings
from serve_app.recorder import RecorderSettings
from serve_app.spending import SpendingSettings

ROOT: Final = Path(__file__).resolve().parents[1]
FAST_INGRESS_FLAGS: Final = ("RAY_SERVE_ENABLE_HA_PROXY", "RAY_SERVE_THROUGHPUT_OPTIMIZED")
"""Read by Ray Serve when it is imported: they must be in the environment of every node before Ray starts."""


class Environment(BaseSettings):
    """What installations set in the environment or in `.env`; a name that is set and empty counts as unset."""

    model_config = SettingsConfigDict(
        frozen=True, env_file=ROOT / ".env", env_ignore_empty=True, extra="ignore", case_sensitive=False
    )

    port: int = Field(8765, ge=1, le=65535)
    metrics_port: int | None = Field(None, ge=1, le=65535)
    """Where `make run` has Ray export its figures for Prometheus; None: a port that Ray chooses at each start. Not one
    of 10002-19999, which Ray gives to its workers."""
    forwarded_hops: int | None = Field(None, ge=0, le=5)
    """`access.forwarded_hops`: 1 behind one reverse proxy."""
    xai_api_key: SecretStr | None = None
    openai_api_key: SecretStr | None = None
    compatible_api_key: SecretStr | None = None
    """Of a server of the OpenAI protocol at `recommender.compatible.base_url`, if it asks for one."""
    elevenlabs_api_key: SecretStr | None = None
    assemblyai_api_key: SecretStr | None = None
    database_url: SecretStr | None = None
    postgres_host: str | None = None
    postgres_port: int = Field(5432, ge=1, le=65535)
    postgres_db: str = "balto"
    postgres_user: str = "balto"
    postgres_password: SecretStr = SecretStr("")
    db_file: Path | None = None
    """The SQLite store's file; which store is used is `telemetry.store` in serve_config.yaml."""
    vad_energy_threshold: float | None = Field(None, ge=0, le=32768)
    """Absolute floor of a frame's RMS in int16 units; 0 counts as unset."""
    vad_threshold_multiplier: float | None = Field(None, ge=1, le=100)
    admin_secret: SecretStr | None = None
    balto_state_dir: Path | None = None
    balto_storage_key: SecretStr | None = None
    """Seals what lies in the state directory: base64 of 32 bytes, older keys after a comma."""

    @field_validator("metrics_port")
    @classmethod
    def _not_of_rays_workers(cls, value: int | None) -> int | None:
        if value is not None and 10_002 <= value <= 19_999:
            raise ValueError("10002-19999 are for Ray's workers: choose another port, as 9464")
        return value

    @property
    def state_dir(self) -> Path:
        """Where the outbox, the embedded database and the demo key lie."""
        if self.balto_state_dir is not None:
            return self.balto_state_dir.absolute()
        return Path("/var/lib/balto") if os.geteuid() == 0 else Path.home() / ".local/state/balto"

    @property
    def postgres_url(self) -> SecretStr | None:
        """`DATABASE_URL`, or one made of POSTGRES_*; None where neither is set."""
        if self.database_url is not None or self.postgres_host is None:
            return self.database_url
        user, password = quote(self.postgres_user, safe=""), quote(self.postgres_password.get_secret_value(), safe="")
        host = f"{self.postgres_host}:{self.postgres_port}"
        return SecretStr(f"postgresql://{user}:{password}@{host}/{quote(self.postgres_db, safe='')}")


def missing_fast_flags() -> list[str]:
    """Those of the fast ingress flags that this process runs without."""
    return [flag for flag in FAST_INGRESS_FLAGS if os.environ.get(flag) != "1"]


class BaltoSettings(BaseModel):
    """The `args` of the application in serve_config.yaml. An unknown or badly typed key refuses to start."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    access: AccessSettings = AccessSettings()
    accounts: AccountsSettings = AccountsSettings()
    ingress: IngressSettings = IngressSettings()
    session: SessionSettings = SessionSettings()
    conversation: ConversationSettings = ConversationSettings()
    segmenter: SegmenterSettings = SegmenterSettings()
    voice: VoiceSettings = VoiceSettings()
    speech_to_text: SpeechToTextSettings = SpeechToTextSettings()
    recommender: RecommenderSettings = RecommenderSettings()
    recorder: RecorderSettings = RecorderSettings()
    spending: SpendingSettings = SpendingSettings()
    console: ConsoleSettings = ConsoleSettings()
    telemetry: TelemetrySettings = TelemetrySettings()

    @property
    def door(self) -> DoorSettings:
        """The part of it that an ingress replica needs."""
        return DoorSettings(
            ingress=self.ingress,
            session=self.session.model_copy(
                update={"speculation": "on" if self._speculates else "off", "keep_audio": self.telemetry.audio.keep}
            ),
            conversation=self.conversation,
            segmenter=self.segmenter,
            accounts=self.accounts,
            recorder=self.recorder,
            spending=self.spending,
            console=self.console,
            forwarded_hops=self.access.forwarded_hops,
        )

    @property
    def _speculates(self) -> bool:
        """Whether utterances are handed on in the pause that may end them: `auto` asks whether recognition is cheap."""
        if self.session.speculation != "auto":
            return self.session.speculation == "on"
        return providers.is_cheap(self.speech_to_text)


def with_environment(settings: BaltoSettings, environment: Environment) -> BaltoSettings:
    """`settings` with what the environment sets put in its place; the environment wins.

    Raises ValidationError naming the setting, ValueError where audio is to be kept and no key seals it.
    """
    values = settings.model_dump()
    for path, value in _from_environment(environment).items():
        if value is not None:
            *rooms, name = path.split(".")
            room: dict[str, Any] = values
            for part in rooms:
                room = room[part]
            room[name] = value
    effective = BaltoSettings.model_validate(values)
    if effective.telemetry.audio.keep and effective.telemetry.storage_key is None:
        raise ValueError("telemetry.audio.keep: set BALTO_STORAGE_KEY to a key: openssl rand -base64 32")
    return effective


def _from_environment(env: Environment) -> dict[str, Any]:
    """Setting → what the environment says of it, None where it says nothing."""
    multiplier = env.vad_threshold_multiplier
    return {
        "access.admin_secret": env.admin_secret,
        "access.forwarded_hops": env.forwarded_hops,
        "speech_to_text.elevenlabs.api_key": env.elevenlabs_api_key,
        "speech_to_text.elevenlabs_realtime.api_key": env.elevenlabs_api_key,
        "speech_to_text.assemblyai.api_key": env.assemblyai_api_key,
        "recommender.openai.api_key": env.openai_api_key,
        "recommender.xai.api_key": env.xai_api_key,
        "recommender.compatible.api_key": env.compatible_api_key,
        "telemetry.database_url": env.postgres_url,
        "telemetry.sqlite_path": env.db_file,
        "telemetry.state_dir": env.state_dir,
        "telemetry.storage_key": env.balto_storage_key,
        "segmenter.min_energy_rms": env.vad_energy_threshold or None,
        "segmenter.margin_db": None if multiplier is None else 20 * math.log10(multiplier),
    }
