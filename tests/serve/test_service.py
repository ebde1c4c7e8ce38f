"""The whole path on real audio, through Ray Serve, HAProxy and PostgreSQL."""

import asyncio
import json
import random
import re
import wave
from pathlib import Path

import pytest
from websockets.asyncio.client import connect

from tests.contract.test_door_handshake import malformed
from tests.support.doors import to_the_end
from tests.support.services import ROOT

SAMPLE = ROOT / "samples" / "balcao.wav"
TRUTH = json.loads((ROOT / "samples" / "balcao.json").read_text())
pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def conversation(service):
    """The bundled conversation, streamed once at twice real time."""
    client, events = asyncio.run(service.stream(SAMPLE, speed=2.0))
    return client, events, service.rows(client.session_id, at_least=len(TRUTH))


def test_the_bundled_conversation_is_heard_advised_and_recorded(conversation):
    _, events, rows = conversation
    suggested = [event for event in events if event.kind == "recomendar"]
    expected = [line for line in TRUTH if line["expected_of_demonstration"]]
    assert len(suggested) >= len(expected) >= 3
    by_time = [(row["first_sample"] / 16_000, row["end_sample"] / 16_000, row) for row in rows]
    for line in expected:
        middle = (line["start_s"] + line["end_s"]) / 2
        (row,) = [row for start, end, row in by_time if start <= middle <= end]
        assert row["outcome"] == "sugerido", line["text"]
        assert row["macro"] in line["expect"]["macros"], line["text"]


def test_who_only_asks_a_price_gets_nothing(conversation):
    _, _, rows = conversation
    for line in (line for line in TRUTH if line["expect"] is None):
        middle = (line["start_s"] + line["end_s"]) / 2
        for row in rows:
            if row["first_sample"] <= middle * 16_000 <= row["end_sample"]:
                assert row["outcome"] not in ("sugerido", "alerta"), line["text"]


def test_everything_that_the_demonstration_says_is_labelled(conversation):
    _, events, rows = conversation
    assert all(event.fields["simulado"] for event in events if event.kind == "recomendar")
    assert all(row["simulated"] for row in rows if row["text"])
    assert "demonstracao" in [event.fields["codigo"] for event in events if event.kind == "aviso"]


def test_every_row_is_measured(conversation):
    _, _, rows = conversation
    row = next(row for row in rows if row["outcome"] == "sugerido")
    missing = {name for name, value in row.items() if value is None} - {"denoise_gain_db"}
    assert not missing
    assert re.search(r"\.\d{6}", str(row["speech_ended_at"]))
    assert row["cpu_percent"] >= 0
    assert row["ram_percent"] > 0


def logs_of(service):
    """Path → text of every log of the service."""
    paths = [*service.ray.temp_dir.rglob("*"), *service.state_dir.glob("*.log"), service.output_path]
    return {path: path.read_text(errors="replace") for path in paths if path.is_file() and path.stat().st_size < 50e6}


def test_what_customers_said_is_in_no_log(service, conversation):
    _, _, rows = conversation
    said = {row["text"] for row in rows if len(row["text"]) > 12} | {"segredo da cliente com frieira"}
    asyncio.run(_type(service, "segredo da cliente com frieira"))
    texts = logs_of(service)
    assert len(said) > 2
    assert any("counter_connected" in text for text in texts.values()), "the logs of the replicas were not found"
    assert not [(path, words) for path, text in texts.items() for words in said if words in text]


async def _type(service, text):
    async with connect(service.url, compression=None) as socket:
        for message in ({"comando": "auth", "api_key": service.key}, {"comando": "texto", "texto": text}):
            await socket.send(json.dumps(message))
        await socket.send('{"comando":"fim"}')
        return await to_the_end(socket)


@pytest.mark.parametrize(
    "auth",
    [
        {"comando": "auth"},
        {"vad_settings": {"threshold_multiplier": 1.5, "min_energy": 120.0}},
        {"comando": "auth", "versao": 4, "formato": "pcm_s16le_16k", "sessao": None},
    ],
)
async def test_the_three_generations_come_in(service, auth):
    async with connect(service.url, compression=None) as socket:
        await socket.send(json.dumps({**auth, "api_key": service.key}))
        await socket.send('{"comando":"ping"}')
        first = json.loads(await asyncio.wait_for(socket.recv(), 10))
        await socket.send('{"comando":"fim"}')
        _, code = await to_the_end(socket)
    assert first["comando"] == ("sessao" if auth.get("versao") == 4 else "pong")
    assert code == 1000


async def test_refusals_reach_the_counter_through_the_edge(service):
    source = random.Random(7)
    for _ in range(200):
        async with connect(service.url, compression=None) as socket:
            await socket.send(malformed(source, service.key))
            got, code = await to_the_end(socket)
        assert (code, got[-1]["codigo"]) == (4003, "handshake_invalido")
    async with connect(service.url, compression=None) as socket:
        await socket.send('{"comando":"auth","api_key":"bk_nobody"}')
        _, code = await to_the_end(socket)
    assert code == 4001
    texts = logs_of(service)
    assert any("counter_refused" in text for text in texts.values()), "the logs of the replicas were not found"
    assert not [path for path, text in texts.items() if "Traceback" in text and "replica_" in path.name]


async def test_webm_from_a_browser_is_heard_like_pcm(service, tmp_path):
    client, events = await service.stream(_as_webm(SAMPLE, tmp_path / "balcao.webm", seconds=18), speed=2.0)
    assert "recomendar" in [event.kind for event in events]
    assert client.session_id


def _as_webm(path: Path, target: Path, seconds: float) -> Path:
    """The first `seconds` of a WAV as MediaRecorder would send it: Opus at 48 kHz in WebM."""
    import av
    import numpy as np

    with wave.open(str(path)) as file:
        pcm = np.frombuffer(file.readframes(int(seconds * 16_000)), np.int16)
    with av.open(str(target), "w", format="webm") as container:
        stream = container.add_stream("libopus", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.repeat(pcm, 3)[None, :], format="s16", layout="mono")
        frame.sample_rate = 48_000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    return target


def test_health_is_well_in_every_part(service):
    health = service.get("/saude")
    assert health["estado"] == "ok"
    assert {"voz", "fala", "sugestoes", "registro", "porta"} <= set(health)
