"""The first schema: interactions, results of suggestions, clients, counters."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

_INSTANT = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
_JSON = JSONB().with_variant(sa.Text(), "sqlite")

_INSTANTS = (
    "audio_received_at",
    "speech_ended_at",
    "segment_emitted_at",
    "voice_sent_at",
    "voice_ready_at",
    "stt_sent_at",
    "stt_ready_at",
    "advice_asked_at",
    "advice_entities_at",
    "advice_category_at",
    "advice_ready_at",
    "sent_to_counter_at",
)
_IDS = ("client_id", "counter_id", "session_id", "utterance_id", "node", "software_version", "outcome")
_TEXTS = (
    "origin",
    "discard_reason",
    "cut_reason",
    "speech_confirmer",
    "stt_provider",
    "stt_model",
    "stt_status",
    "stt_error",
    "stt_audio",
    "text",
    "advice_origin",
    "advice_status",
    "advice_error",
    "advisor",
    "advisor_model",
    "cesta",
)
_INTEGERS = (
    "first_sample",
    "end_sample",
    "size_bytes",
    "frames",
    "speech_frames",
    "stt_attempts",
    "advisor_tokens_in",
    "advisor_tokens_out",
)
_NUMBERS = (
    "cpu_percent",
    "ram_percent",
    "process_rss_mb",
    "duration_s",
    "noise_floor_start_dbfs",
    "noise_floor_end_dbfs",
    "threshold_start_dbfs",
    "threshold_end_dbfs",
    "pitch_mean_hz",
    "pitch_std_hz",
    "voiced_ratio",
    "snr_db",
    "spectral_centroid_hz",
    "zero_crossing_rate",
    "rms_mean",
    "rms_max",
    "peak_dbfs",
    "clipping_ratio",
    "dc_offset",
    "speech_confidence",
    "denoise_gain_db",
    "stt_cost_usd",
    "advisor_cost_usd",
    "confidence",
)
_STRUCTURES = ("band_energies_db", "gate_settings", "entities", "items", "blocked")


def upgrade() -> None:
    """Make the four tables and the indexes for the owner's questions."""
    op.create_table(
        "interacoes",
        sa.Column("interaction_id", sa.Text, primary_key=True),
        sa.Column("happened_at", _INSTANT, nullable=False),
        sa.Column("recorded_at", _INSTANT, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in _IDS),
        *(sa.Column(name, _INSTANT) for name in _INSTANTS),
        *(sa.Column(name, sa.Text, nullable=False, server_default="") for name in _TEXTS),
        *(sa.Column(name, sa.BigInteger) for name in _INTEGERS),
        *(sa.Column(name, sa.Double) for name in _NUMBERS),
        *(sa.Column(name, _JSON) for name in _STRUCTURES),
        sa.Column("simulated", sa.Boolean, nullable=False),
        sa.Column("macro", sa.Text),
        sa.Column("micro", sa.Text),
        sa.Column("suggestion_id", sa.Text),
    )
    op.create_index("interacoes_instante", "interacoes", ["happened_at"])
    op.create_index("interacoes_balcao", "interacoes", ["counter_id", "happened_at"])
    op.create_index("interacoes_cliente", "interacoes", ["client_id", "happened_at"])
    op.create_index("interacoes_desfecho", "interacoes", ["outcome", "happened_at"])
    op.create_index("interacoes_sessao", "interacoes", ["session_id", "happened_at"])
    op.create_index("interacoes_sugestao", "interacoes", ["suggestion_id"])

    op.create_table(
        "retornos",
        sa.Column("feedback_id", sa.Text, primary_key=True),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("suggestion_id", "item_id", "result")),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("counter_id", "session_id")),
        sa.Column("reported_at", _INSTANT, nullable=False),
        sa.Column("recorded_at", _INSTANT, nullable=False),
    )
    op.create_index("retornos_sugestao", "retornos", ["suggestion_id"])
    op.create_index("retornos_balcao", "retornos", ["counter_id", "reported_at"])

    op.create_table(
        "clientes",
        sa.Column("client_id", sa.Text, primary_key=True),
        sa.Column("code", sa.Text, nullable=False, unique=True),
        sa.Column("email", sa.Text, nullable=False, unique=True),
        sa.Column("company", sa.Text, nullable=False),
        sa.Column("phone", sa.Text, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
    )
    op.create_table(
        "balcoes",
        sa.Column("counter_id", sa.Text, primary_key=True),
        sa.Column("client_id", sa.Text, sa.ForeignKey("clientes.client_id"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("key_hash", sa.Text, nullable=False, unique=True),
        sa.Column("revoked", sa.Boolean, nullable=False),
        sa.Column("vad_settings", _JSON),
        sa.Column("created_at", _INSTANT, nullable=False),
    )
    op.create_index("balcoes_cliente", "balcoes", ["client_id"])
