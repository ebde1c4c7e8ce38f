"""The Python counter against a scripted server on loopback: what it sends, shows and does when the server goes away."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import socket
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from serve_app.client import (
    ClientSettings,
    ConnectionLost,
    CounterClient,
    Event,
    FinishTimedOut,
    LiveSource,
    PcmSource,
    Refused,
    WebmSource,
    main,
)

SESSION = "6f1d7c3e-0000-4000-8000-000000000001"
OTHER_SESSION = "6f1d7c3e-0000-4000-8000-000000000002"
PCM = np.random.default_rng(7).integers(-3000, 3000, 16_000 * 3, dtype=np.int16).tobytes()
ADVICE = {
    "comando": "recomendar",
    "id": "aaaaaaaa-0000-4000-8000-000000000001",
    "produto": "Soro de reidratação oral",
    "itens": [{"id": "1", "sugestao": "Soro de reidratação oral", "explicacao": "Repõe água e sais.", "tag": ""}],
    "origem": "regras",
    "simulado": True,
}


class Visit:
    """One connection as the server sees it: the opening, the audio so far, the commands."""

    def __init__(self, ws: ServerConnection) -> None:
        self.ws = ws
        self.opening: dict[str, Any] = {}
        self.audio = bytearray()
        self.commands: list[dict[str, Any]] = []

    async def welcome(self, received_until: int = 0, session: str = SESSION) -> None:
        """Say from where audio is wanted, as a server that knows nothing of `desde`."""
        await self.say({"comando": "sessao", "sessao": session, "recebido_ate": received_until, "versao": 4})

    async def welcome_heeding(self, recorded_until: int) -> None:
        """As ours: never ask for what the counter says that it no longer holds."""
        await self.welcome(max(recorded_until, self.opening["desde"]))

    async def say(self, message: dict[str, Any]) -> None:
        await self.ws.send(json.dumps(message))

    async def read(self, audio_bytes: int | None = None) -> None:
        """Until that much audio is here, or `fim`."""
        while audio_bytes is None or len(self.audio) < audio_bytes:
            message = await self.ws.recv()
            if isinstance(message, bytes):
                self.audio += message
                continue
            self.commands.append(json.loads(message))
            if self.commands[-1] == {"comando": "fim"}:
                return

    async def was_read(self) -> None:
        """Wait for the answer to a ping: the counter has read all that was said before."""
        await asyncio.wait_for(await self.ws.ping(), 5)

    async def vanish(self) -> None:
        """As a killed server: the socket is gone without a close frame."""
        self.ws.transport.abort()
        await self.ws.wait_closed()


Script = Callable[[Visit], Awaitable[None]]


class ScriptedServer:
    """The n-th connection follows the n-th script; a script that returns closes with 1000."""

    def __init__(self, *scripts: Script, max_queue: int | None = None) -> None:
        self._scripts = list(scripts)
        self._max_queue = max_queue
        self.visits: list[Visit] = []
        self.url = ""

    async def _handle(self, ws: ServerConnection) -> None:
        visit = Visit(ws)
        self.visits.append(visit)
        visit.opening = json.loads(await ws.recv())
        await self._scripts[len(self.visits) - 1](visit)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[ScriptedServer]:
        async with serve(self._handle, "127.0.0.1", 0, max_queue=self._max_queue) as server:
            self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
            yield self


async def until_fim(visit: Visit) -> None:
    await visit.welcome()
    await visit.read()


def refuse(code: int, codigo: str, **extra: Any) -> Script:
    async def script(visit: Visit) -> None:
        await visit.say({"comando": "erro", "codigo": codigo, "mensagem": f"Não deu: {codigo}.", **extra})
        await visit.ws.close(code)

    return script


def settings(url: str, **changes: Any) -> ClientSettings:
    quick = {"speed": 1000, "backoff_initial_s": 0.01, "backoff_max_s": 0.02, "finish_timeout_s": 5}
    return ClientSettings.model_validate({"url": url, **quick, **changes})


async def stream(server: ScriptedServer, source: Any = None, **changes: Any) -> list[Event]:
    events: list[Event] = []
    client = CounterClient(settings(server.url, **changes), "bk_segredo")
    await asyncio.wait_for(client.run(source or PcmSource(PCM), events.append), 20)
    return events


def kinds(events: list[Event]) -> list[str]:
    return [event.kind for event in events]


async def test_the_whole_stream_arrives_byte_for_byte_and_ends_with_fim() -> None:
    async with ScriptedServer(until_fim).running() as server:
        events = await stream(server)
    (visit,) = server.visits
    assert bytes(visit.audio) == PCM
    assert visit.commands == [{"comando": "fim"}]
    assert kinds(events) == ["connected", "end_sent", "closed"]


async def test_it_offers_no_compression_and_keeps_serve_from_cancelling_the_session() -> None:
    async with ScriptedServer(until_fim).running() as server:
        await stream(server)
    request = server.visits[0].ws.request
    assert request is not None
    assert request.headers["x-request-disconnect-disabled"] == "?1"
    assert "Sec-WebSocket-Extensions" not in request.headers


@pytest.mark.parametrize(
    ("generation", "opening"),
    [
        (2, {"comando": "auth", "api_key": "bk_segredo"}),
        (3, {"api_key": "bk_segredo", "vad_settings": {"min_energy": 120.0}}),
        (
            4,
            {
                "comando": "auth",
                "versao": 4,
                "api_key": "bk_segredo",
                "formato": "pcm_s16le_16k",
                "sessao": None,
                "desde": 0,
                "vad_settings": {"min_energy": 120.0},
            },
        ),
    ],
)
async def test_every_generation_introduces_itself_in_its_own_way(generation: int, opening: dict[str, Any]) -> None:
    async def script(visit: Visit) -> None:
        if generation == 4:
            await visit.welcome()
        await visit.read()
        await visit.say(ADVICE)

    async with ScriptedServer(script).running() as server:
        events = await stream(server, generation=generation, vad_settings={"min_energy": 120.0})
    assert server.visits[0].opening == opening
    assert bytes(server.visits[0].audio) == PCM
    assert kinds(events).count("recomendar") == 1


@pytest.mark.parametrize(
    ("code", "codigo", "exit_code"),
    [
        (4001, "chave_invalida", 11),
        (4002, "sobrecarga", 12),
        (4003, "handshake_invalido", 13),
        (4004, "audio_invalido", 14),
        (4005, "sessao_em_uso", 15),
    ],
)
async def test_a_refusal_ends_with_the_servers_sentence_and_its_exit_code(
    code: int, codigo: str, exit_code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key = tmp_path / "key"
    key.write_text("bk_segredo\n", encoding="utf-8")
    async with ScriptedServer(refuse(code, codigo)).running() as server:
        arguments = ["--url", server.url, "--key-file", str(key), "--texto", "dor de cabeça"]
        assert await asyncio.to_thread(main, arguments) == exit_code
    assert f"Não deu: {codigo}." in capsys.readouterr().err
    assert server.visits[0].opening["api_key"] == "bk_segredo"


async def test_who_is_turned_away_before_introducing_itself_hears_when_to_come_again() -> None:
    async def turn_away(ws: ServerConnection) -> None:
        refusal = {"comando": "erro", "codigo": "sobrecarga", "mensagem": "Cheio.", "tente_em_s": 7}
        await ws.send(json.dumps(refusal))
        await ws.close(4002)

    async with serve(turn_away, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
        for _ in range(20):
            client = CounterClient(settings(url), "bk_segredo")
            with pytest.raises(Refused) as refused:
                await asyncio.wait_for(client.run(PcmSource(PCM), lambda event: None), 20)
            assert (refused.value.codigo, refused.value.retry_in_s) == ("sobrecarga", 7)


async def test_audio_refused_in_mid_stream_is_not_tried_again() -> None:
    async def script(visit: Visit) -> None:
        await visit.welcome()
        await visit.read(6_000)
        await refuse(4004, "audio_invalido")(visit)

    async with ScriptedServer(script).running() as server:
        with pytest.raises(Refused) as refused:
            await stream(server)
    assert (refused.value.close_code, refused.value.codigo) == (4004, "audio_invalido")
    assert len(server.visits) == 1


async def test_after_a_lost_connection_it_resumes_the_session_and_sends_exactly_from_what_the_server_holds() -> None:
    async def dies(visit: Visit) -> None:
        await visit.welcome()
        await visit.read(32_000)
        await visit.say({"comando": "recebido", "ate": 4_000})
        await visit.say(ADVICE)
        await visit.was_read()
        await visit.vanish()

    async def lives(visit: Visit) -> None:
        await visit.welcome(received_until=9_001)
        await visit.read()
        await visit.say(ADVICE)
        await visit.say({**ADVICE, "id": "aaaaaaaa-0000-4000-8000-000000000002"})

    async with ScriptedServer(dies, lives).running() as server:
        events = await stream(server)
    first, second = server.visits
    assert (first.opening["sessao"], second.opening["sessao"]) == (None, SESSION)
    assert bytes(second.audio) == PCM[2 * 9_001 :]
    shown = [event.fields["id"][-1] for event in events if event.kind == "recomendar"]
    assert shown == ["1", "2"]
    assert "audio_lost" not in kinds(events)


async def test_a_server_that_is_gone_is_replaced_by_the_next_of_the_list_in_the_same_session() -> None:
    async def dies(visit: Visit) -> None:
        await visit.welcome()
        await visit.vanish()

    first_server = ScriptedServer(dies, refuse(4002, "sobrecarga"))
    async with ScriptedServer(until_fim).running() as other, first_server.running() as first:
        events = await stream(first, other_urls=(other.url,))
    assert other.visits[0].opening["sessao"] == SESSION
    assert kinds(events)[-2:] == ["end_sent", "closed"]
    assert bytes(other.visits[0].audio) == PCM


async def test_after_a_quiet_spell_a_lost_connection_goes_on_in_the_same_session() -> None:
    async def dies(visit: Visit) -> None:
        await visit.welcome_heeding(0)
        await visit.read(80_000)
        await visit.say({"comando": "recebido", "ate": 32_000})  # an utterance until 16,000, then a second of silence
        await visit.was_read()
        await visit.vanish()

    async def knows_only_what_was_said(visit: Visit) -> None:
        await visit.welcome_heeding(16_000)
        await visit.read()
        await visit.say({"comando": "ouvido", "texto": "dor", "inicio_ms": 2_100, "fim_ms": 2_600})

    async with ScriptedServer(dies, knows_only_what_was_said).running() as server:
        events = await stream(server)
    assert [(visit.opening["sessao"], visit.opening["desde"]) for visit in server.visits] == [
        (None, 0),
        (SESSION, 32_000),
    ]
    assert bytes(server.visits[1].audio) == PCM[64_000:]
    heard = next(event for event in events if event.kind == "ouvido")
    assert (heard.fields["inicio_ms"], heard.fields["fim_ms"]) == (2_100, 2_600)
    assert "audio_lost" not in kinds(events)


async def test_an_older_server_that_asks_for_what_was_declared_safe_gets_a_new_session_and_nothing_is_lost() -> None:
    async def dies(visit: Visit) -> None:
        await visit.welcome()
        await visit.read(80_000)
        await visit.say({"comando": "recebido", "ate": 32_000})
        await visit.was_read()
        await visit.vanish()

    async def heedless(visit: Visit) -> None:
        await visit.welcome(received_until=16_000)
        await visit.ws.wait_closed()

    async def begins_anew(visit: Visit) -> None:
        await visit.welcome(session=OTHER_SESSION)
        await visit.read()

    async with ScriptedServer(dies, heedless, begins_anew).running() as server:
        events = await stream(server)
    assert [visit.opening["sessao"] for visit in server.visits] == [None, SESSION, None]
    assert bytes(server.visits[2].audio) == PCM[64_000:]
    assert "audio_lost" not in kinds(events)


async def test_a_server_that_goes_away_with_1012_is_found_again_when_it_said() -> None:
    async def leaves(visit: Visit) -> None:
        await visit.welcome()
        await visit.read(8_000)
        await visit.say({"comando": "reconectar", "em_s": 0.2})
        await visit.ws.close(1012)

    async def takes_over(visit: Visit) -> None:
        await visit.welcome(received_until=1_000)
        await visit.read()

    async with ScriptedServer(leaves, takes_over).running() as server:
        events = await stream(server)
    asked = next(event for event in events if event.kind == "reconectar")
    back = [event for event in events if event.kind == "connected"][1]
    assert back.t_s - asked.t_s >= 0.19
    assert bytes(server.visits[1].audio) == PCM[2_000:]


async def test_a_session_still_in_use_after_a_drop_is_tried_again() -> None:
    async def dies(visit: Visit) -> None:
        await visit.welcome()
        await visit.read(8_000)
        await visit.vanish()

    async with ScriptedServer(dies, refuse(4005, "sessao_em_uso"), until_fim).running() as server:
        events = await stream(server)
    assert [visit.opening["sessao"] for visit in server.visits] == [None, SESSION, SESSION]
    assert [e.fields["reason"] for e in events if e.kind == "reconnecting"][1] == "sessao_em_uso"
    assert bytes(server.visits[2].audio) == PCM


async def test_a_connection_lost_after_fim_is_resumed_and_ended_again() -> None:
    async def dies(visit: Visit) -> None:
        await until_fim(visit)
        await visit.vanish()

    async def answers(visit: Visit) -> None:
        await visit.welcome(received_until=48_000)
        await visit.read()
        await visit.say(ADVICE)

    async with ScriptedServer(dies, answers).running() as server:
        events = await stream(server)
    assert bytes(server.visits[1].audio) == b""
    assert kinds(events)[-3:] == ["end_sent", "recomendar", "closed"]


async def test_a_server_that_forgot_the_session_gets_only_what_was_not_safe_and_times_stay_the_streams() -> None:
    async def dies(visit: Visit) -> None:
        await visit.welcome()
        await visit.read(48_000)
        await visit.say({"comando": "recebido", "ate": 16_000})
        await visit.was_read()
        await visit.vanish()

    async def forgot(visit: Visit) -> None:
        await visit.welcome(session=OTHER_SESSION)
        await visit.say({"comando": "ouvido", "texto": "dor", "inicio_ms": 100, "fim_ms": 600})
        await visit.read()

    async with ScriptedServer(dies, forgot).running() as server:
        events = await stream(server)
    assert bytes(server.visits[1].audio) == PCM[32_000:]
    heard = next(event for event in events if event.kind == "ouvido")
    assert (heard.fields["inicio_ms"], heard.fields["fim_ms"]) == (1_100, 1_600)
    assert "audio_lost" not in kinds(events)


async def test_audio_that_a_microphone_could_not_keep_is_said_to_be_lost_and_a_new_session_begins_behind_it() -> None:
    gone = asyncio.Event()

    async def microphone() -> AsyncIterator[bytes]:
        yield PCM[:32_000]
        await gone.wait()
        yield PCM + PCM[:32_000]  # four seconds more than a buffer of two can hold

    async def dies(visit: Visit) -> None:
        await visit.welcome()
        await visit.read(32_000)
        await visit.vanish()
        gone.set()

    async def remembers(visit: Visit) -> None:
        await visit.welcome(received_until=8_000)
        await visit.ws.wait_closed()

    async def begins_anew(visit: Visit) -> None:
        await visit.welcome(session=OTHER_SESSION)
        await visit.read()

    async with ScriptedServer(dies, remembers, begins_anew).running() as server:
        events = await stream(server, LiveSource(microphone()), resend_s=2, when_full="drop", backoff_initial_s=0.2)
    assert [visit.opening["sessao"] for visit in server.visits] == [None, SESSION, None]
    whole = PCM[:32_000] + PCM + PCM[:32_000]
    assert bytes(server.visits[2].audio) == whole[-64_000:]
    lost_s = sum(event.fields["seconds"] for event in events if event.kind == "audio_lost")
    assert lost_s == pytest.approx((len(whole) - 64_000) / 32_000 - 0.5)


async def test_a_hole_in_a_microphones_audio_is_said_and_the_session_goes_on_behind_it() -> None:
    gone = asyncio.Event()

    async def microphone() -> AsyncIterator[bytes]:
        yield PCM[:32_000]
        await gone.wait()
        yield PCM + PCM[:32_000]

    async def dies(visit: Visit) -> None:
        await visit.welcome_heeding(0)
        await visit.read(32_000)
        await visit.say({"comando": "recebido", "ate": 8_000})
        await visit.was_read()
        await visit.vanish()
        gone.set()

    async def remembers(visit: Visit) -> None:
        await visit.welcome_heeding(8_000)
        await visit.read()

    async with ScriptedServer(dies, remembers).running() as server:
        events = await stream(server, LiveSource(microphone()), resend_s=2, when_full="drop", backoff_initial_s=0.2)
    whole = PCM[:32_000] + PCM + PCM[:32_000]
    assert (server.visits[1].opening["sessao"], server.visits[1].opening["desde"]) == (
        SESSION,
        len(whole) // 2 - 32_000,
    )
    assert bytes(server.visits[1].audio) == whole[-64_000:]
    lost_s = sum(event.fields["seconds"] for event in events if event.kind == "audio_lost")
    assert lost_s == pytest.approx((len(whole) - 64_000) / 32_000 - 0.5)


async def test_a_file_loses_nothing_however_long_the_server_is_away() -> None:
    async def dies(visit: Visit) -> None:
        await visit.welcome()
        await visit.read(4_000)
        await visit.vanish()

    long = PCM * 4
    async with ScriptedServer(dies, until_fim).running() as server:
        events = await stream(server, PcmSource(long), resend_s=2, backoff_initial_s=0.3, backoff_max_s=0.3)
    assert bytes(server.visits[1].audio) == long
    assert "audio_lost" not in kinds(events)


async def test_a_slow_server_gets_everything_in_order() -> None:
    async def slow(visit: Visit) -> None:
        await visit.welcome()
        for _ in range(5):
            await visit.read(len(visit.audio) + 1)
            await asyncio.sleep(0.03)
        await visit.read()

    async with ScriptedServer(slow, max_queue=1).running() as server:
        await stream(server, PcmSource(PCM * 3), resend_s=2)
    assert bytes(server.visits[0].audio) == PCM * 3


async def test_a_server_that_falls_silent_is_left_and_resumed() -> None:
    async def silent(visit: Visit) -> None:
        await visit.welcome()
        await visit.read(4_000)
        visit.ws.transport.pause_reading()
        await asyncio.sleep(0.6)
        visit.ws.transport.abort()

    async def lives(visit: Visit) -> None:
        await visit.welcome(received_until=2_000)
        await visit.read()

    async with ScriptedServer(silent, lives).running() as server:
        await stream(server, ping_interval_s=0.1, ping_timeout_s=0.1)
    assert bytes(server.visits[1].audio) == PCM[4_000:]


async def test_it_answers_pings_and_asks_and_ignores_what_it_does_not_know(caplog: pytest.LogCaptureFixture) -> None:
    async def chatty(visit: Visit) -> None:
        await visit.ws.send("não é JSON")
        await visit.say({"comando": "novidade", "texto": "dor de barriga"})
        await visit.welcome()
        for raw in ('["lista"]', '{"sem":"comando"}', '{"comando":7}', "{" * 5_000, b"\x00\x01"):
            await visit.ws.send(raw)
        await visit.say({"comando": "novidade", "texto": "dor de barriga", "kind": "x"})
        await visit.was_read()
        await visit.read()
        await visit.say({"comando": "pong"})
        await visit.say({"comando": "recebido", "ate": "muito"})
        await visit.say({"comando": "aviso", "codigo": "stt_indisponivel", "mensagem": "Sem transcrição.", "kind": "x"})

    async with ScriptedServer(chatty).running() as server:
        events: list[Event] = []
        client = CounterClient(settings(server.url), "bk_segredo")
        client.submit({"comando": "ping"})
        await asyncio.wait_for(client.run(PcmSource(PCM), events.append), 20)
    assert server.visits[0].commands == [{"comando": "ping"}, {"comando": "fim"}]
    assert kinds(events) == ["connected", "end_sent", "pong", "aviso", "closed"]
    assert "dor de barriga" not in caplog.text


async def test_an_older_generation_ends_with_its_connection() -> None:
    async def dies(visit: Visit) -> None:
        await visit.read(4_000)
        await visit.ws.close(1012)

    async with ScriptedServer(dies).running() as server:
        with pytest.raises(ConnectionLost, match="closed 1012"):
            await stream(server, generation=3)
    assert len(server.visits) == 1


async def test_a_server_that_never_closes_is_not_waited_for_without_end() -> None:
    async def lingers(visit: Visit) -> None:
        await until_fim(visit)
        await visit.ws.wait_closed()

    async with ScriptedServer(lingers).running() as server:
        with pytest.raises(FinishTimedOut):
            await stream(server, finish_timeout_s=0.1)


async def test_a_server_that_does_not_welcome_is_given_up() -> None:
    async def mute(visit: Visit) -> None:
        await visit.ws.wait_closed()

    async with ScriptedServer(mute, mute).running() as server:
        with pytest.raises(ConnectionLost):
            await stream(server, handshake_timeout_s=0.05, first_attempts=2)
    assert len(server.visits) == 2


async def test_nobody_listening_is_said_after_the_first_attempts() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    events: list[Event] = []
    client = CounterClient(settings(f"ws://127.0.0.1:{port}/ws", first_attempts=3), "bk_segredo")
    with pytest.raises(ConnectionLost, match=str(port)):
        await client.run(PcmSource(PCM), events.append)
    assert kinds(events) == ["reconnecting", "reconnecting"]


@pytest.mark.parametrize(("status", "tries"), [(500, 3), (404, 1)])
async def test_a_server_that_fails_is_tried_again_and_one_that_has_no_counters_is_not(status: int, tries: int) -> None:
    asked: list[Request] = []

    def answer(connection: ServerConnection, request: Request) -> Response:
        asked.append(request)
        return connection.respond(status, "")

    async with serve(until_fim, "127.0.0.1", 0, process_request=answer) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
        client = CounterClient(settings(url, first_attempts=3), "bk_segredo")
        with pytest.raises(ConnectionLost, match=f"HTTP {status}"):
            await client.run(PcmSource(PCM), [].append)
    assert len(asked) == tries


async def test_a_source_that_fails_is_heard_of() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield PCM[:3_200]
        raise OverflowError("microphone_gone")

    async with ScriptedServer(until_fim).running() as server:
        with pytest.raises(OverflowError, match="microphone_gone"):
            await stream(server, LiveSource(broken()))


def webm(seconds: int) -> bytes:
    """A tone of that many seconds as 20 ms Opus packets, its pitch rising by 50 Hz every second."""
    t = np.arange(48_000 * seconds) / 48_000
    tone = (8_000 * np.sin(2 * np.pi * np.cumsum(400 + 50 * np.floor(t)) / 48_000)).astype(np.int16)
    file = io.BytesIO()
    with av.open(file, "w", format="webm") as container:
        stream = container.add_stream("libopus", rate=48_000)
        stream.layout = "mono"
        for begin in range(0, len(tone), 960):
            frame = av.AudioFrame.from_ndarray(tone[None, begin : begin + 960], format="s16", layout="mono")
            frame.sample_rate, frame.pts = 48_000, begin
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def decoded(data: bytes) -> np.ndarray:
    with av.open(io.BytesIO(data), "r") as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


async def test_a_webm_file_goes_as_it_is_and_resumes_as_a_new_container_from_the_packet_wanted() -> None:
    file = webm(4)
    wanted = 16_000 * 2 + 100

    async def dies(visit: Visit) -> None:
        await visit.welcome()
        await visit.read(len(file) * 3 // 4)
        await visit.vanish()

    async def lives(visit: Visit) -> None:
        await visit.welcome(received_until=wanted)
        await visit.read()

    async with ScriptedServer(dies, lives, until_fim).running() as server:
        await stream(server, WebmSource(file))
    first, second = server.visits
    assert first.opening["formato"] == second.opening["formato"] == "webm_opus"
    assert file.startswith(bytes(first.audio))
    again = decoded(bytes(second.audio))
    skipped_ms = (len(decoded(file)) - len(again)) / 48
    assert wanted / 16 - 60 <= skipped_ms <= wanted / 16
    crossings = np.count_nonzero(np.diff(np.signbit(again[4_800:33_600])))  # 0.6 s of the third second
    assert crossings / 2 / 0.6 == pytest.approx(500, abs=10)


async def test_a_webm_file_is_not_sent_again_from_before_what_was_declared_safe() -> None:
    file = webm(4)

    async def dies(visit: Visit) -> None:
        await visit.welcome_heeding(0)
        await visit.read(len(file) * 3 // 4)
        await visit.say({"comando": "recebido", "ate": 32_000})
        await visit.was_read()
        await visit.vanish()

    async def lives(visit: Visit) -> None:
        await visit.welcome_heeding(8_000)
        await visit.read()

    async with ScriptedServer(dies, lives).running() as server:
        await stream(server, WebmSource(file))
    assert server.visits[1].opening["desde"] == 32_000
    skipped_ms = (len(decoded(file)) - len(decoded(bytes(server.visits[1].audio)))) / 48
    assert 2_000 - 60 <= skipped_ms <= 2_000


async def test_a_whole_webm_file_arrives_unchanged() -> None:
    file = webm(1)
    async with ScriptedServer(until_fim).running() as server:
        await stream(server, WebmSource(file))
    assert bytes(server.visits[0].audio) == file


async def test_the_command_line_prints_one_event_a_line_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "balcao.wav"
    with wave.open(str(path), "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(16_000)
        wav.writeframes(PCM)

    async def advises(visit: Visit) -> None:
        await until_fim(visit)
        await visit.say(ADVICE)

    async with ScriptedServer(advises).running() as server:
        arguments = [str(path), "--url", server.url, "--key", "bk_segredo", "--speed", "100", "--json"]
        assert await asyncio.to_thread(main, arguments) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["connected", "end_sent", "recomendar", "closed"]
    assert lines[2]["itens"][0]["sugestao"] == "Soro de reidratação oral"
    assert [line["t_s"] for line in lines] == sorted(line["t_s"] for line in lines)
    assert bytes(server.visits[0].audio) == PCM
