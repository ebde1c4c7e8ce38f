"""What PostgreSQL and SQLite say differently in the console's questions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

_ACCENTS = ("áàâãäéèêëíìîïóòôõöúùûüç", "aaaaaeeeeiiiiooooouuuuc")


class Dialect(Protocol):
    """Pieces of SQL."""

    def hour_after(self, hour: str) -> str:
        """The instant an hour after `hour`, which is a whole one."""

    def elapsed_ms(self, begun: str, ended: str) -> str:
        """Milliseconds between two instants."""

    def slot(self, column: str, origin: str, step_s: str) -> str:
        """How many whole steps of `step_s` seconds an instant is after `origin`, as an integer."""

    def blocks(self) -> tuple[str, str, str]:
        """A source that goes through `i.blocked` one by one, and the item and rule of one of them."""

    def has_words(self, argument: str) -> str:
        """The condition that `text` has the words of `argument`, made by `words`."""

    def words(self, words: Sequence[str]) -> str:
        """Beginnings of words, in small letters without accents, as `has_words` takes them."""


class PostgresDialect:
    """PostgreSQL's."""

    def hour_after(self, hour: str) -> str:
        """See Dialect."""
        return f"{hour} + interval '1 hour'"

    def elapsed_ms(self, begun: str, ended: str) -> str:
        """See Dialect."""
        return f"EXTRACT(EPOCH FROM {ended} - {begun})::double precision * 1000"

    def slot(self, column: str, origin: str, step_s: str) -> str:
        """See Dialect."""
        return f"floor(EXTRACT(EPOCH FROM {column} - {origin}) / {step_s}::int)::bigint"

    def blocks(self) -> tuple[str, str, str]:
        """See Dialect."""
        return "LATERAL jsonb_array_elements(i.blocked) AS b(value)", "b.value ->> 'item_id'", "b.value ->> 'rule_id'"

    def has_words(self, argument: str) -> str:
        """See Dialect: as the index `interacoes_palavras` has it."""
        folded = f"translate(lower(text), '{_ACCENTS[0]}', '{_ACCENTS[1]}')"
        return f"text <> '' AND to_tsvector('simple'::regconfig, {folded}) @@ to_tsquery('simple'::regconfig, {argument})"

    def words(self, words: Sequence[str]) -> str:
        """See Dialect."""
        return " & ".join(f"{word}:*" for word in words)


class SqliteDialect:
    """SQLite's."""

    def hour_after(self, hour: str) -> str:
        """See Dialect."""
        return f"strftime('%Y-%m-%dT%H:00:00.000000+00:00', {hour}, '+1 hour')"

    def elapsed_ms(self, begun: str, ended: str) -> str:
        """See Dialect."""
        return f"((julianday({ended}) - julianday({begun})) * 86400000.0)"

    def slot(self, column: str, origin: str, step_s: str) -> str:
        """See Dialect; a thousandth of a step makes up for what a day's fraction loses."""
        return f"CAST((julianday({column}) - julianday({origin})) * 86400.0 / {step_s} + 0.001 AS INTEGER)"

    def blocks(self) -> tuple[str, str, str]:
        """See Dialect."""
        return "json_each(i.blocked) AS b", "json_extract(b.value, '$.item_id')", "json_extract(b.value, '$.rule_id')"

    def has_words(self, argument: str) -> str:
        """See Dialect: every row of the interval is read."""
        folded = "lower(text)"
        for accented, plain in zip(*_ACCENTS, strict=True):
            folded = f"replace({folded}, '{accented}', '{plain}')"
        return f"text <> '' AND ' ' || {folded} LIKE {argument} ESCAPE '\\'"

    def words(self, words: Sequence[str]) -> str:
        """See Dialect; in the order in which they were given."""
        return "".join(f"% {word}" for word in words) + "%"
