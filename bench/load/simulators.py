"""`python -m bench.load.simulators`: a recogniser and a language model in one lean process, so that they cost little.

Their answers are those of `bench.simulated`, which checks what it is sent; here only time and bytes count.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
from functools import lru_cache
from typing import Any, Final, cast

import uvloop

from bench.simulated.elevenlabs import BYTES_PER_S, transcript
from bench.simulated.faults import Latency
from bench.simulated.openai import own_answer

SURE: Final = (
    "estou com dor de cabeça desde ontem",
    "tem alguma coisa para tosse seca",
    "estou com azia depois do almoço",
    "preciso de alguma coisa para garganta inflamada",
    "estou com muita dor nas costas",
    "o que é bom para picada de inseto",
    "estou com frieira no pé",
    "tenho muita caspa no cabelo",
    "estou com gases e a barriga inchada",
    "minha pele está muito ressecada",
    "quero alguma coisa para enjoo de viagem",
    "meu olho está seco e ardendo",
    "tenho muita espinha no rosto",
    "estou com tosse com catarro",
)
"""What the rules answer by themselves."""
UNSURE: Final = tuple(
    f"{text} {tail}"
    for text, tail in zip(
        SURE[7:] + SURE[:7],
        itertools.cycle(("desde que o ventilador quebrou", "igual ao porteiro do prédio", "depois do carreto")),
        strict=False,
    )
)
"""The same complaints with words that the rules do not know: the language model is asked."""
TEXTS: Final = tuple(text for pair in zip(SURE, UNSURE, strict=True) for text in pair)
"""Every other one is answered by the rules."""
STT_PATH: Final = b"/v1/speech-to-text"
LLM_PREFIX: Final = "/llm/v1"
_FORM_BYTES: Final = 2_000
"""About what a request's form takes beside its audio."""


class Providers(asyncio.Protocol):
    """One connection: HTTP/1.1 with `content-length`, kept alive, one request at a time."""

    def __init__(self, stt: Latency, llm: Latency) -> None:
        self._latency = {"stt": stt, "llm": llm}
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for requests."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take a request once all of it is there, and answer it when its time has come."""
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        size = _content_length(bytes(self._buffer[:end]))
        if len(self._buffer) < end + 4 + size:
            return
        path = bytes(self._buffer[: self._buffer.find(b"\r\n")]).split(b" ")[1]
        body = bytes(self._buffer[end + 4 : end + 4 + size])
        del self._buffer[: end + 4 + size]
        self._answer_later(path, body)

    def _answer_later(self, path: bytes, body: bytes) -> None:
        loop = asyncio.get_running_loop()
        if path.startswith(STT_PATH):
            loop.call_later(self._latency["stt"].next_s(), self._write, _transcript(len(body)))
        elif path.endswith(b"/chat/completions"):
            loop.call_later(self._latency["llm"].next_s(), self._write, _completion(json.loads(body)))
        else:
            self._write(b"{}")

    def _write(self, body: bytes) -> None:
        head = f"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        if self._transport is not None:
            self._transport.write(head.encode() + body)


_texts = itertools.cycle(TEXTS)


def _transcript(size: int) -> bytes:
    return json.dumps(transcript(next(_texts), max(0.5, (size - _FORM_BYTES) / BYTES_PER_S))).encode()


def _completion(body: dict[str, Any]) -> bytes:
    content = _content(str(body["messages"][-1]["content"]))
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 900, "completion_tokens": 60, "total_tokens": 960}
    return json.dumps(
        {
            "id": "chatcmpl-simulated",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": body["model"],
            "choices": [choice],
            "usage": usage,
        }
    ).encode()


@lru_cache(maxsize=10_000)
def _content(data: str) -> str:
    """What the rules make of the data, worked out once."""
    return json.dumps(own_answer({"messages": [{"content": data}]}), ensure_ascii=False)


def _content_length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.split(b":", 1)[1])
    return 0


async def serve(port: int, stt: Latency, llm: Latency) -> None:
    """Listen on 127.0.0.1 until cancelled. Raises OSError when the port is taken."""
    for text in TEXTS:  # the lexicon is read before anybody waits for an answer
        _content(json.dumps({"contexto": [], "texto": text}, ensure_ascii=False))
    server = await asyncio.get_running_loop().create_server(lambda: Providers(stt, llm), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m bench.load.simulators", description=main.__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--api-key", help="taken and not looked at")
    parser.add_argument("--stt-ms", type=float, default=300.0, help="median")
    parser.add_argument("--stt-p99-ms", type=float, help="makes it lognormal")
    parser.add_argument("--llm-ms", type=float, default=200.0, help="median, of each of the two calls")
    parser.add_argument("--llm-p99-ms", type=float, help="makes it lognormal")
    options = parser.parse_args()
    stt, llm = Latency(options.stt_ms, options.stt_p99_ms, 1), Latency(options.llm_ms, options.llm_p99_ms, 2)
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve(options.port, stt, llm))


if __name__ == "__main__":
    main()
