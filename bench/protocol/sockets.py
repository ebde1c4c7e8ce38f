"""Counters of generations 2, 3 and 4: handshakes, refusals, audio, words, resuming, the end."""

from __future__ import annotations

import struct
import uuid
from typing import Any, Final

from audio.utterance import SAMPLE_RATE_HZ
from bench.load.stream import webm_of
from bench.protocol.checks import Bench, Check, CheckFailed, expect_fields
from bench.protocol.talk import COMPLAINT, Talk, spoken, talk

VAD: Final = {"threshold_multiplier": 1.5, "min_energy_threshold": 60.0}


def hello(generation: int, key: str, **more: Any) -> dict[str, Any]:
    """A generation's handshake."""
    if generation == 2:
        return {"comando": "auth", "api_key": key}
    if generation == 3:
        return {"api_key": key, "vad_settings": VAD}
    return {"comando": "auth", "versao": 4, "api_key": key, "formato": "pcm_s16le_16k", "sessao": None, **more}


def _words(bench: Bench, generation: int) -> str:
    """One counter: ping, a typed complaint, its suggestion, an unknown command, the end, the row."""
    name = f"geração {generation}"
    with talk(bench.deployment.socket_url, **hello(generation, bench.key(name))) as counter:
        if generation == 4:
            bench.sessions[name] = str(counter.wait("sessao")["sessao"])
        counter.say(comando="ping")
        counter.wait("pong")
        counter.say(comando="texto", texto=COMPLAINT)
        suggestion = counter.wait("recomendar")
        expect_fields(suggestion, id=str, sessao=str, produto=str, explicacao=str, transcricao_base=str, itens=list)
        expect_fields(suggestion, origem=str, simulado=bool)
        if not 1 <= len(suggestion["itens"]) <= 3 or suggestion["itens"][0]["sugestao"] != suggestion["produto"]:
            raise CheckFailed("`itens` and `produto` do not agree")
        _feedback(counter, suggestion)
        counter.say(comando="inexistente")
        if counter.wait("erro")["codigo"] != "comando_desconhecido":
            raise CheckFailed("an unknown command is not told")
        counter.say(comando="fim")
        if (code := counter.closed()) != 1000:
            raise CheckFailed(f"closed with {code}, not 1000")
        if generation == 4 and not counter.count("ouvido"):
            raise CheckFailed("no `ouvido`")
        if generation != 4 and (counter.count("ouvido") or counter.count("sessao")):
            raise CheckFailed("messages that this generation does not understand")
    rows = bench.rows(name)
    if rows[0]["suggestion_id"] != suggestion["id"] or rows[0]["outcome"] != "sugerido":
        raise CheckFailed("the row is another one")
    return f"suggestion by {suggestion['origem']}, row {rows[0]['interaction_id']}"


def _feedback(counter: Talk, suggestion: dict[str, Any]) -> None:
    counter.say(
        comando="retorno", sugestao=suggestion["id"], resultado="aceita", item=suggestion["itens"][0].get("id", "")
    )


def generation_2_words(bench: Bench) -> str:
    """Generation 2: a typed complaint is answered with a suggestion and recorded"""
    return _words(bench, 2)


def generation_3_words(bench: Bench) -> str:
    """Generation 3, with its gate settings: the same"""
    return _words(bench, 3)


def generation_4_words(bench: Bench) -> str:
    """Generation 4: the same, with `sessao` and `ouvido`"""
    return _words(bench, 4)


