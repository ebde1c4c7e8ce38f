"""Records ↔ the outbox's JSON ↔ the database's columns."""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from datetime import datetime, timedelta, timezone
from typing import Any, TypeAlias

from deployments.telemetry.records import Feedback, Interaction

Record: TypeAlias = Interaction | Feedback

JSON_COLUMNS = frozenset(
    {"band_energies_db", "gate_settings", "entities", "items", "blocked", "vad_settings", "details"}
)
"""Columns that hold structures: JSONB in PostgreSQL, JSON text in SQLite."""
BOOLEAN_COLUMNS = frozenset({"simulated", "revoked"})
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_written = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Table:
    """A table that the outbox feeds: its key makes writing a row twice harmless."""

    name: str
    key: str
    columns: tuple[str, ...]
    defaults: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """A record as the outbox keeps it: `payload` is JSON of its columns, `recorded_us` microseconds since 1970 UTC."""

    row_id: str
    kind: str
    session_id: str
    recorded_us: int
    payload: str


def _table(name: str, record: type[Record], key: str, *added: str) -> Table:
    defaults = {f.name: (None if f.default is MISSING else f.default) for f in fields(record)}
    return Table(name, key, (*defaults, *added), defaults)


TABLES: Mapping[str, Table] = {
    "interaction": _table("interacoes", Interaction, "interaction_id", "happened_at", "recorded_at"),
    "feedback": _table("retornos", Feedback, "feedback_id", "recorded_at"),
}


def is_instant(column: str) -> bool:
    """True for columns that hold an instant (aware, UTC, microseconds)."""
    return column.endswith("_at")


def instant_text(instant: datetime) -> str:
    """ISO 8601 in UTC, always with six digits of microseconds: sorts as text the way instants sort."""
    return instant.astimezone(timezone.utc).isoformat(timespec="microseconds")


def microseconds(instant: datetime) -> int:
    """Microseconds since 1970 UTC of an aware `instant`."""
    return (instant - _EPOCH) // timedelta(microseconds=1)


def encode(record: Record, recorded_at: datetime) -> Row:
    """A record as a row of the outbox. Raises ValueError, naming the field, for an instant without a time zone.

    What PostgreSQL can hold nowhere (NUL, lone surrogates, numbers that are not finite) is replaced here, so that no
    measurement can make a row unwritable.
    """
    kind = "interaction" if isinstance(record, Interaction) else "feedback"
    table = TABLES[kind]
    values = {name: _plain(name, getattr(record, name)) for name in table.defaults}
    values["recorded_at"] = instant_text(recorded_at)
    if isinstance(record, Interaction):
        happened_at = record.speech_ended_at or record.audio_received_at or recorded_at
        values["happened_at"] = instant_text(happened_at)
    payload = _written({k: v for k, v in values.items() if v is not None})
    return Row(f"{kind}:{values[table.key]}", kind, record.session_id, microseconds(recorded_at), payload)


def _plain(name: str, value: Any) -> Any:
    kind = type(value)
    if value is None or kind is int or kind is bool or (kind is str and value.isascii() and "\0" not in value):
        return value  # most columns; asking what else they might be takes longer than writing the row
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{name}: an instant without a time zone")
        return instant_text(value)
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode("utf-8")
    if kind is float or (isinstance(value, numbers.Real) and not isinstance(value, int)):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(_plain(name, str(k))): _plain(name, v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(name, v) for v in value]
    return value


def decode(kind: str, payload: str) -> dict[str, Any]:
    """A row's columns: instants as aware datetimes, structures as JSON text. Raises KeyError for an unknown kind.

    Columns that an older version did not know take their default; columns that only a newer one knows are dropped.
    """
    table = TABLES[kind]
    stored: dict[str, Any] = json.loads(payload)
    return {name: _column(name, stored.get(name, table.defaults.get(name))) for name in table.columns}


def _column(name: str, value: Any) -> Any:
    if value is None:
        return None
    if is_instant(name):
        return datetime.fromisoformat(value)
    return json.dumps(value, ensure_ascii=False) if name in JSON_COLUMNS else value


def readable(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as either database gives it, in Python's types: aware UTC datetimes, structures, booleans."""
    return {name: _readable(name, value) for name, value in row.items()}


def _readable(name: str, value: Any) -> Any:
    if value is None:
        return None
    if is_instant(name):
        return (datetime.fromisoformat(value) if isinstance(value, str) else value).astimezone(timezone.utc)
    if name in JSON_COLUMNS and isinstance(value, str):
        return json.loads(value)
    return bool(value) if name in BOOLEAN_COLUMNS else value
