"""A simulated AssemblyAI on loopback: the one-call Sync API and upload, submission, polling, with faults on request."""

from __future__ import annotations

import argparse
import asyncio
import io
import itertools
import json
import time
import wave
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bench.simulated.elevenlabs import BYTES_PER_S, DEFAULT_TEXTS, KEPT_REQUESTS
from bench.simulated.faults import Entry, FaultShare, Latency, Ledger, Steps
from bench.simulated.server import Fault, FaultResponse, LoopbackServer

MIN_AUDIO_S = 0.08
MAX_AUDIO_S = 120.0
"""What the Sync API takes; beyond it answers 400 `audio_too_short` and 413 `audio_too_large`."""

Step = Fault | str | Mapping[str, Any] | None
"""What one request meets: a fault, a text, a whole JSON answer, or None for the next text in rotation."""


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One Sync request or one REST submission: its options and its audio as PCM."""

    path: str
    headers: Mapping[str, str]
    options: Mapping[str, Any]
    pcm: bytes
    client_port: int


@dataclass(slots=True)
class _Job:
    """One REST transcription; ready at `ready_at` on the monotonic clock."""

    answer: Mapping[str, Any]
    ready_at: float
    entry: Entry
    polls: int = 0
    fault: Fault | None = None


@dataclass(slots=True)
class _Rest:
    uploads: dict[str, bytes] = field(default_factory=dict)
    jobs: dict[str, _Job] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)


class SimulatedAssemblyAi:
    """`/v1/transcribe/live`, `/v1/warm`, `/v2/upload` and `/v2/transcript` while the `async with` block runs.

    A Sync request, or a REST submission, takes one step of `script`, then the texts in rotation; the steps' faults meet
    the request itself (REST: the poll). `latency` is what a Sync answer takes; `rest_latency` the time to a job.
    """

    def __init__(
        self,
        *script: Step,
        texts: Sequence[str] = DEFAULT_TEXTS,
        latency: Latency | None = None,
        rest_latency: Latency | None = None,
        ledger: Ledger | None = None,
        api_key: str = "aai-simulated",
        fault: Fault | None = None,
        fault_every: int = 0,
        fault_share: FaultShare | None = None,
        retry_after_s: int = 1,
        stall_s: float = 30.0,
        port: int = 0,
    ) -> None:
        self.requests: deque[ReceivedRequest] = deque(maxlen=KEPT_REQUESTS)
        self.ledger = ledger or Ledger()
        self.warmed = 0
        """How often `/v1/warm` was asked."""
        self._rest = _Rest()
        self._steps: Steps[Step] = Steps(script, fault, fault_every, fault_share)
        self._texts = itertools.cycle(texts)
        self._latency = latency or Latency()
        self._rest_latency = rest_latency or Latency()
        self._api_key = api_key
        self._retry_after_s = retry_after_s
        self._stall_s = stall_s
        self._ids = itertools.count(1)
        routes = [
            Route("/v1/transcribe/live", self._sync, methods=["POST"]),
            Route("/v1/transcribe", self._sync, methods=["POST"]),
            Route("/v1/warm", self._warm, methods=["GET"]),
            Route("/v2/upload", self._upload, methods=["POST"]),
            Route("/v2/transcript", self._submit, methods=["POST"]),
            Route("/v2/transcript/{id}", self._poll, methods=["GET"]),
            Route("/v2/transcript/{id}", self._delete, methods=["DELETE"]),
        ]
        self._server = LoopbackServer(Starlette(routes=routes), port)

    @property
    def base_url(self) -> str:
        """What to give as `sync_base_url` and `rest_base_url`."""
        return self._server.base_url

    @property
    def connections(self) -> int:
        """Connections that clients hold open now."""
        return self._server.connections

    @property
    def deleted(self) -> Sequence[str]:
        """Ids of the REST transcripts that were deleted."""
        return self._rest.deleted

    def revoke_key(self) -> None:
        """From now on no key is right."""
        self._api_key = ""

    async def __aenter__(self) -> SimulatedAssemblyAi:
        """Start to listen."""
        await self._server.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        """Stop to listen; open requests are cancelled."""
        await self._server.__aexit__(*error)

    async def serve_forever(self) -> None:
        """Return when the server ends."""
        await self._server.serve_forever()

    async def _warm(self, request: Request) -> Response:
        self.warmed += 1
        return JSONResponse({"status": "ok"})

    async def _sync(self, request: Request) -> Response:
        async with request.form() as form:
            config, audio = form.get("config"), form.get("audio")
            options = json.loads(await config.read() if isinstance(config, UploadFile) else config or "{}")
            pcm = await audio.read() if isinstance(audio, UploadFile) else b""
        entry = self._received("assemblyai", request, options, pcm)
        step = self._steps.next()
        entry.outcome = "failed"
        if not self._allowed(request):
            return JSONResponse({"detail": "Invalid API key"}, 401)
        complaint = _complaint(request, options, pcm)
        if complaint is not None:
            return complaint
        entry.outcome = "open"
        await asyncio.sleep(self._latency.next_s())
        left = await request.is_disconnected()
        answer = self._answer(step, pcm, timestamps=bool(options.get("timestamps")))
        if isinstance(step, Fault):
            entry.outcome = "abandoned" if left else "failed"
            return self._faulty(step, answer)
        entry.outcome = "abandoned" if left else "answered"
        return JSONResponse(answer)

    async def _upload(self, request: Request) -> Response:
        if not self._allowed(request):
            return JSONResponse({"error": "Authentication error, API token missing/invalid"}, 401)
        url = f"{self.base_url}/uploads/{next(self._ids)}"
        self._rest.uploads[url] = await request.body()
        return JSONResponse({"upload_url": url})

    async def _submit(self, request: Request) -> Response:
        options = await request.json()
        file = self._rest.uploads.pop(options.get("audio_url", ""), b"")
        if not self._allowed(request):
            return JSONResponse({"error": "Authentication error, API token missing/invalid"}, 401)
        with wave.open(io.BytesIO(file)) as sound:
            pcm = sound.readframes(sound.getnframes())
        entry = self._received("assemblyai_rest", request, options, pcm)
        step = self._steps.next()
        ready_at = time.monotonic() + self._rest_latency.next_s()
        job = _Job(self._answer(step, pcm, timestamps=True), ready_at, entry)
        job.fault = step if isinstance(step, Fault) else None
        number = f"job-{next(self._ids)}"
        self._rest.jobs[number] = job
        return JSONResponse({"id": number, "status": "queued", "audio_url": options["audio_url"]})

    async def _poll(self, request: Request) -> Response:
        number = request.path_params["id"]
        job = self._rest.jobs.get(number)
        if not self._allowed(request) or job is None:
            return JSONResponse({"error": "Transcript lookup error, transcript id not found"}, 401 if job else 400)
        job.polls += 1
        whole = {"id": number, "audio_url": "", "status": "completed", **job.answer}
        if job.fault is not None:
            job.entry.outcome = "failed"
            return self._faulty(job.fault, whole)
        if time.monotonic() < job.ready_at:
            return JSONResponse({"id": number, "audio_url": "", "status": "processing"})
        job.entry.outcome = "failed" if whole["status"] == "error" else "answered"
        return JSONResponse(whole)

    async def _delete(self, request: Request) -> Response:
        number = request.path_params["id"]
        if self._rest.jobs.pop(number, None) is None:
            return JSONResponse({"error": "Transcript lookup error, transcript id not found"}, 400)
        self._rest.deleted.append(number)
        return JSONResponse({"id": number, "audio_url": "", "status": "completed", "text": "Deleted by user."})

    def _received(self, provider: str, request: Request, options: Mapping[str, Any], pcm: bytes) -> Entry:
        port = request.client.port if request.client else 0
        self.requests.append(ReceivedRequest(request.url.path, dict(request.headers), options, pcm, port))
        terms = options.get("keyterms_prompt") or ()
        return self.ledger.received(provider, audio_s=len(pcm) / BYTES_PER_S, size=len(pcm), keyterms=len(terms))

    def _allowed(self, request: Request) -> bool:
        return bool(self._api_key) and request.headers.get("authorization") == self._api_key

    def _answer(self, step: Step, pcm: bytes, *, timestamps: bool) -> Mapping[str, Any]:
        if isinstance(step, Mapping):
            return step
        said = step if isinstance(step, str) and not isinstance(step, Fault) else next(self._texts)
        return transcript(said, len(pcm) / BYTES_PER_S, timestamps=timestamps)

    def _faulty(self, fault: Fault, answer: Mapping[str, Any]) -> Response:
        return FaultResponse(
            fault,
            error_body={"status": 500, "title": fault.value, "detail": "simulated"},
            right_answer=json.dumps(answer).encode(),
            retry_after_s=self._retry_after_s,
            stall_s=self._stall_s,
        )


def transcript(text: str, duration_s: float, *, timestamps: bool = True) -> dict[str, Any]:
    """The documented answer for `text`, its words spread evenly over `duration_s`; instants in milliseconds."""
    said = text.split()
    step_ms = duration_s * 1e3 / max(1, len(said))
    words = [
        {
            "text": word,
            "start": round(step_ms * number) if timestamps else None,
            "end": round(step_ms * (number + 1)) if timestamps else None,
            "confidence": 0.95,
        }
        for number, word in enumerate(said)
    ]
    return {
        "text": text,
        "words": words,
        "confidence": 0.95,
        "audio_duration_ms": round(duration_s * 1e3),
        "session_id": "simulated",
        "request_time_ms": 1.0,
    }


def _complaint(request: Request, options: Mapping[str, Any], pcm: bytes) -> Response | None:
    """The vendor's refusal of a Sync request that is not as documented."""
    if not request.headers.get("x-aai-model"):
        return _error(400, "bad_request", "X-AAI-Model is missing")
    if options.get("sample_rate") != 16_000 or options.get("channels") != 1 or len(pcm) % 2:
        return _error(400, "bad_audio", "This server takes only 16 kHz mono s16le.")
    if len(pcm) < MIN_AUDIO_S * BYTES_PER_S:
        return _error(400, "audio_too_short", "below 80 ms")
    if len(pcm) > MAX_AUDIO_S * BYTES_PER_S:
        return _error(413, "audio_too_large", "above 120 s")
    return None


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error_code": code, "message": message}, status)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.simulated.assemblyai", description=__doc__)
    parser.add_argument("--port", type=int, default=9103)
    parser.add_argument("--latency-ms", type=float, default=134.0, help="median latency of the Sync API")
    parser.add_argument("--latency-p99-ms", type=float, help="makes it lognormal")
    parser.add_argument("--rest-latency-ms", type=float, default=5500.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--api-key", default="aai-simulated")
    parser.add_argument("--fault", type=Fault, choices=list(Fault), metavar="|".join(fault.value for fault in Fault))
    parser.add_argument("--fault-every", type=int, default=1, help="every N-th request meets the fault")
    parser.add_argument("--stall-s", type=float, default=30.0)
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    server = SimulatedAssemblyAi(
        latency=Latency(arguments.latency_ms, arguments.latency_p99_ms, arguments.seed),
        rest_latency=Latency(arguments.rest_latency_ms),
        api_key=arguments.api_key,
        fault=arguments.fault,
        fault_every=arguments.fault_every if arguments.fault else 0,
        stall_s=arguments.stall_s,
        port=arguments.port,
    )
    async with server:
        print(f"simulated AssemblyAI at {server.base_url}", flush=True)
        await server.serve_forever()


def main() -> None:
    """Serve until Ctrl-C."""
    try:
        asyncio.run(_serve(_arguments()))
    except KeyboardInterrupt:
        print("stopped", flush=True)


if __name__ == "__main__":
    main()
