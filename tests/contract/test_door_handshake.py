"""The door's handshake over a real socket: the right code for each, no traceback, and alive afterwards."""

import asyncio
import json
import logging
import random
import string
import struct
import wave
from dataclasses import replace
from io import BytesIO

import pytest
from websockets.asyncio.client import connect

from serve_app.accounts import AccountsSettings
from serve_app.admission import IngressSettings
from serve_app.door import DoorSettings
from tests.support.doors import COUNTER, KEY, MemoryRecords, is_, messages, open_door, speech_pcm, to_the_end

AUTH_4 = {"comando": "auth", "versao": 4, "api_key": KEY}
ALPHABET = string.ascii_letters + string.digits + '{}[]":,.\\/ \n\t' + "áçõ€😀\x00"


def malformed(random_source: random.Random, key: str = KEY) -> str | bytes:
    """A first message that is no handshake: a broken one, random JSON, random text, or bytes."""
    auth = {**AUTH_4, "api_key": key}
    good = json.dumps({**auth, "vad_settings": {"min_energy": 120.0}})
    noise = "".join(random_source.choices(ALPHABET, k=random_source.randint(0, 200)))
    cut = random_source.randrange(1, len(good))
    return random_source.choice(
        [
            good[:cut],
            good[:cut] + noise + "}",
            noise,
            json.dumps([noise]),
            json.dumps({"comando": noise, "api_key": key}),
            json.dumps({"comando": "auth", "api_key": [noise]}),
            json.dumps({**auth, "formato": noise or "x"}),
            json.dumps({**auth, "sessao": noise or "x"}),
            json.dumps({**auth, "vad_settings": noise or "x"}),
            json.dumps({**auth, "vad_settings": {"min_energy": noise}}),
            json.dumps({"api_key": key, "vad_settings": {"threshold_multiplier": random_source.choice([-1, 0, 1e9])}}),
            '{"api_key":"\\ud800"}',
            "[" * random_source.randint(1, 100_000),
            '{"api_key":' + "9" * random_source.randint(1, 6000) + "}",
            random_source.randbytes(random_source.randint(0, 3000)),
        ]
    )


async def everybody_left(at):
    """Wait until the door has no socket, 5 s at most."""
    for _ in range(500):
        if not at.door.counters:
            return
        await asyncio.sleep(0.01)


async def test_200_malformed_first_messages_get_the_right_code_and_the_service_lives(caplog):
    caplog.set_level(logging.INFO)
    random_source = random.Random(20261122)
    async with open_door() as at:
        for _ in range(200):
            async with connect(at.url, compression=None) as socket:
                await socket.send(malformed(random_source))
                got, code = await to_the_end(socket)
            assert (code, got[-1]["comando"], got[-1]["codigo"]) == (4003, "erro", "handshake_invalido")
            assert got[-1]["mensagem"].startswith("Apresentação do balcão inválida")
        async with at.counter(AUTH_4) as socket:
            (welcome,) = await messages(socket, is_("sessao"))
    assert welcome["recebido_ate"] == 0
    assert "Traceback" not in caplog.text
    assert at.door.counters == 0


@pytest.mark.parametrize(
    "first",
    [{"api_key": "bk_wrong"}, {"comando": "auth"}, {"comando": "auth", "api_key": ""}, {**AUTH_4, "api_key": "x"}],
)
async def test_an_unknown_or_missing_key_is_refused(first):
    async with open_door() as at, at.counter(first) as socket:
        got, code = await to_the_end(socket)
    assert (code, got[-1]["codigo"]) == (4001, "chave_invalida")


async def test_a_revoked_key_is_refused():
    records = MemoryRecords(counters=[replace(COUNTER, revoked=True)])
    async with open_door(records=records) as at, at.counter(AUTH_4) as socket:
        _, code = await to_the_end(socket)
    assert code == 4001


async def test_audio_before_a_handshake_is_generation_1_and_is_gone():
    async with open_door() as at, at.counter(b"\x00\x01" * 800) as socket:
        got, code = await to_the_end(socket)
    assert (code, got[-1]["codigo"]) == (4003, "handshake_invalido")


async def test_a_late_handshake_is_refused():
    settings = DoorSettings(ingress=IngressSettings(handshake_timeout_s=0.1))
    async with open_door(settings=settings) as at, at.counter() as socket:
        got, code = await to_the_end(socket)
    assert (code, got[-1]["codigo"]) == (4003, "handshake_invalido")


