"""Rows of the third generation's tables as ours; pure, and the same row gives the same ids every time."""

from __future__ import annotations

import hashlib
import json
import math
import secrets
from collections.abc import Mapping
from datetime import date, datetime, timezone, tzinfo
from typing import Any, Final
from uuid import UUID, uuid5

from audio.errors import VadSettingsInvalid
from audio.settings import SegmenterSettings, with_vad_settings
from deployments.telemetry.records import Client, Counter, Feedback, Interaction
from deployments.telemetry.store import CODE_ALPHABET, CODE_LENGTH
from privacy.redact import Redactor
from serve_app.accounts import hash_of

NAMESPACE: Final = UUID("6d1f6a0e-3f0b-5e51-9d6e-5b2a7f0c4e11")
"""Of the ids of what was moved in."""
SOFTWARE: Final = "geracao-3"
INSTANTS: Final = {
    "ts_audio_received": "audio_received_at",
    "ts_speech_ended": "speech_ended_at",
    "ts_voice_sent": "voice_sent_at",
    "ts_voice_ready": "voice_ready_at",
    "ts_stt_sent": "stt_sent_at",
    "ts_stt_ready": "stt_ready_at",
    "ts_transcription_sent": "stt_sent_at",
    "ts_transcription_ready": "stt_ready_at",
    "ts_ai_request": "advice_asked_at",
    "ts_ai_response": "advice_ready_at",
    "ts_llm_sent": "advice_asked_at",
    "ts_llm_ready": "advice_ready_at",
    "ts_advice_asked": "advice_asked_at",
    "ts_advice_ready": "advice_ready_at",
    "ts_client_sent": "sent_to_counter_at",
    "ts_sent_to_counter": "sent_to_counter_at",
}
"""Columns of `interacoes` that hold an instant → ours. Others that begin with `ts_` are listed as ignored."""
RESULTS: Final = {
    "aceita": "aceita",
    "aceito": "aceita",
    "aceitou": "aceita",
    "sim": "aceita",
    "positivo": "aceita",
    "vendida": "vendida",
    "vendido": "vendida",
    "vendeu": "vendida",
    "recusada": "recusada",
    "recusado": "recusada",
    "recusou": "recusada",
    "nao": "recusada",
    "não": "recusada",
    "negativo": "recusada",
    "ignorada": "ignorada",
    "ignorado": "ignorada",
}
"""`resultado_feedback` → ours; anything else is counted and left out."""
TEXT_MAX: Final = 20_000
NAME_MAX: Final = 300
ITEMS_MAX: Final = 3


class RowRefused(Exception):
    """A row that cannot be moved in; the text is the reason, and quotes nothing of it."""


def client_of(row: Mapping[str, Any]) -> Client:
    """A row of `users` as a client. Its old six-digit code is not taken over: it can be guessed. Raises RowRefused."""
    email = _text(row.get("email"), NAME_MAX).lower()
    if "@" not in email:
        raise RowRefused("no e-mail")
    return Client(
        str(uuid5(NAMESPACE, f"cliente:{email}")),
        "".join(secrets.choice(CODE_ALPHABET) for _ in range(CODE_LENGTH)),
        email,
        _text(row.get("razao_social"), NAME_MAX) or email,
        _text(row.get("telefone"), NAME_MAX),
    )


def counter_of(row: Mapping[str, Any], client_id: str) -> Counter:
    """A row of `balcoes` as a counter: its key goes on working, and only its hash is kept. Raises RowRefused."""
    key = _text(row.get("api_key"), 1000)
    if not key:
        raise RowRefused("no api_key")
    key_hash = hash_of(key)
    counter_id = str(uuid5(NAMESPACE, f"balcao:{key_hash}"))
    return Counter(counter_id, client_id, _text(row.get("nome_balcao"), NAME_MAX) or "Balcão", key_hash)


def vad_settings_of(row: Mapping[str, Any]) -> dict[str, float] | None:
    """The gate settings of a row of `balcoes`; None where it has none. Raises RowRefused where they would not be
    accepted from a counter either."""
    raw = row.get("vad_config")
    if raw in (None, ""):
        return None
    try:
        wanted = json.loads(raw) if isinstance(raw, str | bytes) else raw
        known = {n: wanted[n] for n in ("threshold_multiplier", "min_energy", "min_energy_threshold") if n in wanted}
        with_vad_settings(SegmenterSettings(), known)
    except (ValueError, TypeError, VadSettingsInvalid):
        raise RowRefused("vad_config that is not valid") from None
    return {name: float(value) for name, value in known.items() if value is not None} or None


