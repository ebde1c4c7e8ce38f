"""WebM/Opus is decoded at once, in place, and malformed containers end in a refusal, never in growth or a hang."""

import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio.decode import decoder_for
from audio.ebml import EBML_MAGIC, SILENT_MAX_BYTES, EbmlReader
from audio.errors import AudioInvalid
from audio.webm import WebmDecoder

RATE = 16_000


@pytest.fixture(scope="module")
def pcm(sounds):
    return sounds.pcm(sounds.quiet(0.5), sounds.speech(-20), sounds.quiet(0.3))


@pytest.fixture(scope="module")
def webm(sounds, pcm):
    return sounds.webm(pcm)


def decode(data, chunk=1000, formato=None):
    decoder = decoder_for(formato)
    return b"".join(decoder.feed(data[at : at + chunk]) for at in range(0, len(data), chunk)) + decoder.flush()


def element(identity, body=b"", size=None):
    size = (len(body) | 1 << 56).to_bytes(8, "big") if size is None else size
    return bytes.fromhex(identity) + size + body


UNKNOWN = b"\x01" + 7 * b"\xff"
OPUS_HEAD = b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0"


def container(head=OPUS_HEAD, codec=b"A_OPUS", extra=b"", block="a3"):
    """A stream of one track; `extra` comes where the first cluster is."""
    entry = element("ae", element("d7", b"\1") + element("86", codec) + element("63a2", head))
    start = (
        element("1a45dfa3", element("4282", b"webm")) + element("18538067", size=UNKNOWN) + element("1654ae6b", entry)
    )
    return start + element("1f43b675", size=UNKNOWN) + element("e7", b"\0") + (extra or element(block, SILENT_PACKET))


SILENT_PACKET = b"\x81\0\0\x80" + b"\xf8\xff\xfe"
"""Track 1, time 0, a key frame, and the three bytes that libopus writes for 20 ms of silence."""


@pytest.mark.parametrize("formato", [None, "webm_opus"])
def test_the_samples_come_out_where_they_went_in(pcm, webm, formato):
    sent, got = (np.frombuffer(data, "<i2").astype(float) for data in (pcm, decode(webm, formato=formato)))
    assert 0 <= len(got) - len(sent) <= 0.06 * RATE
    lags = np.correlate(got[: len(sent)], sent[40:-40], "valid")
    assert abs(int(np.argmax(lags)) - 40) <= 8  # half a millisecond: the pre-skip was dropped
    assert np.corrcoef(got[: len(sent)], sent)[0, 1] > 0.9


def test_the_pieces_make_no_difference(webm):
    whole = decode(webm, chunk=len(webm))
    assert decode(webm, chunk=7) == decode(webm, chunk=777) == whole
    begun = decode(webm[:2000], chunk=1)
    assert begun
    assert whole.startswith(begun)


def test_nothing_is_held_back(webm):
    """The first packet of 60 ms is out, but for the encoder's pre-skip, when its last byte is in."""
    decoder, fed = WebmDecoder(), 0
    while not (first := decoder.feed(webm[fed : fed + 1])):
        fed += 1
    assert len(first) / 2 == 0.06 * RATE - 312 / 3
    ends = fed
    rest = decoder.feed(webm[ends + 1 :])
    assert len(rest) > len(first)


def test_blocks_in_groups_are_read_too():
    group = element("a0", element("a1", SILENT_PACKET) + element("9b", b"\x14"))
    assert len(decode(container(extra=group))) == len(decode(container())) > 0


def test_other_tracks_and_other_elements_are_skipped():
    video = b"\x82\0\0\x80" + b"picture"
    noise = element("a3", video) + element("ec", bytes(500)) + element("a3", SILENT_PACKET)
    assert decode(container(extra=noise), chunk=3) == decode(container())


def test_a_recorder_started_again_on_the_same_socket_goes_on(webm):
    once = decode(webm)
    twice = decode(webm + webm)
    assert twice == once + once


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (container(head=b"OpusTail" + OPUS_HEAD[8:]), "cabeçalho Opus"),
        (container(head=OPUS_HEAD[:10]), "cabeçalho Opus"),
        (container(head=OPUS_HEAD[:9] + b"\x08" + OPUS_HEAD[10:]), "cabeçalho Opus"),
        (container(head=bytes(5000)), "grande demais"),
        (container(codec=b"A_VORBIS"), "sem trilha"),
        (container(extra=element("a3", b"\x81\0\0\x84\xf8\xff\xfe")), "agrupados"),
        (container(extra=element("a3", b"\x81\0\0\x80")), "vazio"),
        (container(extra=element("a3", b"\x81\0")), "truncado"),
        (container(extra=element("a3", b"\x81\0\0\x80" + b"\xff" * 9)), "corrompido"),
        (container(extra=element("a3", size=(70_000 | 1 << 56).to_bytes(8, "big"))), "grande demais"),
        (container(extra=element("a3", size=UNKNOWN)), "sem tamanho"),
        (container(extra=element("ec", size=(1 << 40 | 1 << 56).to_bytes(8, "big"))), "grande demais"),
        (container(extra=b"\0\0\0\0"), "inválido"),
        (container(extra=element("a3", b"")), "truncado"),
        (EBML_MAGIC, "incompleto"),
        (b"", None),
    ],
)
def test_what_is_no_opus_in_webm_is_refused(data, told):
    if told is None:
        with pytest.raises(AudioInvalid):
            decode(data, formato="webm_opus")
        return
    with pytest.raises(AudioInvalid, match=told):
        decode(data, chunk=50)


