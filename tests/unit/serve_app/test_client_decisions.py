"""The counter's decisions, without a socket: what is kept, from where to resume, when to give up, what is shown."""

from __future__ import annotations

import io
import json
import wave
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from serve_app.client import (
    Backoff,
    BadAudioFile,
    ClientError,
    ClientSettings,
    CounterClient,
    Endpoints,
    Event,
    Ledger,
    ResendBuffer,
    Resume,
    catch_up_pause_s,
    describe,
    handshake,
    main,
    parse,
    pcm_of_wav,
    refusal,
    source_from_file,
)

A, B = "session-a", "session-b"


def samples(first: int, count: int) -> bytes:
    return b"".join(n.to_bytes(2, "little") for n in range(first, first + count))


class TestResendBuffer:
    def test_gives_out_what_was_appended_once_and_in_order(self) -> None:
        buffer = ResendBuffer(1_000)
        buffer.append(samples(0, 10))
        assert buffer.take(8) + buffer.take(100) == samples(0, 10)
        assert buffer.take(8) == b""

    def test_sends_again_from_a_sample_that_it_still_holds(self) -> None:
        buffer = ResendBuffer(1_000)
        buffer.append(samples(0, 10))
        buffer.take(20)
        buffer.rewind(7)
        assert buffer.take(100) == samples(7, 3)

    def test_forgets_what_is_safe_but_never_what_was_not_sent(self) -> None:
        buffer = ResendBuffer(1_000)
        buffer.append(samples(0, 10))
        buffer.take(8)
        buffer.forget(9)
        assert buffer.first_sample == 4
        with pytest.raises(ValueError, match="sample_not_held"):
            buffer.rewind(3)
        assert buffer.take(100) == samples(4, 6)

    def test_lets_the_oldest_go_beyond_its_capacity_and_says_when_it_was_not_sent(self) -> None:
        buffer = ResendBuffer(20)
        buffer.append(samples(0, 10))
        buffer.take(4)
        buffer.append(samples(10, 2))
        assert (buffer.first_sample, buffer.overrun) == (2, False)
        buffer.append(samples(12, 1))
        assert (buffer.first_sample, buffer.end_sample, buffer.overrun) == (3, 13, True)

    def test_has_room_for_more_while_sending_than_while_it_must_keep_all(self) -> None:
        buffer = ResendBuffer(20)
        buffer.append(samples(0, 10))
        buffer.take(12)
        assert buffer.fits(12, connected=True)
        assert not buffer.fits(14, connected=True)
        assert not buffer.fits(2, connected=False)

    @given(
        st.lists(
            st.one_of(
                st.tuples(st.just("append"), st.integers(0, 31)),
                st.tuples(st.just("take"), st.integers(0, 31)),
                st.tuples(st.just("forget"), st.integers(0, 200)),
                st.tuples(st.just("rewind"), st.integers(0, 200)),
            ),
            max_size=40,
        )
    )
    def test_holds_a_bounded_and_whole_part_of_the_stream_whatever_happens(self, steps: list[tuple[str, int]]) -> None:
        stream, buffer, next_byte = samples(0, 2_000), ResendBuffer(40), 0
        for step, n in steps:
            if step == "append":
                buffer.append(stream[next_byte : next_byte + n])
                next_byte += n
            elif step == "forget":
                buffer.forget(n)
            elif step == "rewind" and buffer.first_sample <= n <= buffer.end_sample:
                buffer.rewind(n)
            elif step == "take" and not buffer.overrun:
                buffer.take(n)
            assert buffer.end_sample - buffer.first_sample <= 20
            assert buffer.end_sample == next_byte // 2
        buffer.rewind(buffer.first_sample)
        assert buffer.take(100) == stream[2 * buffer.first_sample : next_byte]


