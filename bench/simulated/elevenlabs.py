"""A simulated ElevenLabs transcription server on loopback: scripted texts, documented answers, faults on request."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import itertools
import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bench.simulated.faults import FaultShare, Latency, Ledger, Steps
from bench.simulated.server import Fault, FaultResponse, LoopbackServer

KEPT_REQUESTS = 1000
"""Requests that are remembered for assertions: the latest ones."""

DEFAULT_TEXTS = (
    "estou com dor de cabeça desde ontem",
    "meu filho está com diarreia",
    "tem alguma coisa para tosse seca?",
    "quanto custa essa escova de cabelo?",
    "estou com azia depois do almoço",
)

BYTES_PER_S = 32_000
"""16 kHz mono s16le."""

MIN_AUDIO_S = 0.1
"""Shorter audio is refused with 400 `audio_too_short`, as the vendor does."""

Step = Fault | str | Mapping[str, Any] | None
"""What one request meets: a fault, a text, a whole JSON answer, or None for the next text in rotation."""


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request as it came in: the form's fields (each with all of its values) and the audio."""

    headers: Mapping[str, str]
    fields: Mapping[str, tuple[str, ...]]
    pcm: bytes
    file_content_type: str
    client_port: int
    """Which connection it came by."""
    query: Mapping[str, str]
    """The URL's parameters."""

    @property
    def sha256(self) -> str:
        """Of the audio, in hexadecimal."""
        return hashlib.sha256(self.pcm).hexdigest()


class SimulatedElevenLabs:
    """`POST /v1/speech-to-text` on loopback while the `async with` block runs.

    Requests meet `script` one by one; afterwards, the text that `texts_by_sha256` has for their audio, else `texts` in
    rotation. `fault_every` N lets every N-th request meet `fault` besides, `fault_share` a share of them. An empty text
    means that nothing was said. `latency` (or `latency_ms`, always the same) is how long an answer takes; `ledger`
    remembers what was received.
    """

    def __init__(
        self,
        *script: Step,
        texts: Sequence[str] = DEFAULT_TEXTS,
        texts_by_sha256: Mapping[str, str] | None = None,
        latency_ms: float = 0.0,
        latency: Latency | None = None,
        ledger: Ledger | None = None,
        api_key: str = "xi-simulated",
        fault: Fault | None = None,
        fault_every: int = 0,
        fault_share: FaultShare | None = None,
        retry_after_s: int = 1,
        stall_s: float = 30.0,
        port: int = 0,
    ) -> None:
        self.requests: deque[ReceivedRequest] = deque(maxlen=KEPT_REQUESTS)
        self.ledger = ledger or Ledger()
        self.answered = 0
        """How many requests got a transcript."""
        self.most_at_once = 0
        """The most requests that were open at the same time."""
        self._open = 0
        self._steps: Steps[Step] = Steps(script, fault, fault_every, fault_share)
        self._texts = itertools.cycle(texts)
        self._texts_by_sha256 = texts_by_sha256 or {}
        self._latency = latency or Latency(latency_ms)
        self._api_key = api_key
        self._retry_after_s = retry_after_s
        self._stall_s = stall_s
        route = Route("/v1/speech-to-text", self._transcribe, methods=["POST"])
        self._server = LoopbackServer(Starlette(routes=[route]), port)

    @property
    def base_url(self) -> str:
        """What to give the SDK as its base URL."""
        return self._server.base_url

    @property
    def connections(self) -> int:
        """Connections that clients hold open now."""
        return self._server.connections

    def revoke_key(self) -> None:
        """From now on no key is right."""
        self._api_key = ""

    async def __aenter__(self) -> SimulatedElevenLabs:
        """Start to listen."""
        await self._server.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop to listen; open requests are cancelled."""
        await self._server.__aexit__(kind, error, trace)

    async def serve_forever(self) -> None:
        """Return when the server ends."""
        await self._server.serve_forever()

    async def _transcribe(self, request: Request) -> Response:
        async with request.form() as form:
            received = await _received(request, form)
        self.requests.append(received)
        entry = self.ledger.received(
            "elevenlabs",
            audio_s=len(received.pcm) / BYTES_PER_S,
            size=len(received.pcm),
            keyterms=len(received.fields.get("keyterms", ())),
        )
        step = self._steps.next()
        entry.outcome = "failed"
        if not self._api_key or received.headers.get("xi-api-key") != self._api_key:
            return FaultResponse(Fault.UNAUTHORIZED, error_body=_error("invalid_api_key", "Invalid API key"))
        complaint = _complaint(received)
        if complaint is not None:
            return complaint
        entry.outcome = "open"
        await self._think()
        left = await request.is_disconnected()
        answer = self._answer(received, step)
        if isinstance(step, Fault):
            entry.outcome = "abandoned" if left else "failed"
            return FaultResponse(
                step,
                error_body=_error(step.value, "simulated"),
                right_answer=json.dumps(answer).encode(),
                retry_after_s=self._retry_after_s,
                stall_s=self._stall_s,
            )
        entry.outcome = "abandoned" if left else "answered"
        self.answered += not left
        return JSONResponse(answer)

    async def _think(self) -> None:
        self._open += 1
        self.most_at_once = max(self.most_at_once, self._open)
        try:
            await asyncio.sleep(self._latency.next_s())
        finally:
            self._open -= 1

    def _answer(self, received: ReceivedRequest, step: Step) -> Mapping[str, Any]:
        if isinstance(step, Mapping):
            return step
        if isinstance(step, str) and not isinstance(step, Fault):
            return transcript(step, len(received.pcm) / BYTES_PER_S)
        known = self._texts_by_sha256.get(received.sha256) if self._texts_by_sha256 else None
        return transcript(next(self._texts) if known is None else known, len(received.pcm) / BYTES_PER_S)


def transcript(text: str, duration_s: float) -> dict[str, Any]:
    """The documented answer for `text`, its words and the spaces between them spread evenly over `duration_s`."""
    pieces = [piece for word in text.split() for piece in (word, " ")][:-1]
    step_s = duration_s / max(1, len(pieces))
    words = [
        {
            "text": piece,
            "start": round(step_s * number, 3),
            "end": round(step_s * (number + 1), 3),
            "type": "spacing" if piece == " " else "word",
            "speaker_id": None,
            "logprob": -0.05,
            "characters": None,
        }
        for number, piece in enumerate(pieces)
    ]
    return {
        "language_code": "por",
        "language_probability": 1.0,
        "text": text,
        "words": words,
        "channel_index": None,
        "additional_formats": None,
        "transcription_id": "simulated",
        "entities": None,
        "audio_duration_secs": duration_s,
    }


async def _received(request: Request, form: FormData) -> ReceivedRequest:
    fields: dict[str, tuple[str, ...]] = {}
    pcm, content_type = b"", ""
    for name, value in form.multi_items():
        if isinstance(value, UploadFile):
            pcm, content_type = await value.read(), value.content_type or ""
        else:
            fields[name] = (*fields.get(name, ()), value)
    client_port = request.client.port if request.client else 0
    return ReceivedRequest(dict(request.headers), fields, pcm, content_type, client_port, dict(request.query_params))


def _complaint(received: ReceivedRequest) -> Response | None:
    """The vendor's refusal of a request that is not as documented."""
    if not received.fields.get("model_id"):
        missing = {"type": "missing", "loc": ["body", "model_id"], "msg": "Field required", "input": None}
        return JSONResponse({"detail": [missing]}, 422)
    if not received.pcm:
        return JSONResponse(_error("invalid_parameters", "Must provide either file or cloud_storage_url."), 400)
    if received.fields.get("file_format") != ("pcm_s16le_16",):
        return JSONResponse(_error("invalid_audio", "This server takes only file_format pcm_s16le_16."), 400)
    if len(received.pcm) % 2:
        return JSONResponse(_error("invalid_audio", "Half a sample."), 400)
    if len(received.pcm) < MIN_AUDIO_S * BYTES_PER_S:
        return JSONResponse(_error("audio_too_short", "The audio is shorter than 100 ms."), 400)
    return None


