"""The JSON messages of every protocol generation, to and from typed messages; pure, see docs/protocol.md."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast
from uuid import UUID

from cestas.model import Item

Generation = Literal[2, 3, 4]
AudioFormat = Literal["pcm_s16le_16k", "webm_opus"]
FeedbackResult = Literal["aceita", "recusada", "vendida", "ignorada"]

MAX_HANDSHAKE_CHARS: Final = 16_384
MAX_COMMAND_CHARS: Final = 16_384
MAX_TYPED_CHARS: Final = 2_000
_MAX_KEY_CHARS: Final = 512
_MAX_SAMPLE: Final = 2**53
"""The largest integer that every JSON library keeps whole: 17,000 years of samples."""
_FORMATS: Final = ("pcm_s16le_16k", "webm_opus")
_RESULTS: Final = ("aceita", "recusada", "vendida", "ignorada")
_VAD_FIELDS: Final = {
    "threshold_multiplier": "threshold_multiplier",
    "min_energy": "min_energy",
    "min_energy_threshold": "min_energy",  # the same field under the name that older third-generation counters send
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a counter is sent away: the close code, the protocol's `codigo`, and a sentence for the attendant."""

    close_code: int
    codigo: str
    mensagem: str
    tente_em_s: int | None = None


KEY_INVALID: Final = Refusal(
    4001, "chave_invalida", "Chave do balcão inválida ou revogada. Confira a chave com o administrador."
)
SESSION_IN_USE: Final = Refusal(
    4005, "sessao_em_uso", "Esta sessão já está conectada em outro lugar. Feche a outra janela do balcão."
)


def overloaded(retry_in_s: int) -> Refusal:
    """The refusal of a server that takes no more counters now; `retry_in_s` seconds until it is worth trying."""
    return Refusal(4002, "sobrecarga", "O servidor está cheio agora. Tentaremos de novo em instantes.", retry_in_s)


def handshake_invalid(why: str) -> Refusal:
    """The refusal of a first message that is late or is not a handshake; `why` in Portuguese."""
    return Refusal(4003, "handshake_invalido", f"Apresentação do balcão inválida: {why}.")


def audio_invalid(why: str) -> Refusal:
    """The refusal of audio that cannot be decoded or is too much; `why` in Portuguese."""
    return Refusal(4004, "audio_invalido", f"Áudio do balcão inválido: {why}.")


class Refused(Exception):
    """A counter's first message cannot be accepted; `refusal` says what to answer."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.codigo)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Handshake:
    """A counter introduces itself. `vad_settings` holds only known, finite numbers, under their current names."""

    generation: Generation
    api_key: str
    formato: AudioFormat | None = None
    sessao: str | None = None
    vad_settings: dict[str, float] = field(default_factory=dict)
    desde: int = 0
    """The oldest sample that a resuming client still holds."""


@dataclass(frozen=True, slots=True)
class Ping:
    """The counter asks whether we are there."""


@dataclass(frozen=True, slots=True)
class Typed:
    """Words typed at the counter, to be treated as if heard."""

    texto: str


@dataclass(frozen=True, slots=True)
class Reported:
    """What became of a suggestion."""

    sugestao: str
    resultado: FeedbackResult
    item: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The stream ends: finish what is pending, then close."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A command that we do not know, or one whose fields are wrong; the session goes on."""

    codigo: Literal["comando_desconhecido", "comando_invalido", "comandos_demais"]
    mensagem: str


TOO_MANY_COMMANDS: Final = Unknown("comandos_demais", "Mensagens demais de uma vez; esta foi ignorada.")
Command = Ping | Typed | Reported | Finish | Unknown


def parse_handshake(message: str) -> Handshake:
    """Read a counter's first text message; raises Refused with the refusal to answer."""
    data = _object(message)
    if data is None:
        raise Refused(handshake_invalid("a primeira mensagem deve ser um objeto JSON com a api_key"))
    generation = _generation(data)
    return Handshake(
        generation=generation,
        api_key=_api_key(data),
        formato=_formato(data) if generation == 4 else None,
        sessao=_sessao(data) if generation == 4 else None,
        vad_settings=_vad_settings(data.get("vad_settings")),
        desde=_desde(data) if generation == 4 else 0,
    )


def parse_command(message: str) -> Command:
    """Read a text message of an open session. Never raises: what cannot be read becomes `Unknown`."""
    data = _object(message) if len(message) <= MAX_COMMAND_CHARS else None
    if data is None:
        return Unknown("comando_invalido", "A mensagem deve ser um objeto JSON pequeno.")
    match data.get("comando"):
        case "ping":
            return Ping()
        case "fim":
            return Finish()
        case "texto":
            return _typed(data)
        case "retorno":
            return _reported(data)
        case _:
            return Unknown("comando_desconhecido", "Comando desconhecido; a sessão continua.")


def refusal_message(refusal: Refusal) -> str:
    """The `erro` that precedes a close."""
    extra = {} if refusal.tente_em_s is None else {"tente_em_s": refusal.tente_em_s}
    return _dump(comando="erro", codigo=refusal.codigo, mensagem=refusal.mensagem, **extra)


def error_message(error: Unknown) -> str:
    """The `erro` that leaves the session open."""
    return _dump(comando="erro", codigo=error.codigo, mensagem=error.mensagem)


def pong_message() -> str:
    """The answer to a ping."""
    return _dump(comando="pong")


