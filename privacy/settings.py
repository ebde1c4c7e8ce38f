"""Settings of redaction: whose names a pharmacy knows, and which words it does not want taken for names."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class RedactionSettings(BaseModel):
    """Redaction is always on; these tune it. Words are compared in lower case and without accents."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    extra_names: tuple[str, ...] = Field((), max_length=2000)
    """Given names to redact wherever they are said, besides those of `privacy/data/names.json`: the staff's."""
    never_names: tuple[str, ...] = Field((), max_length=2000)
    """Words that are never names, even where one is announced: brands that sound like people."""
    continue_within_s: float = Field(15.0, ge=0, le=120)
    """Digits at the beginning of a text continue those at the end of the one before, said at most this long before."""
