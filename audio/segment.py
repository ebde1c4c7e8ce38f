"""Command line: the utterances the service would find (`python -m audio.segment FILE [--json] [--confirm]`)."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from audio.decode import SniffingDecoder
from audio.errors import AudioInvalid
from audio.frames import to_float
from audio.segmenter import Segmenter
from audio.settings import SegmenterSettings
from audio.silero import Silero, SileroUnavailable
from audio.utterance import SAMPLE_RATE_HZ, Utterance

CHUNK_BYTES = 8_000
"""250 ms of PCM, as counters send it."""
BAD_INPUT = 2


def utterances_of(path: Path, settings: SegmenterSettings) -> Iterator[Utterance]:
    """The utterances of a .wav (16 kHz mono PCM16) or .webm (Opus) file, in order. Raises OSError, AudioInvalid."""
    decoder, segmenter = SniffingDecoder(), Segmenter(settings)
    with path.open("rb") as file:
        start = file.read(4)
        if start not in (b"RIFF", b"\x1a\x45\xdf\xa3"):
            raise AudioInvalid("não é um arquivo WAV nem WebM")
        yield from segmenter.feed(decoder.feed(start))
        while chunk := file.read(CHUNK_BYTES):
            yield from segmenter.feed(decoder.feed(chunk))
    yield from segmenter.feed(decoder.flush())
    yield from segmenter.flush()


def describe(utterance: Utterance) -> dict[str, Any]:
    """One utterance as JSON: seconds from the start of the file, why it ended, and the gate's figures."""
    return {
        "start_s": round(utterance.first_sample / SAMPLE_RATE_HZ, 3),
        "end_s": round(utterance.end_sample / SAMPLE_RATE_HZ, 3),
        "speech_end_s": round(utterance.speech_end_sample / SAMPLE_RATE_HZ, 3),
        "cut_reason": utterance.cut_reason,
        "background_s": round(len(utterance.background_pcm) / (2 * SAMPLE_RATE_HZ), 3),
        "gate": {name: round(value, 2) for name, value in asdict(utterance.gate).items()},
    }


def main(arguments: list[str] | None = None) -> int:
    """Print the utterances of the file named in `arguments`; 0, or 2 when it cannot be read as audio."""
    parser = argparse.ArgumentParser(prog="python -m audio.segment", description="Find the utterances in a file.")
    parser.add_argument("file", type=Path, help="a .wav (16 kHz, mono, PCM of 16 bits) or a .webm (Opus)")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--confirm", action="store_true", help="also tell how sure Silero is that it is speech, 0..1")
    options = parser.parse_args(arguments)
    try:
        model = Silero() if options.confirm else None
        for utterance in utterances_of(options.file, SegmenterSettings()):
            found = describe(utterance)
            if model is not None:
                found["confidence"] = round(model.confidence(to_float(utterance.pcm), 1.0), 3)
            print(json.dumps(found) if options.json else _line(found), flush=True)
    except SileroUnavailable as error:
        print(f"--confirm: o modelo não pôde ser carregado ({error})", file=sys.stderr)
        return BAD_INPUT
    except OSError as error:
        print(f"{options.file}: {error.strerror or type(error).__name__}", file=sys.stderr)
        return BAD_INPUT
    except AudioInvalid as error:
        print(f"{options.file}: {error}", file=sys.stderr)
        return BAD_INPUT
    return 0


def _line(found: dict[str, Any]) -> str:
    gate = found["gate"]
    sure = f"  confidence {found['confidence']:.2f}" if "confidence" in found else ""
    return (
        f"{found['start_s']:8.2f} - {found['end_s']:8.2f} s  {found['cut_reason']:8}"
        f"floor {gate['noise_floor_start_dbfs']:6.1f}  threshold {gate['threshold_start_dbfs']:6.1f}  "
        f"mean {gate['rms_mean_dbfs']:6.1f}  peak {gate['rms_max_dbfs']:6.1f} dBFS  "
        f"speech {gate['speech_frames']}/{gate['frames']} frames{sure}"
    )


if __name__ == "__main__":
    sys.exit(main())
