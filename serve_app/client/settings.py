"""How a counter of ours connects, paces its audio and comes back."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from audio.utterance import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ

Generation = Literal[2, 3, 4]
AudioFormat = Literal["pcm_s16le_16k", "webm_opus"]

BYTES_PER_S: Final = SAMPLE_RATE_HZ * BYTES_PER_SAMPLE


class ClientSettings(BaseModel):
    """How a counter connects, paces its audio and comes back. Defaults suit a counter in a shop."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field("ws://127.0.0.1:8765/ws", pattern=r"^wss?://")
    other_urls: tuple[str, ...] = ()
    """Further servers of the same service, tried in turn when the one before cannot be reached or is full."""
    generation: Generation = 4
    vad_settings: dict[str, float] = Field(default_factory=dict)
    chunk_ms: int = Field(60, ge=10, le=1000)
    speed: float = Field(1.0, gt=0, le=1000)
    """How many seconds of a file are sent in a second; sources that come in real time are not touched by it."""
    resend_s: float = Field(60.0, ge=2, le=600)
    """Seconds of PCM held, sent or not, until the server says that it is safe to forget."""
    when_full: Literal["wait", "drop"] = "wait"
    """What happens to audio that no longer fits: the source waits (files), or the oldest goes (microphones)."""
    catch_up_factor: float = Field(8.0, ge=1, le=50)
    """How many times faster than `speed` a backlog is sent; never faster than the server says (`bytes_por_s`)."""
    connect_timeout_s: float = Field(10.0, gt=0, le=120)
    handshake_timeout_s: float = Field(15.0, gt=0, le=120)
    finish_timeout_s: float = Field(30.0, gt=0, le=600)
    """How long after `fim` the server may take to finish what is pending and close."""
    ping_interval_s: float = Field(5.0, gt=0, le=300)
    ping_timeout_s: float = Field(5.0, gt=0, le=300)
    """A server whose machine was cut off is given up after the sum of both: what is said meanwhile is held,
    and the memory of a minute must also last while the cluster heals."""
    backoff_initial_s: float = Field(0.25, gt=0, le=60)
    backoff_max_s: float = Field(8.0, gt=0, le=300)
    first_attempts: int = Field(3, ge=1, le=100)
    max_attempts: int = Field(20, ge=1, le=1000)
    """Attempts in a row before giving up: while it never connected, and once it has."""
    stable_s: float = Field(10.0, ge=0, le=600)
    """A connection that lasted this long was a good one: attempts are counted from zero again."""
    max_message_bytes: int = Field(262_144, ge=1024, le=4_194_304)

    @field_validator("other_urls")
    @classmethod
    def _are_sockets(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        if not all(url.startswith(("ws://", "wss://")) for url in urls):
            raise ValueError("other_urls must each begin with ws:// or wss://")
        return urls

    @property
    def urls(self) -> tuple[str, ...]:
        """Every server, in the order in which they are tried."""
        return (self.url, *self.other_urls)