async def test_a_full_server_says_when_to_try_again_and_takes_the_next_when_there_is_room():
    settings = DoorSettings(ingress=IngressSettings(counters_max=1, retry_in_s=7))
    async with open_door(settings=settings) as at:
        async with at.counter(AUTH_4) as first:
            await messages(first, is_("sessao"))
            async with at.counter(AUTH_4) as second:
                got, code = await to_the_end(second)
        await everybody_left(at)
        async with at.counter(AUTH_4) as third:
            await messages(third, is_("sessao"))
    assert (code, got[-1]["codigo"], got[-1]["tente_em_s"]) == (4002, "sobrecarga", 7)


async def test_a_counter_that_hangs_up_before_its_handshake_leaves_nothing_behind():
    async with open_door() as at:
        async with at.counter():
            pass
        await everybody_left(at)
        async with at.counter(AUTH_4) as socket:
            await messages(socket, is_("sessao"))
    assert at.records.interaction_rows == []


async def test_a_known_key_opens_the_door_while_the_database_is_away_and_an_unknown_one_is_told_to_wait():
    records = MemoryRecords()
    settings = DoorSettings(accounts=AccountsSettings(key_cache_s=0))
    async with open_door(records=records, settings=settings) as at:
        async with at.counter(AUTH_4) as socket:
            await messages(socket, is_("sessao"))
        records.down = True
        async with at.counter(AUTH_4) as socket:
            await messages(socket, is_("sessao"))
        async with at.counter({**AUTH_4, "api_key": "bk_other"}) as socket:
            got, code = await to_the_end(socket)
        records.down = False
    assert (code, got[-1]["codigo"], got[-1]["tente_em_s"]) == (4002, "sobrecarga", 2)


def wav(rate: int, pcm: bytes) -> bytes:
    buffer = BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(pcm)
    return buffer.getvalue()


async def test_a_wav_of_another_rate_is_refused():
    async with open_door() as at, at.counter({"api_key": KEY}, wav(44_100, bytes(8820))) as socket:
        got, code = await to_the_end(socket)
    assert (code, got[-1]["codigo"]) == (4004, "audio_invalido")


async def test_a_wav_of_16_khz_is_heard():
    async with open_door() as at, at.counter({"api_key": KEY}, wav(16_000, speech_pcm())) as socket:
        (*_, suggestion) = await messages(socket, is_("recomendar"))
    assert suggestion["produto"] == "Soro de reidratação oral"


async def test_more_bytes_a_second_than_allowed_are_refused():
    settings = DoorSettings(ingress=IngressSettings(bytes_per_s_max=32_000, bytes_burst_max=64_000))
    async with open_door(settings=settings) as at, at.counter(AUTH_4, *[bytes(16_000)] * 6) as socket:
        got, code = await to_the_end(socket)
    assert (code, got[-1]["codigo"]) == (4004, "audio_invalido")
    assert "32000" in got[-1]["mensagem"]


def silence_of_hours(blocks: int) -> tuple[bytes, bytes]:
    """The start of a WebM stream, and `blocks` blocks of it: 7 bytes each that stand for 120 ms."""
    head = b"OpusHead\x01\x01" + struct.pack("<HIhB", 312, 48_000, 0, 0)
    entry = b"\xd7\x81\x01\x86\x86A_OPUS\x63\xa2" + bytes([0x80 | len(head)]) + head
    tracks = b"\x16\x54\xae\x6b" + bytes([0x82 + len(entry)]) + b"\xae" + bytes([0x80 | len(entry)]) + entry
    unknown = b"\x01" + b"\xff" * 7
    start = b"\x1aE\xdf\xa3\x80\x18\x53\x80\x67" + unknown + tracks + b"\x1f\x43\xb6\x75" + unknown
    return start, b"\xa3\x85\x81\x00\x00\x80\x19" * blocks


async def test_a_few_bytes_that_become_hours_of_audio_are_refused():
    first = {**AUTH_4, "formato": "webm_opus"}
    settings = DoorSettings(ingress=IngressSettings(bytes_per_s_max=32_000, bytes_burst_max=320_000))
    start, minute = silence_of_hours(blocks=500)
    async with open_door(settings=settings) as at, at.counter(first, start + minute) as socket:
        got, code = await to_the_end(socket)
    assert (code, got[-1]["codigo"]) == (4004, "audio_invalido")
    assert "segundos de áudio" in got[-1]["mensagem"]


async def test_text_beyond_the_bytes_of_a_counter_is_refused():
    async with open_door() as at, at.counter(AUTH_4, *["x" * 900_000] * 5) as socket:
        got, code = await to_the_end(socket)
    assert (code, got[-1]["codigo"]) == (4004, "audio_invalido")


async def test_a_broken_container_is_refused():
    first = {**AUTH_4, "formato": "webm_opus"}
    async with open_door() as at, at.counter(first, b"\x1aE\xdf\xa3" + bytes(range(256)) * 20) as socket:
        got, code = await to_the_end(socket)
    assert (code, got[-1]["codigo"]) == (4004, "audio_invalido")
