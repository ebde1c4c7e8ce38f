"""The wire: what every generation of counter may say first, and afterwards."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cestas.model import Item
from serve_app import wire

FIELDS = ["comando", "api_key", "versao", "formato", "sessao", "vad_settings", "min_energy"]
SESSION = "7f2d3c1e-0a4b-4c55-9f6e-1d2c3b4a5f60"


def said(**message):
    return json.dumps(message)


def refusal_of(message: str) -> tuple[int, str]:
    with pytest.raises(wire.Refused) as caught:
        wire.parse_handshake(message)
    return caught.value.refusal.close_code, caught.value.refusal.codigo


def test_generation_2_says_auth_and_its_key():
    assert wire.parse_handshake(said(comando="auth", api_key="bk_1")) == wire.Handshake(2, "bk_1")


def test_generation_3_says_its_key_and_its_gate_under_either_name():
    new = wire.parse_handshake(said(api_key="bk_1", vad_settings={"threshold_multiplier": 1.5, "min_energy": 120}))
    old = wire.parse_handshake(said(api_key="bk_1", vad_settings={"min_energy_threshold": 120.0, "other": "ignored"}))
    assert new == wire.Handshake(3, "bk_1", vad_settings={"threshold_multiplier": 1.5, "min_energy": 120.0})
    assert old == wire.Handshake(3, "bk_1", vad_settings={"min_energy": 120.0})


def test_generation_4_says_format_and_session():
    shake = wire.parse_handshake(
        said(comando="auth", versao=4, api_key="bk_1", formato="webm_opus", sessao=SESSION.upper(), vad_settings=None)
    )
    assert shake == wire.Handshake(4, "bk_1", "webm_opus", SESSION)


def test_generation_4_may_leave_format_and_session_open():
    assert wire.parse_handshake(said(comando="auth", versao=4, api_key="k", sessao=None)) == wire.Handshake(4, "k")


@pytest.mark.parametrize(
    "message",
    [
        "",
        "hello",
        "[]",
        "3",
        "null",
        '"bk_1"',
        "[" * 5000,
        said(comando="ping"),
        said(comando=["auth"], api_key="k"),
        said(versao=4, api_key="k"),
        said(comando="auth", versao=5, api_key="k"),
        said(comando="auth", versao=True, api_key="k"),
        said(comando="auth", versao=4.0, api_key="k"),
        said(comando="auth", api_key=7),
        said(comando="auth", api_key=None),
        said(comando="auth", versao=4, api_key="k", formato="mp3"),
        said(comando="auth", versao=4, api_key="k", formato=["webm_opus"]),
        said(comando="auth", versao=4, api_key="k", sessao="not a uuid"),
        said(comando="auth", versao=4, api_key="k", sessao=12),
        said(api_key="k", vad_settings=[1]),
        said(api_key="k", vad_settings={"min_energy": "loud"}),
        said(api_key="k", vad_settings={"min_energy": True}),
        '{"api_key":"k","vad_settings":{"min_energy":NaN}}',
        '{"api_key":"k","vad_settings":{"min_energy":1' + "0" * 400 + "}}",
        '{"api_key":"\\ud800"}',
        said(api_key="k", padding="x" * wire.MAX_HANDSHAKE_CHARS),
    ],
)
def test_a_malformed_first_message_is_refused_with_4003(message):
    assert refusal_of(message) == (4003, "handshake_invalido")


@pytest.mark.parametrize("message", [said(comando="auth"), said(), said(api_key=""), said(api_key="k" * 513)])
def test_a_missing_or_absurd_key_is_refused_with_4001(message):
    assert refusal_of(message) == (4001, "chave_invalida")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), inner),
    max_leaves=10,
)


def refusal_or_none(message: str) -> wire.Refusal | None:
    try:
        wire.parse_handshake(message)
    except wire.Refused as refused:
        return refused.refusal
    return None


@given(JSON_VALUES)
def test_any_json_is_accepted_or_refused_by_the_protocol(value):
    refusal = refusal_or_none(json.dumps(value))
    assert refusal is None or refusal.close_code in (4001, 4003)


@given(st.text())
def test_any_text_is_accepted_or_refused_by_the_protocol(text):
    with pytest.raises(wire.Refused):
        wire.parse_handshake(text + "}")


def test_the_overload_refusal_says_when_to_try_again():
    message = json.loads(wire.refusal_message(wire.overloaded(7)))
    assert message == {
        "comando": "erro",
        "codigo": "sobrecarga",
        "mensagem": "O servidor está cheio agora. Tentaremos de novo em instantes.",
        "tente_em_s": 7,
    }


def test_other_refusals_carry_a_code_and_a_sentence():
    message = json.loads(wire.refusal_message(wire.audio_invalid("formato desconhecido")))
    assert message["codigo"] == "audio_invalido"
    assert message["mensagem"] == "Áudio do balcão inválido: formato desconhecido."
    assert "tente_em_s" not in message


def test_commands_of_an_open_session():
    assert wire.parse_command(said(comando="ping")) == wire.Ping()
    assert wire.parse_command(said(comando="fim")) == wire.Finish()
    assert wire.parse_command(said(comando="texto", texto=" dor de cabeça ")) == wire.Typed("dor de cabeça")
    assert wire.parse_command(
        said(comando="retorno", sugestao=SESSION, resultado="vendida", item="soro")
    ) == wire.Reported(SESSION, "vendida", "soro")
    assert wire.parse_command(said(comando="retorno", sugestao=SESSION, resultado="ignorada")) == wire.Reported(
        SESSION, "ignorada", ""
    )


@pytest.mark.parametrize(
    ("message", "codigo"),
    [
        ("{", "comando_invalido"),
        ("[]", "comando_invalido"),
        (said(comando="ping", padding="x" * wire.MAX_COMMAND_CHARS), "comando_invalido"),
        (said(comando="dance"), "comando_desconhecido"),
        (said(), "comando_desconhecido"),
        (said(comando={}), "comando_desconhecido"),
        (said(comando="texto"), "comando_invalido"),
        (said(comando="texto", texto="  "), "comando_invalido"),
        (said(comando="texto", texto=4), "comando_invalido"),
        (said(comando="texto", texto="x" * 2001), "comando_invalido"),
        (said(comando="retorno", sugestao=SESSION, resultado="talvez"), "comando_invalido"),
        (said(comando="retorno", sugestao="x", resultado="aceita"), "comando_invalido"),
        (said(comando="retorno", sugestao=3, resultado="aceita"), "comando_invalido"),
        (said(comando="retorno", sugestao=SESSION, resultado=["aceita"]), "comando_invalido"),
        (said(comando="retorno", sugestao=SESSION, resultado="aceita", item="x" * 201), "comando_invalido"),
        (said(comando="retorno", sugestao=SESSION, resultado="aceita", item=[1]), "comando_invalido"),
    ],
)
def test_a_command_that_cannot_be_read_is_answered_and_the_session_goes_on(message, codigo):
    command = wire.parse_command(message)
    assert isinstance(command, wire.Unknown)
    assert command.codigo == codigo
    assert json.loads(wire.error_message(command))["codigo"] == codigo


def test_a_suggestion_can_be_read_by_every_generation():
    items = (Item("a", "Soro de reidratação oral", "Repõe água e sais.", "diarreia"), Item("b", "Probiótico", "Ajuda."))
    message = json.loads(
        wire.suggestion_message(wire.Suggestion("id1", SESSION, items, "meu filho está com diarreia", "regras", True))
    )
    assert (message["comando"], message["produto"], message["explicacao"]) == (
        "recomendar",
        "Soro de reidratação oral",
        "Repõe água e sais.",
    )
    assert message["itens"][1] == {"id": "b", "sugestao": "Probiótico", "explicacao": "Ajuda.", "tag": ""}
    assert (message["id"], message["sessao"]) == ("id1", SESSION)
    assert (message["origem"], message["simulado"]) == ("regras", True)
    assert message["transcricao_base"] == "meu filho está com diarreia"


def test_what_a_provider_heard_can_always_be_sent():
    assert json.loads(wire.heard_message("estou com \ud83d azia", 0, 900).encode())["texto"] == "estou com ? azia"


def test_the_messages_of_generation_4():
    assert json.loads(wire.session_message(SESSION, 16000)) == {
        "comando": "sessao",
        "sessao": SESSION,
        "recebido_ate": 16000,
        "versao": 4,
    }
    assert json.loads(wire.received_message(5)) == {"comando": "recebido", "ate": 5}
    assert json.loads(wire.heard_message("oi", 10, 20)) == {
        "comando": "ouvido",
        "texto": "oi",
        "inicio_ms": 10,
        "fim_ms": 20,
    }
    assert json.loads(wire.notice_message("stt_indisponivel", "x"))["codigo"] == "stt_indisponivel"
    assert json.loads(wire.reconnect_message(1.5)) == {"comando": "reconectar", "em_s": 1.5}
    assert json.loads(wire.pong_message()) == {"comando": "pong"}
