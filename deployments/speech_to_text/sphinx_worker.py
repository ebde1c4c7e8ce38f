"""A process that holds one PocketSphinx decoder: PCM comes in on stdin, words go out on stdout.

Run by path, not imported. A message is its length as a little-endian uint32, then its bytes: 16 kHz mono s16le in, a
JSON list of [token, posterior, first frame, last frame] out (10 ms frames). The first message out is an empty list: the
decoder is ready. It ends when stdin does, so it never outlives the process that started it.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from typing import Any, BinaryIO

from pocketsphinx import Decoder, get_model_path, set_loglevel

LENGTH = struct.Struct("<I")


def decoder(dictionary: str, language_model: str) -> Any:
    """A decoder over the bundled English acoustic model; narrower beams lose Portuguese words."""
    set_loglevel("FATAL")
    return Decoder(
        hmm=get_model_path("en-us/en-us"),
        dict=dictionary,
        lm=language_model,
        beam=1e-80,
        wbeam=1e-50,
        loglevel="FATAL",
    )


def recognise(recogniser: Any, pcm: bytes) -> list[tuple[str, float, int, int]]:
    """The tokens heard in one whole utterance, silences and marks included."""
    recogniser.start_utt()
    recogniser.process_raw(pcm, full_utt=True)
    recogniser.end_utt()
    segments = recogniser.seg() or ()  # None when nothing was heard
    return [(part.word, part.prob, part.start_frame, part.end_frame) for part in segments]


def send(stream: BinaryIO, answer: list[tuple[str, float, int, int]]) -> None:
    """Write one message."""
    body = json.dumps(answer).encode()
    stream.write(LENGTH.pack(len(body)) + body)
    stream.flush()


def serve(requests: BinaryIO, answers: BinaryIO, dictionary: str, language_model: str) -> None:
    """Answer utterances until `requests` ends."""
    recogniser = decoder(dictionary, language_model)
    send(answers, [])
    while len(head := requests.read(LENGTH.size)) == LENGTH.size:
        (length,) = LENGTH.unpack(head)
        pcm = requests.read(length)
        if len(pcm) < length:
            return
        send(answers, recognise(recogniser, pcm))


if __name__ == "__main__":
    try:
        serve(sys.stdin.buffer, sys.stdout.buffer, sys.argv[1], sys.argv[2])
    except BrokenPipeError:  # nobody is left to hear the answer
        os._exit(0)  # without flushing stdout, which would raise again
