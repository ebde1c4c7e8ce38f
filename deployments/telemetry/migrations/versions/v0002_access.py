"""Who may administer and look: passwords, secrets, ended sessions, and the log of administrative acts."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"

_INSTANT = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
_JSON = JSONB().with_variant(sa.Text(), "sqlite")


def upgrade() -> None:
    """Make the four tables of access."""
    op.create_table(
        "senhas",
        sa.Column("account_id", sa.Text, primary_key=True),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("changed_at", _INSTANT, nullable=False),
    )
    op.create_table(
        "segredos",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("expires_at", _INSTANT),
    )
    op.create_table(
        "sessoes_encerradas",
        sa.Column("web_session_id", sa.Text, primary_key=True),
        sa.Column("expires_at", _INSTANT, nullable=False),
    )
    op.create_index("sessoes_encerradas_prazo", "sessoes_encerradas", ["expires_at"])
    op.create_table(
        "auditoria",
        sa.Column("act_id", sa.Text, primary_key=True),
        sa.Column("happened_at", _INSTANT, nullable=False),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("actor", "action", "target", "address")),
        sa.Column("details", _JSON),
    )
    op.create_index("auditoria_instante", "auditoria", ["happened_at"])