class TestLedger:
    def test_a_new_session_begins_with_the_streams_first_sample(self) -> None:
        assert Ledger().welcomed(A, 0, 0, 0) == Resume(0, 0)

    def test_the_same_session_goes_on_from_what_the_server_holds(self) -> None:
        ledger = Ledger()
        ledger.welcomed(A, 0, 0, 0)
        ledger.received(500)
        assert ledger.welcomed(A, 700, 500, 2_000) == Resume(700, 0)

    def test_a_forgotten_session_sends_again_only_what_was_not_safe(self) -> None:
        ledger = Ledger()
        ledger.welcomed(A, 0, 0, 0)
        ledger.received(500)
        assert ledger.welcomed(B, 0, 500, 2_000) == Resume(500, 0)
        assert ledger.received(100) == 600
        assert ledger.welcomed(B, 150, 600, 2_000) == Resume(650, 0)

    def test_a_hole_ends_the_session_and_counts_what_is_lost(self) -> None:
        ledger = Ledger()
        ledger.welcomed(A, 0, 0, 0)
        assert ledger.welcomed(A, 300, 1_000, 2_000) == Resume(None, 700)
        assert ledger.session_id is None
        assert ledger.welcomed(B, 0, 1_200, 2_200) == Resume(1_200, 200)

    def test_a_server_that_remembers_less_than_it_made_safe_loses_nothing_of_ours(self) -> None:
        ledger = Ledger()
        ledger.welcomed(A, 0, 0, 0)
        ledger.received(1_000)
        assert ledger.welcomed(A, 0, 1_000, 2_000) == Resume(None, 0)

    def test_a_server_that_claims_what_was_never_sent_gets_a_new_session(self) -> None:
        ledger = Ledger()
        ledger.welcomed(A, 0, 0, 0)
        assert ledger.welcomed(A, 9_999, 0, 2_000) == Resume(None, 0)

    def test_without_a_session_nothing_is_held_of_it(self) -> None:
        ledger = Ledger()
        assert ledger.needed_from(0) == 0
        ledger.welcomed(A, 0, 0, 0)
        ledger.welcomed(A, 300, 1_000, 2_000)  # a hole: the session is over, the next begins behind it
        assert ledger.needed_from(1_000) == 0

    def test_a_quiet_spell_that_the_server_declared_safe_is_not_asked_for_again(self) -> None:
        ledger = Ledger()
        ledger.welcomed(A, 0, 0, 0)
        ledger.received(1_500)
        assert ledger.needed_from(1_500) == 1_500
        last_recorded_end = 400
        assert ledger.welcomed(A, max(last_recorded_end, 1_500), 1_500, 2_000) == Resume(1_500, 0)

    def test_what_is_held_is_told_in_the_sessions_samples_not_the_streams(self) -> None:
        ledger = Ledger()
        ledger.welcomed(A, 0, 0, 0)
        ledger.received(500)
        ledger.welcomed(B, 0, 500, 2_000)
        assert ledger.needed_from(500) == 0
        ledger.received(100)
        assert ledger.needed_from(600) == 100

    def test_a_file_that_holds_everything_still_says_what_is_safe(self) -> None:
        ledger = Ledger()
        ledger.welcomed(A, 0, 0, 9_999)
        ledger.received(700)
        assert ledger.needed_from(0) == 700

    def test_what_gave_way_unheard_is_lost_although_the_session_goes_on(self) -> None:
        ledger = Ledger()
        ledger.welcomed(A, 0, 0, 0)
        ledger.received(500)
        desde = ledger.needed_from(1_200)
        assert desde == 1_200
        assert ledger.welcomed(A, desde, 1_200, 3_000) == Resume(1_200, 700)
        assert ledger.session_id == A
        assert ledger.needed_from(1_200) == 1_200

    def test_what_gave_way_but_was_heard_is_not_lost(self) -> None:
        ledger = Ledger()
        ledger.welcomed(A, 0, 0, 0)
        assert ledger.welcomed(A, 1_600, 1_200, 3_000) == Resume(1_600, 0)

    @given(
        st.integers(0, 5_000),
        st.integers(0, 5_000),
        st.integers(0, 5_000),
        st.integers(0, 5_000),
    )
    def test_a_server_that_heeds_what_is_held_never_ends_the_session(
        self, safe: int, recorded: int, held_from: int, held: int
    ) -> None:
        held_until = max(held_from + held, safe, recorded)  # the server knows nothing that was never read
        ledger = Ledger()
        ledger.welcomed(A, 0, 0, 0)
        ledger.received(safe)
        resume = ledger.welcomed(A, max(recorded, ledger.needed_from(held_from)), held_from, held_until)
        assert ledger.session_id == A
        assert resume.from_sample == max(safe, recorded, held_from)
        assert resume.lost_samples == (max(0, held_from - safe) if recorded <= held_from else 0)

    def test_a_suggestion_is_shown_the_first_time_only_and_memory_is_bounded(self) -> None:
        ledger = Ledger()
        assert ledger.first_time("id")
        assert not ledger.first_time("id")
        assert all(ledger.first_time(str(n)) for n in range(10_000))
        assert ledger.first_time("id")

    def test_what_was_heard_is_placed_in_the_streams_time(self) -> None:
        ledger = Ledger()
        ledger.aligned(32_000, 0)
        assert ledger.in_stream_time({"inicio_ms": 10, "fim_ms": 20, "texto": ""}) == {
            "inicio_ms": 2_010,
            "fim_ms": 2_020,
            "texto": "",
        }
        assert ledger.in_stream_time({"texto": ""}) == {"texto": ""}