def test_two_channels_become_one(sounds, pcm):
    mono, stereo = (np.frombuffer(decode(sounds.webm(pcm, channels=count)), "<i2") for count in (1, 2))
    assert len(mono) == len(stereo)
    assert np.corrcoef(mono.astype(float), stereo.astype(float))[0, 1] > 0.99


def test_the_gain_that_the_header_asks_for_is_applied(webm):
    """-6 dB (1,536 in steps of 1/256 dB) halve the samples."""
    at = webm.index(b"OpusHead") + 16
    softer = webm[:at] + (-1536).to_bytes(2, "little", signed=True) + webm[at + 2 :]
    plain, soft = (np.frombuffer(decode(data), "<i2").astype(float) for data in (webm, softer))
    assert np.sqrt(np.mean(soft**2) / np.mean(plain**2)) == pytest.approx(0.501, rel=0.02)


def test_a_server_without_libopus_says_what_to_send_instead(webm, monkeypatch):
    monkeypatch.setattr("audio.opus.libopus", lambda: None)
    with pytest.raises(AudioInvalid, match="libopus"):
        decode(webm)


def test_pcm_announced_as_webm_is_refused(pcm):
    with pytest.raises(AudioInvalid, match="EBML"):
        decode(pcm, formato="webm_opus")


def test_track_fields_outside_a_track_are_ignored():
    assert decode(container().replace(EBML_MAGIC, EBML_MAGIC, 1)[:0] + container()) == decode(container())
    stray = element("1a45dfa3") + element("86", b"A_OPUS")
    with pytest.raises(AudioInvalid, match="sem trilha"):
        decode(stray + element("a3", SILENT_PACKET))


def test_an_endless_stream_without_audio_ends_in_a_refusal_and_little_memory():
    reader, padding = EbmlReader(), element("ec", bytes(10_000))
    reader.feed(container())
    for _ in range(SILENT_MAX_BYTES // len(padding)):
        reader.feed(padding)
        assert len(reader._buffer) < 20_000
    with pytest.raises(AudioInvalid, match="sem áudio"):
        reader.feed(padding * 2)


def test_a_long_stream_with_audio_is_no_endless_stream():
    reader, tags = EbmlReader(), element("ec", bytes(100_000))
    reader.feed(container())
    for _ in range(3 * SILENT_MAX_BYTES // len(tags)):
        (found,) = reader.feed(tags + element("a3", SILENT_PACKET))
        assert found.packets == [SILENT_PACKET[4:]]


def test_one_message_cannot_decode_to_more_than_two_minutes():
    longest = element("a3", b"\x81\0\0\x80" + b"\xfb\x06" + 6 * b"\xff\xfe")  # 6 x 20 ms in 14 bytes
    assert len(WebmDecoder().feed(container(extra=longest * 10))) > 1.1 * 2 * RATE
    with pytest.raises(AudioInvalid, match="demais"):
        WebmDecoder().feed(container(extra=longest * 1010))


@settings(max_examples=40, deadline=None)
@given(
    edits=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=8),
    cut=st.integers(0, 10_000),
    chunk=st.sampled_from([3, 100, 5000]),
)
def test_damaged_streams_decode_or_are_refused(webm, edits, cut, chunk):
    data = bytearray(webm[:3000])
    for at, value in edits:
        data[at % len(data)] = value
    data = data[: len(data) - cut % len(data)]
    with contextlib.suppress(AudioInvalid):
        assert len(decode(bytes(data), chunk, "webm_opus")) < 100 * len(webm)


@settings(max_examples=60, deadline=None)
@given(tail=st.binary(max_size=400))
def test_random_bytes_behind_a_header_are_refused_or_skipped(tail):
    with contextlib.suppress(AudioInvalid):
        assert len(decode(EBML_MAGIC + tail, 64, "webm_opus")) == 0
