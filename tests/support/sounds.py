"""A counter's sounds for tests: a synthesised sentence, shop noise, and ways to arrange them."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

RATE = 16_000
FALA = Path(__file__).parents[1] / "data" / "fala.wav"

Signal = NDArray[np.float64]


class Sounds:
    """Builds test signals; levels in dBFS, lengths in seconds, full scale 1.0."""

    def __init__(self) -> None:
        with wave.open(str(FALA)) as file:
            self.sentence: Signal = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768.0
        self.sentence_s = len(self.sentence) / RATE

    def speech(self, dbfs: float) -> Signal:
        return self.sentence * 10 ** (dbfs / 20) / np.sqrt(np.mean(self.sentence**2))

    def quiet(self, seconds: float) -> Signal:
        return np.zeros(round(seconds * RATE))

    def noise(self, seconds: float, dbfs: float, seed: int = 0) -> Signal:
        if not seconds:
            return self.quiet(0)
        white = np.random.default_rng(seed).normal(size=round(seconds * RATE) + 4)
        fan = np.convolve(white, np.ones(5), "valid")
        return fan * 10 ** (dbfs / 20) / np.std(fan)

    def over(self, signal: Signal, noise_dbfs: float, seed: int = 0) -> Signal:
        return signal + self.noise(len(signal) / RATE, noise_dbfs, seed)[: len(signal)]

    def pcm(self, *parts: Signal) -> bytes:
        return np.clip(np.rint(np.concatenate(parts) * 32768), -32768, 32767).astype("<i2").tobytes()

    def wav(self, pcm: bytes, rate: int = RATE, channels: int = 1, width: int = 2) -> bytes:
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as file:
            file.setnchannels(channels)
            file.setsampwidth(width)
            file.setframerate(rate)
            file.writeframes(pcm)
        return buffer.getvalue()

    def webm(self, pcm: bytes, frame_ms: int = 60, channels: int = 1) -> bytes:
        """As MediaRecorder makes it: live WebM (clusters of unknown size), 48 kHz Opus in 60 ms packets."""
        import av

        buffer = io.BytesIO()
        with av.open(buffer, "w", format="webm", options={"live": "1"}) as container:
            stream = container.add_stream("libopus", rate=48_000)
            layout = stream.layout = "mono" if channels == 1 else "stereo"
            stream.options = {"frame_duration": str(frame_ms)}
            samples = np.repeat(np.frombuffer(pcm, "<i2"), 3 * channels)[None]
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout=layout)
            frame.sample_rate = 48_000
            for packet in [*stream.encode(frame), *stream.encode(None)]:
                container.mux(packet)
        return buffer.getvalue()
