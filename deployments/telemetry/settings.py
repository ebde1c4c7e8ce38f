"""Settings of telemetry: which database, and what the outbox may hold."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from deployments.telemetry.audio_folder import AudioSettings
from deployments.telemetry.retention import RetentionSettings
from deployments.telemetry.sealing import Seal, parse_keys
from deployments.telemetry.traces import TracesSettings


class TelemetrySettings(BaseModel):
    """Where rows go and how they get there. The defaults are right for one machine without a database server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    store: Literal["postgres", "sqlite"] = "postgres"
    database_url: SecretStr | None = None
    """`postgresql://…`; None: the embedded PostgreSQL, its data in `state_dir`/pgdata."""
    state_dir: Path = Path("state")
    """Holds the outbox, and the embedded PostgreSQL or the SQLite database. Must be on a local disk."""
    sqlite_path: Path | None = None
    """The SQLite store's file (`DB_FILE`); None: `state_dir`/balto.sqlite."""
    embedded_owner: bool = True
    """With `database_url` unset: this stage starts the embedded PostgreSQL and stops it when it closes."""

    batch_max_rows: int = Field(500, ge=1, le=10_000)
    flush_interval_ms: int = Field(500, ge=10, le=60_000)
    """How long after a batch the next one goes to the database. The first row after a pause goes at once."""
    retry_max_s: float = Field(10.0, gt=0, le=300)
    """Longest wait between two tries while the database is away."""
    row_max_attempts: int = Field(3, ge=1, le=100)
    """How often a row that the database refuses is tried before it is set aside."""
    outbox_max_mb: int = Field(512, ge=1, le=1_000_000)
    """Size of the outbox's file at which recording is refused."""
    adopt_interval_s: float = Field(15.0, gt=0, le=3600)
    """How often outboxes left behind by dead replicas are looked for."""

    storage_key: SecretStr | None = None
    """Seals the outbox's rows and kept audio on this node's disk (AES-256-GCM): base64 of 32 bytes (`openssl rand
    -base64 32`); after a comma, older keys that still open what they sealed. None: rows lie there in plain."""
    figures_every_s: float = Field(10.0, gt=0, le=3600)
    """How often the console's figures take in what was recorded since."""
    retention: RetentionSettings = RetentionSettings()
    audio: AudioSettings = AudioSettings()
    traces: TracesSettings = TracesSettings()

    pool_max_size: int = Field(4, ge=1, le=100)
    connect_timeout_s: float = Field(5.0, gt=0, le=60)
    command_timeout_s: float = Field(10.0, gt=0, le=300)
    close_timeout_s: float = Field(5.0, ge=0, le=60)
    """How long closing may spend on shipping what is left; the rest stays in the outbox."""
    known_counters_max: int = Field(5000, ge=0, le=1_000_000)
    """How many counters are remembered, so that they can connect while the database is away."""

    @model_validator(mode="after")
    def _somebody_owns_the_database(self) -> TelemetrySettings:
        if self.store == "postgres" and self.database_url is None and not self.embedded_owner:
            raise ValueError("database_url: needed where embedded_owner is false")
        return self

    @field_validator("storage_key")
    @classmethod
    def _keys_are_keys(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            parse_keys(value.get_secret_value())
        return value

    @property
    def seal(self) -> Seal:
        """What seals and opens what lies on this node's disk."""
        return Seal(parse_keys(self.storage_key.get_secret_value()) if self.storage_key is not None else ())

    @property
    def audio_dir(self) -> Path:
        """Where kept audio lies."""
        return self.state_dir / "audio"

    @property
    def embedded(self) -> bool:
        """Whether the database is the embedded PostgreSQL."""
        return self.store == "postgres" and self.database_url is None

    @property
    def outbox_dir(self) -> Path:
        """Where the outboxes of this node's replicas lie."""
        return self.state_dir / "outbox"

    @property
    def embedded_dir(self) -> Path:
        """Where the embedded PostgreSQL is asked to keep its data."""
        return self.state_dir / "pgdata"

    @property
    def sqlite_file(self) -> Path:
        """The SQLite store's file."""
        return self.sqlite_path or self.state_dir / "balto.sqlite"
