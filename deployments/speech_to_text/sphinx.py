"""One PocketSphinx decoder in a process of its own, because decoding holds Python's global lock."""

from __future__ import annotations

import json
import os
import select
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from deployments.speech_to_text.language import DICTIONARY, LANGUAGE_MODEL

WORKER = Path(__file__).with_name("sphinx_worker.py")
FRAMES_PER_S = 100
"""PocketSphinx's frames are 10 ms."""

_LENGTH = struct.Struct("<I")


class DecoderGone(Exception):
    """The decoder's process ended, or did not answer in time and was ended."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One token as decoded: its posterior probability 0..1 and its instants in seconds."""

    token: str
    posterior: float
    start_s: float
    end_s: float


class Decoder(Protocol):
    """What recognises one utterance at a time; called from a thread."""

    def hear(self, pcm: bytes, limit_s: float) -> list[Heard]:
        """The tokens of 16 kHz mono s16le `pcm`; raises DecoderGone."""

    def close(self) -> None:
        """End it."""


class SphinxProcess:
    """A `Decoder` behind two pipes. Blocking: call it from one thread. It goes on loading after `__init__`."""

    def __init__(self, command: tuple[str, ...] | None = None) -> None:
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and our own script
                command or (sys.executable, str(WORKER), str(DICTIONARY), str(LANGUAGE_MODEL)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,  # Ctrl-C in the terminal reaches the service, which then closes this
            )
        except OSError as error:
            raise DecoderGone(type(error).__name__) from None
        self._ready = False

    def hear(self, pcm: bytes, limit_s: float) -> list[Heard]:
        """The tokens of `pcm`, decoded within `limit_s`; on DecoderGone the process has ended and is of no more use."""
        until = time.monotonic() + limit_s
        try:
            if not self._ready:
                self._answer(until)
                self._ready = True
            self._write(pcm)
            segments = self._answer(until)
        except (OSError, EOFError, TimeoutError, ValueError) as error:
            self.close()
            raise DecoderGone(type(error).__name__) from None
        return [
            Heard(str(word), float(p), start / FRAMES_PER_S, end / FRAMES_PER_S) for word, p, start, end in segments
        ]

    def close(self) -> None:
        """End the process and wait for it; safe to call twice."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _write(self, pcm: bytes) -> None:
        stream = self._process.stdin
        if stream is None or stream.closed:
            raise EOFError
        message = memoryview(_LENGTH.pack(len(pcm)) + pcm)
        while message:
            message = message[stream.write(message) or 0 :]

    def _answer(self, until: float) -> list[Any]:
        (length,) = _LENGTH.unpack(self._read(_LENGTH.size, until))
        answer: list[Any] = json.loads(self._read(length, until))
        return answer

    def _read(self, length: int, until: float) -> bytes:
        stream = self._process.stdout
        if stream is None or stream.closed:
            raise EOFError
        got = b""
        while len(got) < length:
            if not select.select([stream], [], [], max(0.0, until - time.monotonic()))[0]:
                raise TimeoutError
            piece = os.read(stream.fileno(), length - len(got))
            if not piece:
                raise EOFError
            got += piece
        return got
