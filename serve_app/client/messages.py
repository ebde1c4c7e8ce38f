"""The messages of a counter, both ways, without a socket; see docs/protocol.md."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeGuard

from serve_app.client.errors import Refused
from serve_app.client.settings import AudioFormat, ClientSettings


def handshake(
    settings: ClientSettings, api_key: str, formato: AudioFormat, session_id: str | None, desde: int = 0
) -> dict[str, Any]:
    """The first message of each generation; `desde` is the oldest sample of the session that can be sent again."""
    vad = {"vad_settings": settings.vad_settings}
    if settings.generation == 2:
        return {"comando": "auth", "api_key": api_key}
    if settings.generation == 3:
        return {"api_key": api_key, **vad}
    opening = {"comando": "auth", "versao": 4, "api_key": api_key, "formato": formato}
    return {**opening, "sessao": session_id, "desde": desde, **(vad if settings.vad_settings else {})}


def parse(raw: str | bytes) -> tuple[str, dict[str, Any]] | None:
    """A server's message as (`comando`, the other fields); None for what is not a JSON object with a `comando`."""
    try:
        message = json.loads(raw) if isinstance(raw, str) else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict) or not isinstance(message.get("comando"), str):
        return None
    return message.pop("comando"), message


def refusal(close_code: int | None, error: Mapping[str, Any]) -> Refused | None:
    """What a close means together with the last `erro`: Refused for 4000–4999, None when it may be resumed."""
    if close_code is None or not 4000 <= close_code <= 4999:
        return None
    mensagem = str(error.get("mensagem") or "O servidor recusou este balcão.")
    retry_in_s = error.get("tente_em_s")
    codigo = str(error.get("codigo") or "recusado")
    return Refused(close_code, codigo, mensagem, float(retry_in_s) if is_number(retry_in_s) else 0.0)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether a JSON value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
