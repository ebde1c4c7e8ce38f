"""The console's arithmetic: days, quantiles, shares and how sure they are, an interaction's instants in order."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any, Final
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field

from cestas.ordering import Z_95

HOURLY_UP_TO_DAYS: Final = 3
"""Longer periods are shown by day."""
HOUR_S: Final = 3_600
DAY_S: Final = 86_400
STEPS: Final = (
    ("audio_received_at", "áudio recebido"),
    ("speech_ended_at", "fim da fala"),
    ("segment_emitted_at", "trecho fechado"),
    ("voice_sent_at", "voz: enviado"),
    ("voice_ready_at", "voz: pronto"),
    ("stt_sent_at", "transcrição: enviada"),
    ("stt_ready_at", "transcrição: pronta"),
    ("advice_asked_at", "sugestão: pedida"),
    ("advice_entities_at", "sugestão: entidades"),
    ("advice_category_at", "sugestão: categoria"),
    ("advice_ready_at", "sugestão: pronta"),
    ("sent_to_counter_at", "enviada ao balcão"),
)
"""The instants of an interaction, in the order in which they come."""


class ConsoleSettings(BaseModel):
    """How live the console's live list is, and for how many."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    live_every_ms: int = Field(100, ge=20, le=10_000)
    """How often a replica looks for new interactions while anybody watches; nobody watching: never."""
    watchers_max: int = Field(20, ge=1, le=1_000)
    """Live lists open on one replica; the next one is told 429 and asks every few seconds instead."""
    stream_s: float = Field(60.0, gt=0, le=3_600)
    """How long one live stream lasts before the page opens the next, which is judged anew."""


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days in a time zone, the last of them the present one, in steps of an hour or a day."""

    since: datetime
    before: datetime
    step_s: int
    slots: int

    def instants(self) -> list[int]:
        """When each slot begins, in seconds since 1970."""
        first = int(self.since.timestamp())
        return [first + slot * self.step_s for slot in range(self.slots)]


def period(days: int, zone: str, now: datetime) -> Period:
    """The last `days` days at `now` (aware) in `zone`. Steps are of equal length: where clocks change they shift."""
    today = now.astimezone(ZoneInfo(zone)).replace(hour=0, minute=0, second=0, microsecond=0)
    since = (today - timedelta(days=days - 1)).astimezone(timezone.utc)
    hourly = days <= HOURLY_UP_TO_DAYS
    before = since + timedelta(days=days)
    return Period(since, before, HOUR_S if hourly else DAY_S, days * 24 if hourly else days)


def wilson(part: int, whole: int) -> tuple[float, float, float] | None:
    """A share with its 95 % interval after Wilson (1927): (share, low, high); None of nothing."""
    if whole <= 0:
        return None
    part = min(part, whole)
    share, z2 = part / whole, Z_95**2
    middle = (share + z2 / (2 * whole)) / (1 + z2 / whole)
    reach = Z_95 * math.sqrt(share * (1 - share) / whole + z2 / (4 * whole**2)) / (1 + z2 / whole)
    return share, max(0.0, middle - reach), min(1.0, middle + reach)


def quantile_ms(buckets: Mapping[int, int], q: float) -> float | None:
    """The `q` quantile of delays counted by their bucket's lower edge: the middle of the bucket that holds it."""
    rank = q * sum(buckets.values())
    passed = 0
    for edge in sorted(buckets):
        passed += buckets[edge]
        if passed >= rank and passed > 0:
            return edge + (5 if edge < 1_000 else 50 if edge < 10_000 else 500)
    return None


def by_slot(rows: Iterable[Mapping[str, Any]], name: str, slots: int) -> list[float]:
    """One figure of rows with a `slot`, as a list with 0 where there is no row."""
    figures = [0.0] * slots
    for row in rows:
        if 0 <= row["slot"] < slots:
            figures[row["slot"]] += row[name]
    return figures


def words_of(text: str) -> tuple[str, ...]:
    """The words that somebody searches for, in small letters without accents; signs are no part of them."""
    plain = "".join(sign for sign in unicodedata.normalize("NFD", text.lower()) if not unicodedata.combining(sign))
    return tuple(re.findall(r"[a-z0-9]+", plain))


def waterfall(row: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The instants that an interaction has: `nome`, `instante`, `ms` since the end of speech (or the first of them)."""
    known = [(label, row[name]) for name, label in STEPS if row.get(name) is not None]
    if not known:
        return []
    zero = row.get("speech_ended_at") or known[0][1]
    return [
        {"nome": label, "instante": at, "ms": round((at - zero) / timedelta(milliseconds=1), 3)} for label, at in known
    ]


def per_suggestion(costs: Sequence[float], suggestions: Sequence[float]) -> list[float | None]:
    """What one suggestion cost in each slot; None where there was none."""
    return [cost / n if n else None for cost, n in zip(costs, suggestions, strict=True)]
