"""Makes `balcao.wav`, a bundled conversation at a counter, and `balcao.json`, the truth about it.

Usage: python samples/make.py [FOLDER]    (needs numpy, scipy and espeak-ng: `apt-get install espeak-ng`)

Everything is synthetic: sentences of our own, spoken by espeak-ng's Brazilian voice in several timbres over shop noise
made here (ventilation, a refrigerator's hum, a till, steps, a door). The same espeak-ng gives the same file.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter, resample_poly

SAMPLE_RATE_HZ = 16_000
SEED = 20261122
SPEECH_RMS_DBFS = -24.0
NOISE_RMS_DBFS = -50.0
TAIL_S = 2.0

Signal = NDArray[np.float64]


@dataclass(frozen=True)
class Voice:
    """A timbre of espeak-ng: its name, pitch (0–99) and speed in words a minute."""

    name: str
    pitch: int
    speed: int


VOICES = {
    "atendente": Voice("pt-br+f4", 45, 150),
    "cliente_1": Voice("pt-br+f3", 52, 142),
    "cliente_2": Voice("pt-br+f2", 55, 145),
    "cliente_3": Voice("pt-br+m3", 40, 145),
    "cliente_4": Voice("pt-br+m2", 46, 142),
    "cliente_5": Voice("pt-br", 40, 140),
    "cliente_6": Voice("pt-br+m1", 45, 150),
}


@dataclass(frozen=True)
class Line:
    """One utterance: the silence before it, who speaks, what, the macros of which one must be advised (None: no advice
    may come), and whether the demonstration recogniser is expected to manage it."""

    pause_s: float
    speaker: str
    text: str
    macros: tuple[str, ...] | None = None
    demonstration: bool = False


CONVERSATION = (
    Line(3.0, "cliente_1", "Estou com dor de cabeça.", ("DOR_FEBRE_INFLAMACAO",), True),
    Line(1.3, "atendente", "Desde quando?"),
    Line(3.5, "cliente_2", "Minha filha está com febre alta.", ("DOR_FEBRE_INFLAMACAO", "PEDIATRIA"), True),
    Line(3.5, "cliente_3", "Quanto custa essa escova de cabelo?"),
    Line(1.3, "atendente", "Vinte reais."),
    Line(8.0, "cliente_4", "Tem alguma coisa para tosse seca?", ("RESPIRATORIO_GRIPE",), True),
    Line(3.5, "cliente_5", "Estou com azia.", ("GASTROINTESTINAL",), True),
    Line(3.5, "cliente_6", "Meu marido está com muita coceira nos olhos.", ("ALERGIAS", "OLHOS_OUVIDOS_NARIZ")),
    Line(1.3, "atendente", "Só um momento, por favor."),
    Line(3.5, "cliente_3", "Obrigado, até amanhã."),
)


def spoken(text: str, voice: Voice) -> Signal:
    """`text` said by espeak-ng: 16 kHz, full scale ±1, without the silence around it, at `SPEECH_RMS_DBFS`."""
    command = ["espeak-ng", "-v", voice.name, "-p", str(voice.pitch), "-s", str(voice.speed), "--stdout", text]
    said = subprocess.run(command, capture_output=True, check=True, timeout=30).stdout
    with wave.open(io.BytesIO(said)) as file:
        rate_hz, pcm = file.getframerate(), file.readframes(len(said))
    signal = resample_poly(np.frombuffer(pcm, "<i2") / 32768.0, SAMPLE_RATE_HZ, rate_hz)
    heard = np.flatnonzero(np.abs(signal) > 0.003)
    return at_level(signal[heard[0] : heard[-1] + 1], SPEECH_RMS_DBFS)


def at_level(signal: Signal, rms_dbfs: float) -> Signal:
    """`signal` scaled to an RMS of `rms_dbfs`."""
    return signal * (10 ** (rms_dbfs / 20) / np.sqrt(np.mean(signal**2)))


def shop(samples: int, random: np.random.Generator) -> Signal:
    """`samples` of a shop without people in it, at `NOISE_RMS_DBFS`: air, a compressor's hum, its slow swell."""
    seconds = np.arange(samples) / SAMPLE_RATE_HZ
    air = lfilter([1.0], [1.0, -0.95], random.standard_normal(samples))
    hum = sum(np.sin(2 * np.pi * 60 * k * seconds) / k for k in range(1, 6))
    swell = 1 + 0.2 * np.sin(2 * np.pi * 0.11 * seconds)
    return at_level((at_level(air, 0.0) + 0.5 * at_level(np.asarray(hum), 0.0)) * swell, NOISE_RMS_DBFS)


