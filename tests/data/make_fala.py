"""Makes tests/data/fala.wav: one sentence by espeak-ng's `pt-br` voice (Debian package `espeak-ng`), 16 kHz mono."""

import io
import subprocess
import wave
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

SENTENCE = "Quero um remédio para tosse."
LEVEL_DBFS = -23.0


def main() -> None:
    """Write the file beside this script."""
    spoken = subprocess.run(
        ["espeak-ng", "-v", "pt-br", "-s", "190", "--stdout", SENTENCE], capture_output=True, check=True
    ).stdout
    with wave.open(io.BytesIO(spoken)) as source:
        samples = np.frombuffer(source.readframes(source.getnframes()), "<i2").astype(float)
        assert source.getframerate() == 22050
    samples = resample_poly(samples, 320, 441)
    loud = np.flatnonzero(np.abs(samples) > 0.01 * np.abs(samples).max())
    samples = samples[loud[0] : loud[-1] + 1]
    samples *= 32768 * 10 ** (LEVEL_DBFS / 20) / np.sqrt(np.mean(samples**2))
    with wave.open(str(Path(__file__).with_name("fala.wav")), "wb") as target:
        target.setnchannels(1)
        target.setsampwidth(2)
        target.setframerate(16000)
        target.writeframes(np.clip(samples, -32768, 32767).astype("<i2").tobytes())


if __name__ == "__main__":
    main()
