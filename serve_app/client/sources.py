"""Where a counter's audio comes from: memory, a microphone, a file."""

from __future__ import annotations

import asyncio
import io
import wave
from bisect import bisect_right
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path
from typing import Final, Protocol

from audio.utterance import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ
from serve_app.client.errors import BadAudioFile
from serve_app.client.settings import BYTES_PER_S, AudioFormat, ClientSettings

_SAMPLES_PER_MS: Final = SAMPLE_RATE_HZ // 1000
_EBML: Final = b"\x1aE\xdf\xa3"


class Source(Protocol):
    """Where a counter's audio comes from."""

    formato: AudioFormat

    def chunks(self, settings: ClientSettings) -> AsyncIterable[bytes]:
        """The audio from its beginning, each chunk when it is due."""

    def restart(self, sample: int) -> int | None:
        """Make `chunks` begin at `sample`, return where it begins; None: what was sent is sent again from memory."""


async def paced(data: bytes, step: int, interval_s: float) -> AsyncIterator[bytes]:
    """Pieces of `step` bytes, the n-th when a microphone would have filled it: n intervals after the start."""
    loop = asyncio.get_running_loop()
    started = loop.time()
    for n, begin in enumerate(range(0, len(data), step), start=1):
        await asyncio.sleep(max(0.0, started + n * interval_s - loop.time()))
        yield data[begin : begin + step]


class PcmSource:
    """16 kHz mono s16le from memory, in real time times `speed`."""

    formato: AudioFormat = "pcm_s16le_16k"

    def __init__(self, pcm: bytes) -> None:
        self._pcm = pcm

    def chunks(self, settings: ClientSettings) -> AsyncIterator[bytes]:
        """The PCM in pieces of `chunk_ms`."""
        return paced(self._pcm, settings.chunk_ms * BYTES_PER_S // 1000, settings.chunk_ms / 1000 / settings.speed)

    def restart(self, sample: int) -> None:
        """PCM is sent again from memory."""


class LiveSource:
    """16 kHz mono s16le that comes by itself: a microphone, a generator. Use it with `when_full="drop"`."""

    formato: AudioFormat = "pcm_s16le_16k"

    def __init__(self, chunks: AsyncIterable[bytes]) -> None:
        self._chunks = chunks

    def chunks(self, settings: ClientSettings) -> AsyncIterable[bytes]:
        """The chunks as they come."""
        return self._chunks

    def restart(self, sample: int) -> None:
        """PCM is sent again from memory."""


class WebmSource:
    """A WebM/Opus file: its bytes as they are; after a resume a new container that begins with the packet wanted.

    A packet cannot be cut: the new container begins up to one packet (Chrome: 60 ms) before the sample asked for.
    Raises BadAudioFile for anything but Opus in a container that PyAV can read.
    """

    formato: AudioFormat = "webm_opus"

    def __init__(self, data: bytes) -> None:
        self._file = data
        self._packet_starts_ms = self._read_packets()
        self._tail = data
        self._tail_ms = self._packet_starts_ms[-1]

    def chunks(self, settings: ClientSettings) -> AsyncIterator[bytes]:
        """The container's bytes, spread evenly over the time that its audio takes."""
        pieces = max(1, round(self._tail_ms / settings.chunk_ms))
        return paced(self._tail, -(-len(self._tail) // pieces), settings.chunk_ms / 1000 / settings.speed)

    def restart(self, sample: int) -> int:
        """Begin again with the packet that holds `sample`."""
        starts = self._packet_starts_ms
        index = max(0, bisect_right(starts, sample / _SAMPLES_PER_MS, hi=len(starts) - 1) - 1)
        self._tail = self._remuxed(index)
        self._tail_ms = starts[-1] - starts[index]
        return starts[index] * _SAMPLES_PER_MS

    def _read_packets(self) -> list[int]:
        """Milliseconds from the first packet's start to each packet's start, and to the end."""
        import av  # half a second that PCM counters need not wait

        starts = [0]
        try:
            with av.open(io.BytesIO(self._file), "r") as container:
                stream = container.streams.audio[0]
                if stream.codec_context.name != "opus" or stream.time_base is None:
                    raise BadAudioFile("the WebM file holds no Opus")
                ms = float(stream.time_base * 1000)
                for packet in container.demux(stream):
                    if packet.size:
                        starts.append(starts[-1] + round((packet.duration or 0) * ms))
        except (av.FFmpegError, IndexError) as exc:
            raise BadAudioFile(f"not a WebM file that can be read ({type(exc).__name__})") from exc
        if starts[-1] == 0:
            raise BadAudioFile("the WebM file holds no audio")
        return starts

    def _remuxed(self, first_packet: int) -> bytes:
        import av

        tail = io.BytesIO()
        with av.open(io.BytesIO(self._file), "r") as container, av.open(tail, "w", format="webm") as output:
            stream = container.streams.audio[0]
            copy = output.add_stream_from_template(stream)
            packets = [packet for packet in container.demux(stream) if packet.size][first_packet:]
            origin = packets[0].pts or 0
            for packet in packets:
                packet.pts = packet.dts = (packet.pts or 0) - origin
                packet.stream = copy
                output.mux(packet)
        return tail.getvalue()


def source_from_file(path: Path, max_bytes: int = 512 * 1024 * 1024) -> Source:
    """A source for a WAV or WebM file, told apart by their first bytes. Raises BadAudioFile."""
    try:
        if path.stat().st_size > max_bytes:
            raise BadAudioFile(f"{path.name} is larger than {max_bytes} bytes")
        data = path.read_bytes()
    except OSError as exc:
        raise BadAudioFile(f"cannot read {path}: {exc.strerror}") from exc
    if data.startswith(_EBML):
        return WebmSource(data)
    return PcmSource(pcm_of_wav(data))


def pcm_of_wav(data: bytes) -> bytes:
    """The samples of a WAV file of 16 kHz mono s16le; raises BadAudioFile, saying what was found instead."""
    try:
        with wave.open(io.BytesIO(data), "rb") as wav:
            found = (wav.getframerate(), wav.getnchannels(), wav.getsampwidth())
            pcm: bytes = wav.readframes(wav.getnframes())
    except (wave.Error, EOFError) as exc:
        raise BadAudioFile("neither a PCM WAV nor a WebM file") from exc
    if found != (SAMPLE_RATE_HZ, 1, BYTES_PER_SAMPLE):
        raise BadAudioFile("need 16000 Hz, 1 channel, 2 bytes a sample; found {} Hz, {} and {}".format(*found))
    return pcm
