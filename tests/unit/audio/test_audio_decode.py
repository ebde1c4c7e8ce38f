"""What a counter sends becomes 16 kHz mono samples, or is refused in words that an attendant understands."""

import contextlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.decode import PcmDecoder, SniffingDecoder, WavDecoder, decoder_for
from audio.errors import AudioInvalid

RATE = 16_000


def decode(data, formato=None, chunk=1000):
    decoder = decoder_for(formato)
    return b"".join(decoder.feed(data[at : at + chunk]) for at in range(0, len(data), chunk)) + decoder.flush()


@pytest.fixture(scope="module")
def tone(sounds):
    return sounds.pcm(0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE))


def test_plain_pcm_passes_unchanged_in_pieces_of_any_size(tone):
    assert all(decode(tone, formato, chunk) == tone for formato in (None, "pcm_s16le_16k") for chunk in (1, 3, 4096))


def test_pcm_gives_whole_samples_only():
    decoder = PcmDecoder()
    assert [decoder.feed(piece) for piece in (b"\1", b"\2\3", b"", b"\4\5\6\7")] == [b"", b"\1\2", b"", b"\3\4\5\6"]
    assert decoder.flush() == b""


def test_pcm_that_begins_like_a_container_for_two_bytes_is_still_pcm():
    assert decode(b"RI", chunk=1) == b"RI"
    assert decode(b"RIGHT!", chunk=1) == b"RIGHT!"
    assert decode(b"\x1a\x45xx", chunk=1) == b"\x1a\x45xx"
    assert SniffingDecoder().flush() == b""


def test_an_unknown_format_is_refused():
    with pytest.raises(AudioInvalid, match="pcm_s16le_16k"):
        decoder_for("mp3")


def test_a_wav_gives_its_samples(tone, sounds):
    assert all(decode(sounds.wav(tone), chunk=chunk) == tone for chunk in (1, 7, 44, 100_000))


def test_a_wavs_tags_before_and_after_the_samples_are_skipped(tone, sounds):
    plain = sounds.wav(tone)
    tagged = plain[:12] + b"LIST" + struct.pack("<I", 5) + b"abcde\0" + plain[12:] + b"id3 \4\0\0\0abcd"
    assert decode(tagged, chunk=5) == tone


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0xFFFFFFFF])
def test_a_wav_stream_without_length_goes_on_to_the_end(tone, sounds, size):
    wav = bytearray(sounds.wav(tone))
    wav[40:44] = struct.pack("<I", size)
    assert decode(bytes(wav)) == tone


def test_an_extensible_wav_of_pcm_is_taken(tone):
    body = struct.pack("<HHIIHHHHIH", 0xFFFE, 1, RATE, 2 * RATE, 2, 16, 22, 16, 4, 1) + bytes(14)
    head = b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<I", len(body)) + body + b"data" + struct.pack("<I", len(tone))
    assert decode(head + tone) == tone


@pytest.mark.parametrize(
    ("rate", "channels", "width", "told"), [(8000, 1, 2, "8000 Hz"), (RATE, 2, 2, "2 canal"), (RATE, 1, 1, "8 bits")]
)
def test_a_wav_of_another_format_is_refused_with_what_is_expected_and_what_came(sounds, rate, channels, width, told):
    wav = sounds.wav(bytes(400), rate, channels, width)
    with pytest.raises(AudioInvalid, match=f"mono, 16000 Hz.*{told}"):
        decode(wav)


@pytest.mark.parametrize(
    "data",
    [
        b"RIFF\0\0\0\0AVI LIST",
        b"RIFF\0\0\0\0WAVEdata\0\0\0\0",
        b"RIFF\0\0\0\0WAVEfmt \4\0\0\0abcd",
        b"RIFF\0\0\0\0WAVEjunk\xff\xff\xff\x7f",
        b"RIFF\0\0\0\0WAVEfmt ",
        b"RIFF",
    ],
)
def test_a_malformed_or_truncated_wav_is_refused(data):
    with pytest.raises(AudioInvalid):
        decode(data, chunk=6)


def test_a_wav_header_never_fills_the_memory():
    decoder = WavDecoder()
    decoder.feed(b"RIFF\0\0\0\0WAVE")
    chunk = b"JUNK" + struct.pack("<I", 4000) + bytes(4000)
    for _ in range(16):
        decoder.feed(chunk)
    with pytest.raises(AudioInvalid, match="grande demais"):
        decoder.feed(chunk)


@settings(max_examples=100, deadline=None)
@given(tail=st.binary(max_size=200), chunk=st.integers(1, 50))
def test_random_wav_headers_are_samples_or_a_refusal(tail, chunk):
    with contextlib.suppress(AudioInvalid):
        assert len(decode(b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + tail, chunk=chunk)) <= len(tail)
