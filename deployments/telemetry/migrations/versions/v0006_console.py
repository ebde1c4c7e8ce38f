"""What the owner's console reads: figures by hour, which hours changed, and indexes for the live list and search."""

# ruff: noqa: S608 - our own names
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0004"

_INSTANT = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
_COUNTS = (
    "interactions",
    "sugerido",
    "nada",
    "bloqueado",
    "alerta",
    "descartado",
    "vazio",
    "stt_falhou",
    "llm_falhou",
    "prazo",
    "perdido",
)
_WORDS = (
    "to_tsvector('simple'::regconfig, translate(lower(text), 'áàâãäéèêëíìîïóòôõöúùûüç', 'aaaaaeeeeiiiiooooouuuuc'))"
)

_POSTGRES = (
    """
    CREATE FUNCTION painel_marcar_interacoes() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO painel_pendentes (client_id, hour, taken)
        SELECT DISTINCT client_id, date_trunc('hour', happened_at, 'UTC'), FALSE FROM linhas;
      RETURN NULL;
    END $$
    """,
    """
    CREATE FUNCTION painel_marcar_retornos() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO painel_pendentes (client_id, hour, taken)
        SELECT DISTINCT i.client_id, date_trunc('hour', i.happened_at, 'UTC'), FALSE
        FROM linhas r JOIN interacoes i ON i.suggestion_id = r.suggestion_id;
      RETURN NULL;
    END $$
    """,
    *(
        f"CREATE TRIGGER painel_{verb.lower()} AFTER {verb} ON {table} REFERENCING {rows} TABLE AS linhas "
        f"FOR EACH STATEMENT EXECUTE FUNCTION painel_marcar_{table}()"
        for table in ("interacoes", "retornos")
        for verb, rows in (("INSERT", "NEW"), ("DELETE", "OLD"))
    ),
    "INSERT INTO painel_pendentes (client_id, hour, taken) "
    "SELECT DISTINCT client_id, date_trunc('hour', happened_at, 'UTC'), FALSE FROM interacoes",
    f"CREATE INDEX interacoes_palavras ON interacoes USING gin ({_WORDS}) WHERE text <> ''",
)
_HOUR = "substr({0}, 1, 13) || ':00:00.000000+00:00'"
_SQLITE = (
    *(
        f"CREATE TRIGGER painel_interacoes_{verb.lower()} AFTER {verb} ON interacoes BEGIN "
        f"INSERT INTO painel_pendentes (client_id, hour, taken) "
        f"VALUES ({row}.client_id, {_HOUR.format(f'{row}.happened_at')}, 0); END"
        for verb, row in (("INSERT", "NEW"), ("DELETE", "OLD"))
    ),
    *(
        f"CREATE TRIGGER painel_retornos_{verb.lower()} AFTER {verb} ON retornos BEGIN "
        f"INSERT INTO painel_pendentes (client_id, hour, taken) SELECT i.client_id, {_HOUR.format('i.happened_at')}, 0 "
        f"FROM interacoes i WHERE i.suggestion_id = {row}.suggestion_id; END"
        for verb, row in (("INSERT", "NEW"), ("DELETE", "OLD"))
    ),
    f"INSERT INTO painel_pendentes (client_id, hour, taken) "
    f"SELECT DISTINCT client_id, {_HOUR.format('happened_at')}, 0 FROM interacoes",
)


def upgrade() -> None:
    """Make the tables of figures and the triggers that say which hours changed; count every hour that is there."""
    op.create_table(
        "painel_pendentes",
        sa.Column("client_id", sa.Text, nullable=False),
        sa.Column("hour", _INSTANT, nullable=False),
        sa.Column("taken", sa.Boolean, nullable=False),
    )
    op.create_index("painel_pendentes_hora", "painel_pendentes", ["hour", "client_id"])
    _figures("painel_horas", (), (*_COUNTS,), ("audio_s", "stt_usd", "llm_usd"))
    _figures("painel_atrasos", (sa.Column("bucket_ms", sa.BigInteger),), ("n",))
    _figures(
        "painel_cestas",
        (sa.Column("cesta", sa.Text), sa.Column("ordering", sa.Text), sa.Column("simulated", sa.Boolean)),
        ("shown", "accepted", "sold", "refused", "taken", "taken_squared"),
    )
    _figures("painel_bloqueios", (sa.Column("item_id", sa.Text), sa.Column("rule_id", sa.Text)), ("n",))
    op.create_index("interacoes_registro", "interacoes", ["recorded_at"])
    for statement in _POSTGRES if op.get_bind().dialect.name == "postgresql" else _SQLITE:
        op.execute(statement)


def _figures(name: str, parts: tuple[sa.Column[Any], ...], counts: tuple[str, ...], sums: tuple[str, ...] = ()) -> None:
    """A table of figures by hour and counter, and by `parts`; `round` is when they were counted, in microseconds."""
    keys: tuple[sa.Column[Any], ...] = (
        sa.Column("hour", _INSTANT),
        sa.Column("client_id", sa.Text),
        sa.Column("counter_id", sa.Text),
        *parts,
    )
    op.create_table(
        name,
        *keys,
        *(sa.Column(count, sa.BigInteger, nullable=False) for count in counts),
        *(sa.Column(total, sa.Double, nullable=False) for total in sums),
        sa.Column("round", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint(*(key.name for key in keys)),
    )
    op.create_index(f"{name}_cliente", name, ["client_id", "hour"])
