"""Sessions that were erased, so that no row on its way comes back, and the index by which texts grow old."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_INSTANT = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
_HAS_TEXT = sa.text("text <> '' OR entities IS NOT NULL")


def upgrade() -> None:
    """Make the table of erased sessions and the index of rows that still have a text."""
    op.create_table(
        "sessoes_apagadas",
        sa.Column("session_id", sa.Text, primary_key=True),
        sa.Column("erased_at", _INSTANT, nullable=False),
    )
    op.create_index(
        "interacoes_com_texto", "interacoes", ["happened_at"], postgresql_where=_HAS_TEXT, sqlite_where=_HAS_TEXT
    )
    op.create_index("retornos_sessao", "retornos", ["session_id"])
