"""The kinds of text that requests bring, with what each may hold."""

import re
from datetime import datetime, timezone
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

from fastapi import Path, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from serve_app.passwords import PASSWORD_MAX, PASSWORD_MIN

PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
"""No control signs: PostgreSQL stores no NUL, and nothing else of them belongs into a name."""
NOT_BLANK = r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$"

Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=NOT_BLANK)]
Phone = Annotated[str, StringConstraints(min_length=1, max_length=40, pattern=NOT_BLANK)]
_MAIL = r"[^@\s\x00-\x1f\x7f-\xa0]+"
"""Control signs and spaces by number besides: what `\\s` is differs between those who read the pattern."""
Email = Annotated[str, StringConstraints(max_length=254, pattern=rf"^{_MAIL}@{_MAIL}\.{_MAIL}$")]
Code = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=NOT_BLANK)]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=PASSWORD_MAX)]
NewPassword = Annotated[str, StringConstraints(min_length=PASSWORD_MIN, max_length=PASSWORD_MAX)]

Identity = Annotated[str, Path(min_length=1, max_length=64, pattern=PRINTABLE)]
Search = Annotated[str, Query(max_length=200, pattern=PRINTABLE, description="parte do nome, ou o código inteiro")]
Filter = Annotated[str | None, Query(max_length=64, pattern=PRINTABLE)]
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_EARLIEST: Final = datetime(1970, 1, 2, tzinfo=timezone.utc)
_LATEST: Final = datetime(2999, 1, 1, tzinfo=timezone.utc)


def _written_out(value: Any) -> Any:
    """Pydantic would take a bare number for seconds since 1970."""
    if isinstance(value, str) and not _DATE.match(value):
        raise ValueError("use ISO 8601 com fuso, como 2026-11-22T00:00:00-03:00")
    return value


def _within_reach(instant: datetime) -> datetime:
    """Nothing was recorded outside these centuries, and the ends of Python's calendar exist in no other zone."""
    return min(max(instant, _EARLIEST), _LATEST)


Instant = Annotated[
    Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_within_reach)] | None,
    Query(description="ISO 8601 com fuso, como 2026-11-22T00:00:00-03:00"),
]


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # its own error for a missing one is a KeyError
        raise ValueError("fuso desconhecido; use um nome como America/Sao_Paulo") from None
    return name


Zone = Annotated[
    str,
    Query(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$", description="fuso, como America/Sao_Paulo"),
    AfterValidator(_known_zone),
]
Limit = Annotated[int, Query(ge=1, le=1000)]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]


class Body(BaseModel):
    """A request's JSON: what is not known is refused."""

    model_config = ConfigDict(extra="forbid")


class Listed(BaseModel):
    """How many there are in all, beside the rows of a page."""

    total: int = Field(ge=0)
