"""What happens to a counter, as an event, a line of JSON, or a line to read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from serve_app.client.messages import is_number


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, `t_s` seconds after the start of `run`.

    `kind` is the server's `comando` (`ouvido`, `recomendar`, `aviso`, `recebido`, `erro`, …) with the message's other
    fields, or one of ours: `connected` (its `base_sample` is the stream's sample that is the session's sample 0),
    `reconnecting`, `audio_lost`, `end_sent`, `closed`. Times of `ouvido` are milliseconds of the stream, also where a
    new session had to be begun in the middle of it.
    """

    t_s: float
    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    def json_line(self) -> str:
        """One JSON object without a line break: `t_s`, `event`, then the fields."""
        return json.dumps({"t_s": round(self.t_s, 3), "event": self.kind, **self.fields}, ensure_ascii=False)


def describe(event: Event) -> str | None:
    """One readable line for an event, None for what only machines want to know (`recebido`, `pong`)."""
    fields = event.fields
    match event.kind:
        case "ouvido":
            what = f"heard        “{fields.get('texto', '')}”  ({_span(fields)})"
        case "recomendar":
            what = f"advised      {_items(fields)}"
        case "aviso" | "erro":
            what = f"{'notice' if event.kind == 'aviso' else 'error':<12} {fields.get('mensagem', '')}"
        case "connected":
            what = f"connected    generation {fields.get('generation')}, session {fields.get('sessao') or '–'}"
        case "reconnecting":
            what = f"reconnecting in {fields.get('in_s')} s ({fields.get('reason')})"
        case "reconectar":
            what = "notice       the server is going away"
        case "audio_lost":
            what = f"audio lost   {fields.get('seconds')} s could not be kept"
        case "end_sent":
            what = "end          all audio sent, waiting for what is pending"
        case "closed":
            what = "closed"
        case _:
            return None
    return f"{event.t_s:8.2f} s  {what}"


def _span(fields: Mapping[str, Any]) -> str:
    start, end = fields.get("inicio_ms"), fields.get("fim_ms")
    if not (is_number(start) and is_number(end)):
        return "typed"
    return f"{start / 1000:.2f}–{end / 1000:.2f} s"


def _items(fields: Mapping[str, Any]) -> str:
    items = [item for item in fields.get("itens") or [] if isinstance(item, dict)]
    names = " · ".join(str(item.get("sugestao", "")) for item in items) or str(fields.get("produto", ""))
    label = f"{fields.get('origem', '')}{', simulado' if fields.get('simulado') else ''}"
    return f"{names}  [{label}]"
