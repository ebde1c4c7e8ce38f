"""Settings of the speech-to-text adapters beside ElevenLabs' batch one: how each is reached and what it costs."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

STANDING_KEYTERMS = (
    "dipirona", "Dorflex", "Buscopan", "Neosaldina", "Tylenol", "paracetamol", "ibuprofeno", "Novalgina",
    "nimesulida", "diclofenaco", "amoxicilina", "azitromicina", "omeprazol", "pantoprazol", "losartana",
    "hidroclorotiazida", "enalapril", "metformina", "glibenclamida", "sinvastatina", "loratadina", "Allegra",
    "dexametasona", "prednisolona", "simeticona", "Luftal", "Imosec", "Floratil", "Salonpas", "Hipoglós",
    "Bepantol", "Rinosoro", "soro fisiológico", "anticoncepcional", "pílula do dia seguinte",
)  # fmt: skip
"""Words that are misheard without help: names of medicines that counters ask for."""


class AssemblyAISettings(BaseModel):
    """How AssemblyAI is called: its one-call Sync API, or upload, submit and poll ("rest")."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    api_key: SecretStr | None = None
    """From `ASSEMBLYAI_API_KEY`; never in the YAML."""
    endpoint: Literal["sync", "rest"] = "sync"
    """`sync` answers in the same call. `rest` adds 5–6 s to a short clip, by the vendor: not for a counter."""
    sync_base_url: str = Field("https://sync.assemblyai.com", pattern=r"^https?://")
    """`https://sync.eu.assemblyai.com` keeps audio and text in the European Union."""
    rest_base_url: str = Field("https://api.assemblyai.com", pattern=r"^https?://")
    """`https://api.eu.assemblyai.com` for the European Union."""
    model: str = Field("universal-3-5-pro", min_length=1)
    """The Sync API's model, and the REST endpoint's first choice."""
    language_code: str = Field("pt", min_length=2, max_length=2)
    """ISO 639-1. Given, so that a short utterance is not taken for Spanish."""
    timeout_s: float = Field(2.5, gt=0, le=60)
    """The longest one request may take; what is left of the utterance's budget bounds it further."""
    silence_s: float = Field(0.5, gt=0, le=60)
    """A pause of this length in the middle of an answer's body counts as a failure."""
    max_retries: int = Field(1, ge=0, le=5)
    """Further attempts after the first, only after retryable failures and only within the budget."""
    rest_fallback_min_budget_s: float = Field(8.0, gt=0, le=600)
    """When the Sync API is unavailable and this much of the budget is left, the REST endpoint is asked. An utterance's
    3 s never suffice: it serves recordings that are sent in later."""
    rest_timeout_s: float = Field(30.0, gt=0, le=600)
    """The longest that upload, submission and polling may take together."""
    poll_interval_s: float = Field(0.5, gt=0, le=30)
    delete_transcripts: bool = True
    """Delete a REST transcript at the vendor once it has been read; else it stays there for 30 days (a default of the
    vendor's that its dashboard can shorten). The Sync API makes no transcript that could be fetched later."""
    keyterms: tuple[str, ...] = STANDING_KEYTERMS
    """Sent after those that a request brings; the Sync API's price includes them."""
    keyterms_max: int = Field(100, ge=0, le=1000)
    keyterms_max_characters: int = Field(2048, ge=0, le=20_000)
    """Limits of the Sync API: the vendor's page says 2,048 characters in all, its SDK 1.8 allows 100 terms of 8,000."""
    cost_usd_per_hour: float = Field(0.30, ge=0)
    """List price of the Sync API, keyterms included, as of 2026-10-07 at https://www.assemblyai.com/pricing. Billed by
    the second; failed requests are not."""
    rest_cost_usd_per_hour: float = Field(0.21, ge=0)
    """List price of Universal-3.5 Pro, pre-recorded, same page and date."""
    rest_keyterms_cost_usd_per_hour: float = Field(0.05, ge=0)
    """What keyterms add to it."""
    keepalive_s: float = Field(60.0, ge=0)
    """How long an idle connection stays open: a TLS handshake costs two round trips to the vendor."""

    @field_validator("keyterms")
    @classmethod
    def _no_empty_terms(cls, terms: tuple[str, ...]) -> tuple[str, ...]:
        if any(not term.strip() for term in terms):
            raise ValueError("keyterms: an empty term; remove it")
        return terms


