"""Whose order a suggestion's items were in, so that what was learned can be compared with the pharmacist's own."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

_ORDERED = sa.text("ordering <> ''")


def upgrade() -> None:
    """Add the column, and the index of the rows that are compared."""
    op.add_column("interacoes", sa.Column("ordering", sa.Text, nullable=False, server_default=""))
    op.create_index("interacoes_ordem", "interacoes", ["happened_at"], postgresql_where=_ORDERED, sqlite_where=_ORDERED)
