"""The loop as the pieces that a counter sends: PCM, or WebM/Opus as a browser's MediaRecorder makes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from audio.utterance import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ
from bench.load.script import PHASE_MS, Loop, Samples

Format = Literal["pcm", "webm"]

FORMATO: Final = {"pcm": "pcm_s16le_16k", "webm": "webm_opus"}
"""What the handshake of generation 4 calls it."""
PACKET_MS: Final = 60
"""Chrome's MediaRecorder."""
_SAMPLES_A_PACKET: Final = PACKET_MS * SAMPLE_RATE_HZ // 1000
_UNKNOWN_SIZE: Final = b"\x01" + 7 * b"\xff"
_OPUS_HEAD: Final = b"OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0"
"""Version 1, one channel, 312 samples of pre-skip, 48 kHz, no gain, mapping family 0 (RFC 7845, section 5.1)."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What is sent first (nothing for PCM), and the loop's pieces of `chunk_ms` each, over and over."""

    head: bytes
    pieces: tuple[bytes, ...]
    chunk_ms: int


def stream_of(loop: Loop, kind: Format, chunk_ms: int) -> Stream:
    """The loop in pieces of `chunk_ms`; raises ValueError where they do not fit it without a seam."""
    if chunk_ms < 1 or PHASE_MS % chunk_ms:
        fitting = [size for size in (20, 50, 60, 100, 125, 250, 300, 500) if not PHASE_MS % size]
        raise ValueError(f"pieces of {chunk_ms} ms do not fit the loop; take one of {fitting}")
    if kind == "webm":
        return Stream(_container_head(), _webm_pieces(loop.samples, loop.length_ms, chunk_ms), chunk_ms)
    pcm, step = loop.pcm, chunk_ms * SAMPLE_RATE_HZ * BYTES_PER_SAMPLE // 1000
    return Stream(b"", tuple(pcm[at : at + step] for at in range(0, len(pcm), step)), chunk_ms)


def webm_of(pcm: bytes) -> bytes:
    """16 kHz s16le as one WebM; what is left of the last packet is silence."""
    samples = np.frombuffer(pcm, "<i2")
    whole = np.pad(samples, (0, -len(samples) % _SAMPLES_A_PACKET))
    length_ms = len(whole) * 1000 // SAMPLE_RATE_HZ
    return _container_head() + b"".join(_webm_pieces(whole, length_ms, PACKET_MS))


def _webm_pieces(samples: Samples, length_ms: int, chunk_ms: int) -> tuple[bytes, ...]:
    """The packets that are whole at each piece's end, in a cluster of their own; a piece without any is empty."""
    packets = _opus(samples)
    pieces = []
    for begin_ms in range(0, length_ms, chunk_ms):
        first, end = begin_ms // PACKET_MS, (begin_ms + chunk_ms) // PACKET_MS
        blocks = [_block((at - first) * PACKET_MS, packets[at]) for at in range(first, end)]
        time = _element("e7", (first * PACKET_MS).to_bytes(4, "big"))
        pieces.append(b"".join([bytes.fromhex("1f43b675"), _UNKNOWN_SIZE, time, *blocks]) if blocks else b"")
    return tuple(pieces)


def _opus(samples: Samples) -> list[bytes]:
    """Packets of 60 ms; the samples are a whole number of them."""
    import av  # half a second that PCM counters need not wait

    encoder: Any = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = 48_000, "mono", "s16"
    encoder.options = {"frame_duration": str(PACKET_MS)}
    encoder.open()
    fast = np.repeat(samples, 3)
    step, packets = 48 * PACKET_MS, []
    for at in range(0, len(fast), step):
        frame: Any = av.AudioFrame.from_ndarray(fast[None, at : at + step], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48_000, at
        packets += [bytes(packet) for packet in encoder.encode(frame)]
    packets += [bytes(packet) for packet in encoder.encode(None)]
    return packets[: len(samples) // _SAMPLES_A_PACKET]


def _container_head() -> bytes:
    number, codec = _element("d7", b"\1"), _element("86", b"A_OPUS")
    entry = _element("ae", number + _element("83", b"\2") + codec + _element("63a2", _OPUS_HEAD))
    segment = bytes.fromhex("18538067") + _UNKNOWN_SIZE
    return _element("1a45dfa3", _element("4282", b"webm")) + segment + _element("1654ae6b", entry)


def _block(relative_ms: int, packet: bytes) -> bytes:
    return _element("a3", b"\x81" + relative_ms.to_bytes(2, "big") + b"\x80" + packet)


def _element(identity: str, body: bytes) -> bytes:
    return bytes.fromhex(identity) + (len(body) | 1 << 56).to_bytes(8, "big") + body
