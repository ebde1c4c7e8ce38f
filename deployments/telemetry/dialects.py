"""What PostgreSQL and SQLite say differently in the console's questions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Protocol

_ACCENTS = ("áàâãäéèêëíìîïóòôõöúùûüç", "aaaaaeeeeiiiiooooouuuuc")


class Dialect(Protocol):
    """Pieces of SQL."""

    def hour_of(self, instant: str) -> str:
        """The whole hour (UTC) that an instant is in."""

    def elapsed_ms(self, begun: str, ended: str) -> str:
        """Milliseconds between two instants."""

    def slot(self, column: str, origin: str, step_s: str) -> str:
        """How many whole steps of `step_s` seconds an instant is after `origin`, as an integer."""

    def whole(self, number: str) -> str:
        """A number from 0 on without its fraction."""

    def blocks(self) -> tuple[str, str, str]:
        """A source that goes through `i.blocked` one by one, and the item and rule of one of them."""

    def has_words(self, argument: str) -> str:
        """The condition that `text` has the words of `argument`, made by `words`."""

    def words(self, words: Sequence[str]) -> str:
        """Beginnings of words, in small letters without accents, as `has_words` takes them."""


class PostgresDialect:
    """PostgreSQL's."""

    def hour_of(self, instant: str) -> str:
        """See Dialect."""
        return f"date_trunc('hour', {instant}, 'UTC')"

    def elapsed_ms(self, begun: str, ended: str) -> str:
        """See Dialect."""
        return f"EXTRACT(EPOCH FROM {ended} - {begun})::double precision * 1000"

    def slot(self, column: str, origin: str, step_s: str) -> str:
        """See Dialect."""
        return f"floor(EXTRACT(EPOCH FROM {column} - {origin}) / {step_s}::int)::bigint"

    def whole(self, number: str) -> str:
        """See Dialect."""
        return f"floor({number})::bigint"

    def blocks(self) -> tuple[str, str, str]:
        """See Dialect."""
        return "LATERAL jsonb_array_elements(i.blocked) AS b(value)", "b.value ->> 'item_id'", "b.value ->> 'rule_id'"

    def has_words(self, argument: str) -> str:
        """See Dialect: as the index `interacoes_palavras` has it."""
        folded = f"translate(lower(text), '{_ACCENTS[0]}', '{_ACCENTS[1]}')"
        return (
            f"text <> '' AND to_tsvector('simple'::regconfig, {folded}) @@ to_tsquery('simple'::regconfig, {argument})"
        )

    def words(self, words: Sequence[str]) -> str:
        """See Dialect."""
        return " & ".join(f"{word}:*" for word in words)


class SqliteDialect:
    """SQLite's."""

    def hour_of(self, instant: str) -> str:
        """See Dialect."""
        return f"(substr({instant}, 1, 13) || ':00:00.000000+00:00')"

    def elapsed_ms(self, begun: str, ended: str) -> str:
        """See Dialect."""
        return f"((julianday({ended}) - julianday({begun})) * 86400000.0)"

    def slot(self, column: str, origin: str, step_s: str) -> str:
        """See Dialect; a thousandth of a step makes up for what a day's fraction loses."""
        return f"CAST((julianday({column}) - julianday({origin})) * 86400.0 / {step_s} + 0.001 AS INTEGER)"

    def whole(self, number: str) -> str:
        """See Dialect."""
        return f"CAST({number} AS INTEGER)"

    def blocks(self) -> tuple[str, str, str]:
        """See Dialect."""
        return "json_each(i.blocked) AS b", "json_extract(b.value, '$.item_id')", "json_extract(b.value, '$.rule_id')"

    def has_words(self, argument: str) -> str:
        """See Dialect: every row of the interval is read."""
        folded = "lower(text)"
        for accented, plain in zip(*_ACCENTS, strict=True):
            folded = f"replace({folded}, '{accented}', '{plain}')"
        lacks = f"' ' || {folded} NOT LIKE '% ' || word.value || '%'"
        return f"text <> '' AND NOT EXISTS (SELECT 1 FROM json_each({argument}) AS word WHERE {lacks})"  # noqa: S608

    def words(self, words: Sequence[str]) -> str:
        """See Dialect."""
        return json.dumps(list(words))