class Interactions:
    """Turns rows of `interacoes`, in the order of their instants, into ours. `zone` is that of instants without one."""

    def __init__(self, redactor: Redactor, zone: tzinfo) -> None:
        self._redactor = redactor
        self._zone = zone
        self._seen_at: datetime | None = None
        self._seen: dict[str, int] = {}

    def interaction_of(self, row: Mapping[str, Any], counter: Counter) -> Interaction:
        """A row as an interaction, what was said redacted. Raises RowRefused."""
        at = instant_of(row.get("timestamp"), self._zone)
        if at is None:
            raise RowRefused("no timestamp")
        said = _text(row.get("transcricao_completa"), TEXT_MAX)
        advised = _text(row.get("recomendacao_gerada"), TEXT_MAX)
        interaction_id = self._id(counter, at, f"{said}\0{advised}")
        items = self._items(row.get("recomendacao_gerada"), interaction_id)
        instants: dict[str, Any] = {
            ours: instant_of(row.get(old), self._zone) for old, ours in INSTANTS.items() if row.get(old)
        }
        instants["speech_ended_at"] = instants.get("speech_ended_at") or at
        return Interaction(
            interaction_id=interaction_id,
            client_id=counter.client_id,
            counter_id=counter.counter_id,
            session_id=session_of(counter, at.astimezone(self._zone).date()),
            utterance_id=interaction_id,
            node="",
            software_version=SOFTWARE,
            outcome="sugerido" if items else "nada",
            origin="importado",
            stt_model=_text(row.get("modelo_stt"), NAME_MAX),
            stt_status="ok" if said else "",
            stt_cost_usd=_number(row.get("custo_estimado")),
            snr_db=_number(row.get("snr")),
            text=self._redactor.redact(said).text,
            suggestion_id=suggestion_of(interaction_id) if items else None,
            items=items or None,
            **instants,
        )

    def _id(self, counter: Counter, at: datetime, contents: str) -> str:
        """An id by counter, instant and contents; the n-th of several equal rows is the n-th every time."""
        digest = hashlib.sha256(f"{counter.key_hash}|{at.isoformat()}|{contents}".encode()).hexdigest()
        if at != self._seen_at:
            self._seen_at, self._seen = at, {}
        number = self._seen[digest] = self._seen.get(digest, 0) + 1
        return str(uuid5(NAMESPACE, f"interacao:{digest}:{number}"))

    def _items(self, recommended: Any, interaction_id: str) -> list[dict[str, str]]:
        """What was recommended, as JSON of the old wire or as a plain text."""
        found = []
        for name, why in _recommendations(recommended)[:ITEMS_MAX]:
            item_id = str(uuid5(UUID(interaction_id), name))
            clean = self._redactor.redact(name).text, self._redactor.redact(why).text
            found.append({"id": item_id, "sugestao": clean[0], "explicacao": clean[1], "tag": ""})
        return found


def feedback_of(row: Mapping[str, Any], interaction: Interaction) -> Feedback | None:
    """What became of the suggestion; None where nothing is said of it. Raises RowRefused for an unknown word."""
    said = _text(row.get("resultado_feedback"), NAME_MAX).lower()
    if not said or interaction.suggestion_id is None or interaction.speech_ended_at is None:
        return None
    result = RESULTS.get(said)
    if result is None:
        raise RowRefused("resultado_feedback of another kind")
    return Feedback(
        feedback_id=str(uuid5(UUID(interaction.interaction_id), "retorno")),
        suggestion_id=interaction.suggestion_id,
        item_id="",
        result=result,  # type: ignore[arg-type] # one of the values above
        counter_id=interaction.counter_id,
        session_id=interaction.session_id,
        reported_at=interaction.speech_ended_at,
    )


def session_of(counter: Counter, day: date) -> str:
    """Interactions of a counter's day are one session, so that they can be given out and erased together."""
    return str(uuid5(NAMESPACE, f"sessao:{counter.counter_id}:{day.isoformat()}"))


def suggestion_of(interaction_id: str) -> str:
    """The id of an interaction's suggestion."""
    return str(uuid5(UUID(interaction_id), "sugestao"))


def instant_of(value: Any, zone: tzinfo) -> datetime | None:
    """An instant from a datetime, ISO 8601 text, or seconds (or milliseconds) since 1970; None where it is none."""
    try:
        if isinstance(value, str):
            text = value.strip().replace("Z", "+00:00")
            value = float(text) if text.replace(".", "", 1).isdigit() else datetime.fromisoformat(text)
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = datetime.fromtimestamp(value / 1000 if value > 1e11 else value, tz=timezone.utc)
    except (ValueError, OverflowError, OSError):
        return None
    if not isinstance(value, datetime):
        return None
    return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(timezone.utc)


def _recommendations(value: Any) -> list[tuple[str, str]]:
    if isinstance(value, str | bytes):
        try:
            value = json.loads(value)
        except ValueError:
            plain = _text(value, TEXT_MAX)
            return [(plain, "")] if plain else []
    if isinstance(value, dict):
        inside = value.get("itens") or value.get("recomendacoes") or value.get("items")
        value = inside if isinstance(inside, list) else [value]
    if not isinstance(value, list):
        return []
    named = ((_named(one, "sugestao", "produto", "nome"), _named(one, "explicacao", "motivo")) for one in value)
    return [(name, why) for name, why in named if name]


def _named(one: Any, *names: str) -> str:
    if not isinstance(one, dict):
        return _text(one, NAME_MAX) if names[0] == "sugestao" else ""
    return next((_text(one[name], TEXT_MAX) for name in names if one.get(name)), "")


def _text(value: Any, longest: int) -> str:
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return "" if value is None else str(value).strip()[:longest]


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