class TestBackoff:
    settings = ClientSettings(backoff_initial_s=1, backoff_max_s=5, first_attempts=3, max_attempts=6, stable_s=10)

    def test_doubles_up_to_its_ceiling_then_gives_up(self) -> None:
        backoff = Backoff(self.settings, random=lambda: 1.0)
        backoff.connected()
        assert [backoff.next_delay_s() for _ in range(6)] == [1, 2, 4, 5, 5, None]

    def test_spreads_counters_over_half_of_the_delay(self) -> None:
        earliest, latest = (Backoff(self.settings, random=lambda jitter=jitter: jitter) for jitter in (0.0, 1.0))
        assert (earliest.next_delay_s(), latest.next_delay_s()) == (0.5, 1.0)

    def test_gives_up_sooner_when_it_never_connected(self) -> None:
        backoff = Backoff(self.settings, random=lambda: 1.0)
        assert [backoff.next_delay_s() for _ in range(3)] == [1, 2, None]

    def test_counts_from_zero_after_a_connection_that_lasted(self) -> None:
        backoff = Backoff(self.settings, random=lambda: 1.0)
        backoff.connected()
        backoff.next_delay_s()
        backoff.next_delay_s()
        backoff.lasted(3)
        assert backoff.next_delay_s() == 4
        backoff.lasted(10)
        assert backoff.next_delay_s() == 1

    @pytest.mark.parametrize(("asked_s", "delay_s"), [(20, 21), (1e9, 61), (-5, 1), (float("nan"), 1)])
    def test_waits_as_long_as_the_server_asked_within_a_minute(self, asked_s: float, delay_s: float) -> None:
        assert Backoff(self.settings, random=lambda: 1.0).next_delay_s(asked_s) == delay_s


class TestMessages:
    def test_a_resume_names_its_session_its_format_and_what_it_still_holds(self) -> None:
        assert handshake(ClientSettings(), "bk_x", "webm_opus", A, 48_000) == {
            "comando": "auth",
            "versao": 4,
            "api_key": "bk_x",
            "formato": "webm_opus",
            "sessao": A,
            "desde": 48_000,
        }

    def test_the_older_generations_say_nothing_that_they_did_not_say_before(self) -> None:
        second, third = (
            handshake(ClientSettings(generation=generation), "bk_x", "pcm_s16le_16k", A, 48_000)
            for generation in (2, 3)
        )
        assert second == {"comando": "auth", "api_key": "bk_x"}
        assert third == {"api_key": "bk_x", "vad_settings": {}}

    @pytest.mark.parametrize("raw", ["", "{", "[]", "7", '{"a":1}', '{"comando":null}', b'{"comando":"pong"}'])
    def test_what_is_not_a_message_is_ignored(self, raw: str | bytes) -> None:
        assert parse(raw) is None

    def test_a_refusal_carries_the_servers_words_and_when_to_try_again(self) -> None:
        refused = refusal(4002, {"codigo": "sobrecarga", "mensagem": "O servidor está cheio.", "tente_em_s": 7})
        assert refused is not None
        assert (refused.codigo, refused.retry_in_s) == ("sobrecarga", 7)
        assert str(refused) == "O servidor está cheio. (sobrecarga, 4002)"

    def test_a_refusal_without_words_still_says_something(self) -> None:
        assert str(refusal(4001, {})) == "O servidor recusou este balcão. (recusado, 4001)"

    @pytest.mark.parametrize("code", [None, 1000, 1006, 1011, 1012])
    def test_other_closes_are_no_refusals(self, code: int | None) -> None:
        assert refusal(code, {"codigo": "comando_desconhecido"}) is None

    def test_an_event_is_one_line_of_json(self) -> None:
        line = Event(1.23456, "ouvido", {"texto": "dor\nde cabeça"}).json_line()
        assert json.loads(line) == {"t_s": 1.235, "event": "ouvido", "texto": "dor\nde cabeça"}
        assert "\n" not in line

    @pytest.mark.parametrize(
        ("event", "line"),
        [
            (
                Event(2, "ouvido", {"texto": "dor", "inicio_ms": 500, "fim_ms": 1_500}),
                "    2.00 s  heard        “dor”  (0.50–1.50 s)",
            ),
            (Event(2, "ouvido", {"texto": "dor"}), "    2.00 s  heard        “dor”  (typed)"),
            (
                Event(2, "recomendar", {"itens": [{"sugestao": "A"}, {"sugestao": "B"}], "origem": "llm"}),
                "    2.00 s  advised      A · B  [llm]",
            ),
            (
                Event(2, "recomendar", {"produto": "A", "origem": "regras", "simulado": True}),
                "    2.00 s  advised      A  [regras, simulado]",
            ),
            (Event(2, "aviso", {"mensagem": "Chame."}), "    2.00 s  notice       Chame."),
            (Event(2, "audio_lost", {"seconds": 1.5}), "    2.00 s  audio lost   1.5 s could not be kept"),
            (Event(2, "recebido", {"ate": 7}), None),
        ],
    )
    def test_the_timeline_reads_well(self, event: Event, line: str | None) -> None:
        assert describe(event) == line