class RealtimeSettings(BaseModel):
    """How ElevenLabs' realtime transcription is called: a WebSocket that is fed while somebody speaks."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    api_key: SecretStr | None = None
    """From `ELEVENLABS_API_KEY`; never in the YAML."""
    base_url: str = Field("https://api.elevenlabs.io", pattern=r"^https?://")
    """`http` becomes `ws`, `https` becomes `wss`."""
    model: str = Field("scribe_v2_realtime", min_length=1)
    language_code: str = Field("por", min_length=2, max_length=3)
    """ISO 639-1 or 639-3."""
    timeout_s: float = Field(2.5, gt=0, le=60)
    """The longest that a commit may take; what is left of the utterance's budget bounds it further."""
    connect_timeout_s: float = Field(2.0, gt=0, le=60)
    feed_timeout_s: float = Field(1.0, gt=0, le=60)
    """A socket that takes no audio for this long is dead."""
    close_timeout_s: float = Field(1.0, gt=0, le=60)
    """How long to wait for the vendor's goodbye before the connection is dropped."""
    doubled_final_wait_s: float = Field(0.4, ge=0, le=2)
    """A final that repeats the previous one word for word is kept waiting for this long: if another comes, the first
    was a belated double; if none does, the customer said the same again."""
    max_retries: int = Field(0, ge=0, le=5)
    """Further attempts of a whole utterance over a new socket; batch transcription is the better second try."""
    zero_retention: bool = False
    """Ask the vendor to keep neither audio nor text (`enable_logging=false`): for its enterprise customers only, others
    are refused."""
    piece_ms: int = Field(500, ge=20, le=1000)
    """An utterance that is sent whole goes in pieces of this length; the vendor advises 100 ms to 1 s."""
    min_commit_ms: int = Field(300, ge=0, le=5000)
    """Less audio than this is refused without asking: the vendor throttles such commits."""
    keyterms: tuple[str, ...] = ()
    """Standing keyterms. Chosen when a session opens; the surcharge is the vendor's."""
    keyterms_max: int = Field(50, ge=0, le=1000)
    keyterm_max_characters: int = Field(20, ge=1, le=1000)
    """Limits of the realtime API; longer terms are left out."""
    cost_usd_per_hour: float = Field(0.39, ge=0)
    """Scribe v2 Realtime. Not verified: set what https://elevenlabs.io/pricing/api says for your plan."""
    keyterms_cost_usd_per_hour: float = Field(0.05, ge=0)
    """What keyterms add to it: the same holds."""


class ListeningSettings(BaseModel):
    """Who is listened to while still speaking, where `speech_to_text.realtime` is on, and what that may take."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    clients: tuple[str, ...] = ()
    """Ids of the clients whose counters are listened to; `*`: all. Their audio goes to the realtime provider as it is
    spoken, also what turns out to be no speech at all."""
    sessions_max: int = Field(40, ge=1, le=1000)
    """Sessions open at once, of one ingress replica: vendors limit them for each account. Beyond it: batch."""
    idle_s: float = Field(30.0, gt=0, le=600)
    """A counter's session is kept warm for so long after it was last fed; open and unfed it costs nothing."""
    piece_ms: int = Field(250, ge=30, le=1000)
    """Audio goes in pieces of this length: shorter ones cost CPU, longer ones leave more to send at the end."""
    wait_s: float = Field(0.8, gt=0, le=10)
    """How long a commit is waited for until the utterance goes to batch recognition: twice the vendor's published
    99th percentile of 0.41 s."""


class LocalSettings(BaseModel):
    """A Whisper model on the premises, by faster-whisper (`pip install -r requirements-local.txt`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str = Field("small", min_length=1)
    """A directory with a converted model (CTranslate2), or a name such as `small` or `large-v3-turbo` that is in the
    cache already; `download` lets it be fetched."""
    download: bool = False
    """Fetch a model that is not there from the Hugging Face hub at start. Off: a start never waits for gigabytes."""
    download_dir: str | None = None
    """Where models are kept; None: the hub's own cache."""
    device: Literal["cpu", "cuda", "auto"] = "cpu"
    """`cuda` needs CUDA 12 and cuDNN 9 on the machine; it has not been measured yet."""
    compute_type: str = Field("int8", min_length=1)
    """A type that CTranslate2 knows: `int8` for a CPU, `float16` or `int8_float16` for a GPU."""
    language_code: str = Field("pt", min_length=2, max_length=3)
    threads: int = Field(2, ge=1, le=64)
    """CPU threads of one batch."""
    batch_size: int = Field(4, ge=1, le=64)
    """Utterances recognised together when several wait."""
    max_waiting: int = Field(16, ge=0, le=1000)
    """Utterances that may wait; one more is answered with `limite`."""
    beam_size: int = Field(1, ge=1, le=16)
    max_new_tokens: int = Field(96, ge=8, le=224)
    """The longest text of 30 s of audio, in tokens: a model in a loop stops here."""
    no_speech_threshold: float = Field(0.6, ge=0, le=1)
    log_prob_threshold: float = Field(-1.0, le=0)
    """Audio whose no-speech probability is above the first and whose mean log-probability is below the second is empty:
    the pair that Whisper's authors use."""
    min_free_memory_mb: int = Field(512, ge=0)
    """Left free for the rest of the service beside the model's files, or the start is refused."""
    start_limit_s: float = Field(2.0, gt=0, le=60)
    """At start one second of audio is recognised; a machine that takes longer for it is too small for the model."""
    keyterms: tuple[str, ...] = ()
    """Words put before the audio as a prompt."""
    keyterms_max_tokens: int = Field(100, ge=0, le=220)
