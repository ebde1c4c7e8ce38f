"""Simulated counters against a server on loopback."""

import asyncio
import json
import time
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import serve

from bench.path.counters import Crowd, CrowdPlan
from bench.path.service import BenchFailed

REAL_TIME_BYTES_PER_S = 32_000


class Server:
    """Welcomes counters, makes one suggestion to each at its first audio, and ends with them."""

    def __init__(self, refuse=False):
        self.refuse = refuse
        self.audio_bytes = {}

    async def __call__(self, socket):
        opening = json.loads(await socket.recv())
        assert (opening["comando"], opening["versao"]) == ("auth", 4)
        if self.refuse:
            await socket.send(json.dumps({"comando": "erro", "codigo": "chave_invalida", "mensagem": "não"}))
            await socket.close(4001)
            return
        key = opening["api_key"]
        await socket.send(json.dumps({"comando": "sessao", "sessao": f"s-{key}", "recebido_ate": 0, "versao": 4}))
        async for message in socket:
            if isinstance(message, bytes):
                if key not in self.audio_bytes:
                    await socket.send(json.dumps({"comando": "recomendar", "id": f"suggestion-{key}"}))
                self.audio_bytes[key] = self.audio_bytes.get(key, 0) + len(message)
            elif json.loads(message)["comando"] == "fim":
                await socket.close(1000)

    @asynccontextmanager
    async def listening(self):
        async with serve(self, "127.0.0.1", 0, compression=None) as listener:
            yield f"ws://127.0.0.1:{listener.sockets[0].getsockname()[1]}/ws"


def plan(url):
    return CrowdPlan(url, ["a", "b", "c"], seconds=1.0, warm_up_s=0.5, chunk_ms=100)


async def test_all_counters_stream_in_real_time_and_the_window_is_read_at_both_edges():
    server, edges = Server(), []

    async def at_edge():
        edges.append((time.time(), sum(server.audio_bytes.values())))

    async with server.listening() as url:
        seen = await Crowd(plan(url)).run(at_edge)
    (begun, bytes_before), (ended, bytes_after) = edges
    assert set(server.audio_bytes) == {"a", "b", "c"}
    assert (bytes_after - bytes_before) / (ended - begun) == pytest.approx(3 * REAL_TIME_BYTES_PER_S, rel=0.3)
    assert seen.ended_at - seen.begun_at == pytest.approx(1.0, abs=0.3)
    assert set(seen.suggested_at) == {"suggestion-a", "suggestion-b", "suggestion-c"}
    assert seen.reconnects == 0


async def test_a_counter_that_is_refused_fails_the_measurement_at_once():
    server = Server(refuse=True)
    async with server.listening() as url:
        with pytest.raises(BenchFailed, match="Refused"):
            await asyncio.wait_for(Crowd(plan(url)).run(lambda: asyncio.sleep(0)), 5)