def _error(status: str, message: str) -> dict[str, Any]:
    return {"detail": {"status": status, "message": message}}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.simulated.elevenlabs", description=__doc__)
    parser.add_argument("--port", type=int, default=9102)
    parser.add_argument("--latency-ms", type=float, default=0.0, help="median latency")
    parser.add_argument("--latency-p99-ms", type=float, help="makes the latency lognormal")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--api-key", default="xi-simulated")
    parser.add_argument("--text", action="append", help="a text of the rotation; may be given again")
    parser.add_argument("--texts-by-sha256", type=Path, help="JSON: SHA-256 of the PCM → text")
    parser.add_argument("--fault", type=Fault, choices=list(Fault), metavar="|".join(fault.value for fault in Fault))
    parser.add_argument("--fault-every", type=int, default=1, help="every N-th request meets the fault")
    parser.add_argument("--stall-s", type=float, default=30.0)
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    by_sha256 = json.loads(arguments.texts_by_sha256.read_text("utf-8")) if arguments.texts_by_sha256 else None
    server = SimulatedElevenLabs(
        texts=arguments.text or DEFAULT_TEXTS,
        texts_by_sha256=by_sha256,
        latency=Latency(arguments.latency_ms, arguments.latency_p99_ms, arguments.seed),
        api_key=arguments.api_key,
        fault=arguments.fault,
        fault_every=arguments.fault_every if arguments.fault else 0,
        stall_s=arguments.stall_s,
        port=arguments.port,
    )
    async with server:
        print(f"simulated ElevenLabs at {server.base_url}", flush=True)
        await server.serve_forever()


def main() -> None:
    """Serve until Ctrl-C."""
    try:
        asyncio.run(_serve(_arguments()))
    except KeyboardInterrupt:
        print("stopped", flush=True)


if __name__ == "__main__":
    main()