def wav_bytes(rate: int = 16_000, channels: int = 1, width: int = 2, pcm: bytes = b"\x01\x02" * 8) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setframerate(rate)
        wav.setnchannels(channels)
        wav.setsampwidth(width)
        wav.writeframes(pcm)
    return file.getvalue()


class TestFiles:
    def test_a_wav_is_sent_without_its_header(self) -> None:
        assert pcm_of_wav(wav_bytes()) == b"\x01\x02" * 8

    @pytest.mark.parametrize(
        ("data", "why"),
        [
            (wav_bytes(rate=44_100), "found 44100 Hz, 1 and 2"),
            (wav_bytes(channels=2), "found 16000 Hz, 2 and 2"),
            (b"RIFF", "neither"),
            (b"ID3 an mp3", "neither"),
        ],
    )
    def test_another_format_is_refused_saying_what_was_found(self, data: bytes, why: str) -> None:
        with pytest.raises(BadAudioFile, match=why):
            pcm_of_wav(data)

    def test_a_broken_webm_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "x.webm"
        path.write_bytes(b"\x1aE\xdf\xa3 and nothing more")
        with pytest.raises(BadAudioFile, match="WebM"):
            source_from_file(path)

    def test_too_large_a_file_is_not_even_read(self, tmp_path: Path) -> None:
        path = tmp_path / "x.wav"
        path.write_bytes(wav_bytes())
        with pytest.raises(BadAudioFile, match="larger than 10 bytes"):
            source_from_file(path, max_bytes=10)

    def test_a_missing_file_ends_the_command_with_its_name_and_code(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main([str(tmp_path / "no.wav"), "--key", "bk_x"]) == 3
        assert "no.wav" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--key", "bk_x"],
        ["a.wav"],
        ["a.wav", "--key", "bk_x", "--key-file", "k"],
        ["a.wav", "--key-file", "/nonexistent/key"],
        ["a.wav", "--key", "bk_x", "--url", "http://host"],
        ["a.wav", "--key", "bk_x", "--speed", "0"],
    ],
)
def test_wrong_usage_ends_with_two(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as exit_info:
        main(arguments)
    assert exit_info.value.code == 2


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ValidationError, match="sped"):
        ClientSettings.model_validate({"sped": 2})


def test_commands_wait_in_a_bounded_queue() -> None:
    client = CounterClient(ClientSettings(), "bk_x")
    for _ in range(100):
        client.submit({"comando": "ping"})
    with pytest.raises(ClientError, match="command_not_queued"):
        client.submit({"comando": "ping"})


class TestEndpoints:
    def test_a_lost_connection_is_sought_where_it_was_and_then_at_the_next_place(self) -> None:
        endpoints = Endpoints(("ws://a/ws", "ws://b/ws"))
        endpoints.accepted()
        endpoints.failed()
        assert endpoints.url == "ws://a/ws"
        endpoints.failed()
        assert endpoints.url == "ws://b/ws"
        endpoints.failed()
        assert endpoints.url == "ws://a/ws"

    def test_every_endpoint_has_its_turn_before_the_wait_doubles(self) -> None:
        settings = ClientSettings(other_urls=("ws://b/ws",), backoff_initial_s=1, first_attempts=3)
        backoff = Backoff(settings, lambda: 1.0)
        assert [backoff.next_delay_s() for _ in range(6)] == [1, 1, 2, 2, 4, None]

    def test_who_is_sent_away_comes_back_at_once_and_then_as_usual(self) -> None:
        backoff = Backoff(ClientSettings(backoff_initial_s=1, first_attempts=5), lambda: 1.0)
        assert backoff.next_delay_s(0.1, sent_away=True) == pytest.approx(0.2)
        assert backoff.next_delay_s(0.1, sent_away=True) == pytest.approx(2.1)

    def test_what_is_no_socket_is_refused(self) -> None:
        with pytest.raises(ValueError, match="other_urls"):
            ClientSettings(other_urls=("http://b/",))

    def test_a_backlog_is_sent_at_our_pace_and_never_faster_than_the_server_says(self) -> None:
        settings = ClientSettings(chunk_ms=60, catch_up_factor=4, speed=1)
        assert catch_up_pause_s(settings, 1920, None) == pytest.approx(0.015)
        assert catch_up_pause_s(settings, 1920, 512_000) == pytest.approx(0.015)
        assert catch_up_pause_s(settings, 1920, 64_000) == pytest.approx(1920 / 57_600)