def _audio(bench: Bench, name: str, data: bytes, **shake: Any) -> str:
    """Speech in a container leads to a row of the utterance, whatever was recognised."""
    with talk(bench.deployment.socket_url, **shake) as counter:
        counter.stream(data, max(1, len(data) // 25))
        counter.say(comando="fim")
        if (code := counter.closed(20.0)) != 1000:
            raise CheckFailed(f"closed with {code}, not 1000")
    row = bench.rows(name, lambda rows: any(row["origin"] == "audio" for row in rows))[0]
    if row["outcome"] == "perdido":
        raise CheckFailed("the utterance is recorded as lost")
    length_s = (row["end_sample"] - row["first_sample"]) / SAMPLE_RATE_HZ
    return f"{length_s:.2f} s heard, outcome {row['outcome']}, row {row['interaction_id']}"


def generation_2_audio(bench: Bench) -> str:
    """Generation 2: PCM without a format is heard"""
    return _audio(bench, "áudio 2", spoken(), **hello(2, bench.key("áudio 2")))


def generation_3_wav(bench: Bench) -> str:
    """Generation 3: a WAV is told by its header"""
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 0, b"WAVE", b"fmt ", 16, 1, 1, 16000, 32000, 2, 16, b"data", 0)
    return _audio(bench, "WAV 3", head + spoken(), **hello(3, bench.key("WAV 3")))


def generation_3_webm(bench: Bench) -> str:
    """Generation 3: WebM/Opus is told by its header"""
    return _audio(bench, "WebM 3", _webm(), **hello(3, bench.key("WebM 3")))


def generation_4_webm(bench: Bench) -> str:
    """Generation 4: WebM/Opus that was announced"""
    return _audio(bench, "WebM 4", _webm(), **hello(4, bench.key("WebM 4"), formato="webm_opus"))


def generation_4_resumes(bench: Bench) -> str:
    """Generation 4: a session cut in the middle goes on where its audio is recorded, and `recebido` comes"""
    key = bench.key("retomada")
    with talk(bench.deployment.socket_url, **hello(4, key)) as counter:
        session = str(counter.wait("sessao")["sessao"])
        counter.stream(spoken())
        received = int(counter.wait("recebido", 20.0)["ate"])
    bench.sessions["retomada"] = session
    with talk(bench.deployment.socket_url, **hello(4, key, sessao=session, desde=received)) as counter:
        again = counter.wait("sessao", 20.0)
        if again["sessao"] != session or int(again["recebido_ate"]) < received:
            raise CheckFailed(f"it does not go on: recebido_ate {again['recebido_ate']} after recebido {received}")
        counter.say(comando="fim")
        counter.closed()
    return f"session {session} goes on at sample {again['recebido_ate']}"


def _refused(bench: Bench, close: int, codigo: str, *first: str | bytes) -> str:
    with talk(bench.deployment.socket_url) as counter:
        for message in first:
            counter.raw(message)
        code = counter.closed(20.0)
        told = [message.get("codigo") for message in counter.messages]
    if code != close or codigo not in told:
        raise CheckFailed(f"closed with {code}, told {told}; not {close} {codigo}")
    return f"{close} {codigo}"


def key_that_opens_nothing(bench: Bench) -> str:
    """An unknown key: 4001"""
    return _refused(bench, 4001, "chave_invalida", f'{{"api_key":"bk_{uuid.uuid4().hex}"}}')


def audio_before_the_key(bench: Bench) -> str:
    """Audio before the handshake: 4003"""
    return _refused(bench, 4003, "handshake_invalido", b"\0" * 3200)


def handshake_that_is_none(bench: Bench) -> str:
    """A first message that is no JSON object: 4003"""
    return _refused(bench, 4003, "handshake_invalido", "[1, 2]")


def wav_of_another_format(bench: Bench) -> str:
    """A WAV of 8 kHz: 4004"""
    head = struct.pack("<4sI4s4sIHHIIHH4sI", b"RIFF", 0, b"WAVE", b"fmt ", 16, 1, 1, 8000, 16000, 2, 16, b"data", 0)
    return _refused(bench, 4004, "audio_invalido", f'{{"api_key":"{bench.key("WAV 3")}"}}', head)


def session_in_use(bench: Bench) -> str:
    """A session that is connected already: 4005"""
    key = bench.key("geração 4")
    with talk(bench.deployment.socket_url, **hello(4, key)) as first:
        session = first.wait("sessao")["sessao"]
        with first.alive(), talk(bench.deployment.socket_url, **hello(4, key, sessao=session)) as second:
            code = second.closed()
        first.say(comando="fim")
        first.closed()
    if code != 4005:
        raise CheckFailed(f"closed with {code}, not 4005")
    return "4005 sessao_em_uso"


def key_is_revoked(bench: Bench) -> str:
    """A revoked key: its counter is closed with 4001 within seconds, and comes in no more"""
    key = bench.key("revogada")
    with talk(bench.deployment.socket_url, **hello(4, key)) as counter, bench.administrator() as http:
        counter.wait("sessao")
        http.delete(f"/api/admin/balcao/{bench.counters['revogada']}/chave")
        if (code := counter.closed(12.0)) != 4001:
            raise CheckFailed(f"closed with {code}, not 4001")
    return _refused(bench, 4001, "chave_invalida", f'{{"api_key":"{key}"}}')


def _webm() -> bytes:
    return webm_of(spoken())


CHECKS: Final[tuple[Check, ...]] = (
    generation_2_words,
    generation_3_words,
    generation_4_words,
    generation_2_audio,
    generation_3_wav,
    generation_3_webm,
    generation_4_webm,
    generation_4_resumes,
    key_that_opens_nothing,
    audio_before_the_key,
    handshake_that_is_none,
    wav_of_another_format,
    session_in_use,
    key_is_revoked,
)