def beep(hertz: float, length_s: float) -> Signal:
    """A till's beep."""
    seconds = np.arange(int(length_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return 0.05 * np.sin(2 * np.pi * hertz * seconds) * np.hanning(len(seconds)) ** 0.2


def knock(random: np.random.Generator, length_s: float, level: float) -> Signal:
    """A step or a door: a short burst of low noise that dies away."""
    burst = lfilter([1.0], [1.0, -0.9], random.standard_normal(int(length_s * SAMPLE_RATE_HZ)))
    return level * burst / np.abs(burst).max() * np.exp(-np.linspace(0, 7, len(burst)))


def mix(into: Signal, signal: Signal, at_s: float) -> None:
    """Add `signal` to `into` from the second `at_s` on, in place."""
    at = round(at_s * SAMPLE_RATE_HZ)
    into[at : at + len(signal)] += signal


def conversation() -> tuple[Signal, list[dict[str, Any]]]:
    """The whole recording, full scale ±1, and its truth."""
    random = np.random.default_rng(SEED)
    speech = [spoken(line.text, VOICES[line.speaker]) for line in CONVERSATION]
    silence_s = sum(line.pause_s for line in CONVERSATION) + TAIL_S
    sound = shop(sum(map(len, speech)) + round(silence_s * SAMPLE_RATE_HZ), random)
    truth = []
    now_s = 0.0
    for line, said in zip(CONVERSATION, speech, strict=True):
        if line.pause_s > 3:
            bustle(sound, now_s + 1.2, random)
        start_s = now_s + line.pause_s
        now_s = start_s + len(said) / SAMPLE_RATE_HZ
        mix(sound, said, start_s)
        truth.append(
            {
                "start_s": round(start_s, 2),
                "end_s": round(now_s, 2),
                "speaker": line.speaker,
                "text": line.text,
                "expect": None if line.macros is None else {"macros": list(line.macros)},
                "expected_of_demonstration": line.demonstration,
            }
        )
    return sound, truth


def bustle(sound: Signal, at_s: float, random: np.random.Generator) -> None:
    """The till, three steps and the door, while one customer goes and the next one comes; 1.6 s."""
    mix(sound, beep(1900, 0.12), at_s)
    for step in range(3):
        mix(sound, knock(random, 0.08, 0.02), at_s + 0.5 + 0.35 * step)
    mix(sound, knock(random, 0.25, 0.05), at_s + 1.3)


def main(folder: Path) -> None:
    """Write `balcao.wav` (16 kHz mono s16le) and `balcao.json` into `folder`."""
    if shutil.which("espeak-ng") is None:
        raise SystemExit("samples/make.py needs espeak-ng: apt-get install espeak-ng")
    sound, truth = conversation()
    with wave.open(str(folder / "balcao.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE_HZ)
        file.writeframes(np.clip(np.round(sound * 32768), -32768, 32767).astype("<i2").tobytes())
    (folder / "balcao.json").write_text(json.dumps(truth, ensure_ascii=False, indent=2) + "\n", "utf-8")
    print(f"{len(sound) / SAMPLE_RATE_HZ:.1f} s, {len(truth)} utterances, in {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