def session_message(session_id: str, received_until: int, bytes_per_s: int | None = None) -> str:
    """Generation 4: the session's id, the sample from which audio is to be sent, and how fast at most."""
    pace = {} if bytes_per_s is None else {"bytes_por_s": bytes_per_s}
    return _dump(comando="sessao", sessao=session_id, recebido_ate=received_until, versao=4, **pace)


def received_message(until_sample: int) -> str:
    """Generation 4: audio before `until_sample` may be forgotten."""
    return _dump(comando="recebido", ate=until_sample)


def heard_message(text: str, start_ms: int, end_ms: int) -> str:
    """Generation 4: what was understood, and where in the session's stream."""
    return _dump(comando="ouvido", texto=text, inicio_ms=start_ms, fim_ms=end_ms)


def notice_message(code: str, text: str) -> str:
    """Generation 4: the service is degraded or has recovered, or the pharmacist is called."""
    return _dump(comando="aviso", codigo=code, mensagem=text)


def reconnect_message(in_s: float) -> str:
    """Generation 4: the server is going away; reconnect after `in_s` seconds and resume."""
    return _dump(comando="reconectar", em_s=in_s)


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One pop-up: at most three items and the words that led to them."""

    id: str
    session_id: str
    items: tuple[Item, ...]
    heard: str
    origin: Literal["llm", "regras"]
    simulated: bool


def suggestion_message(suggestion: Suggestion) -> str:
    """The `recomendar` that every generation can read: the first item on top for 2, `itens` for 3, ids for 4."""
    first = suggestion.items[0]
    return _dump(
        comando="recomendar",
        id=suggestion.id,
        sessao=suggestion.session_id,
        produto=first.suggestion,
        explicacao=first.explanation,
        transcricao_base=suggestion.heard,
        itens=[
            {"id": item.id, "sugestao": item.suggestion, "explicacao": item.explanation, "tag": item.tag}
            for item in suggestion.items
        ],
        origem=suggestion.origin,
        simulado=suggestion.simulated,
    )


def _object(message: str) -> dict[str, Any] | None:
    """The JSON object in `message`, or None. Lone surrogates are refused: they cannot be stored or sent again."""
    if len(message) > MAX_HANDSHAKE_CHARS:
        return None
    try:
        data = json.loads(message)
        json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _generation(data: dict[str, Any]) -> Generation:
    if "comando" not in data and "versao" not in data:
        return 3
    if data.get("comando") != "auth":
        raise Refused(handshake_invalid('o comando da primeira mensagem deve ser "auth"'))
    if "versao" not in data:
        return 2
    if data["versao"] != 4 or not isinstance(data["versao"], int):
        raise Refused(handshake_invalid("a versão do protocolo deve ser 4"))
    return 4


def _api_key(data: dict[str, Any]) -> str:
    key = data.get("api_key", "")
    if not isinstance(key, str):
        raise Refused(handshake_invalid("a api_key deve ser um texto"))
    if not key or len(key) > _MAX_KEY_CHARS:
        raise Refused(KEY_INVALID)
    return key


def _formato(data: dict[str, Any]) -> AudioFormat | None:
    formato = data.get("formato")
    if formato is not None and formato not in _FORMATS:
        raise Refused(handshake_invalid("o formato deve ser pcm_s16le_16k ou webm_opus"))
    return cast("AudioFormat | None", formato)


def _sessao(data: dict[str, Any]) -> str | None:
    sessao = data.get("sessao")
    if sessao is None:
        return None
    try:
        return str(UUID(sessao))
    except (ValueError, AttributeError, TypeError):
        raise Refused(handshake_invalid("a sessão deve ser um UUID ou null")) from None


def _desde(data: dict[str, Any]) -> int:
    desde = data.get("desde") or 0
    if isinstance(desde, bool) or not isinstance(desde, int) or not 0 <= desde <= _MAX_SAMPLE:
        raise Refused(handshake_invalid("desde deve ser o número de uma amostra"))
    return desde


def _vad_settings(value: object) -> dict[str, float]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refused(handshake_invalid("vad_settings deve ser um objeto"))
    known = {_VAD_FIELDS[name]: number for name, number in value.items() if name in _VAD_FIELDS and number is not None}
    for name, number in known.items():
        if isinstance(number, bool) or not isinstance(number, int | float) or not _finite(number):
            raise Refused(handshake_invalid(f"vad_settings.{name} deve ser um número"))
    return {name: float(number) for name, number in known.items()}


def _finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # an integer with more digits than a float can hold
        return False


def _typed(data: dict[str, Any]) -> Command:
    texto = data.get("texto")
    if not isinstance(texto, str) or not texto.strip() or len(texto) > MAX_TYPED_CHARS:
        return Unknown("comando_invalido", f"O texto deve ter de 1 a {MAX_TYPED_CHARS} caracteres.")
    return Typed(texto.strip())


def _reported(data: dict[str, Any]) -> Command:
    sugestao, resultado, item = data.get("sugestao"), data.get("resultado"), data.get("item") or ""
    if resultado not in _RESULTS or not isinstance(item, str) or len(item) > 200:
        return Unknown("comando_invalido", "O resultado deve ser aceita, recusada, vendida ou ignorada.")
    try:
        sugestao = str(UUID(sugestao))
    except (ValueError, AttributeError, TypeError):
        return Unknown("comando_invalido", "A sugestão deve ser o id que foi mostrado.")
    return Reported(sugestao, cast("FeedbackResult", resultado), item)


def _dump(**message: Any) -> str:
    """As JSON that can be sent: a lone surrogate in what a provider heard becomes a question mark."""
    return json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode(errors="replace").decode()
