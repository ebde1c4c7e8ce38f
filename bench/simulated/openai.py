"""A simulated server of the OpenAI protocol on loopback: structured output as documented, faults on request."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bench.simulated.server import Fault, FaultResponse, LoopbackServer
from cestas.classify import classify
from cestas.entities import extract
from cestas.intent import intent_of
from cestas.lexicon import Lexicon
from cestas.model import Entities

KEPT_REQUESTS = 1000
"""Requests that are remembered for assertions: the latest ones."""

CHARS_PER_TOKEN = 4
"""Tokens are counted as a quarter of the characters: good enough for a bill that only has to add up."""


class ModelFault(str, Enum):
    """A way for a model to fail inside a well-formed 200."""

    REFUSAL = "refusal"
    """`message.refusal` instead of content."""
    CONTENT_FILTER = "content_filter"
    """`finish_reason` `content_filter`, nothing said."""
    LENGTH = "length"
    """The first half of the right content, `finish_reason` `length`."""
    CUT_CONTENT = "cut_content"
    """The first half of the right content, `finish_reason` `stop`."""
    WRONG_ENUM = "wrong_enum"
    """Every label replaced by one that the schema does not list."""
    MISSING_FIELD = "missing_field"
    """The content without its last property."""
    NOT_JSON = "not_json"
    """A chatty sentence instead of JSON."""
    NO_CHOICES = "no_choices"
    """`choices` is empty."""
    WRONG_SHAPE = "wrong_shape"
    """JSON, but not of the protocol: `choices` is a sentence."""


Model = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Answers one request's body with the content that fits its schema."""

Step = Fault | ModelFault | Mapping[str, Any] | None
"""What one request meets: a fault, the content to answer with, or None for the server's own answer."""


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request as it came in."""

    headers: Mapping[str, str]
    body: dict[str, Any]

    @property
    def schema_name(self) -> str:
        """Name of the schema that the answer should follow."""
        return str(self.body.get("response_format", {}).get("json_schema", {}).get("name", ""))


class SimulatedOpenAi:
    """`POST /v1/chat/completions` on loopback while the `async with` block runs.

    Requests meet `script` one by one, then the answer of `model`; without one, what the rules of `cestas` make of the
    data in the last user message. `fault_every` N lets every N-th request meet `fault` besides. `base_url` ends in
    `/v1`.
    """

    def __init__(
        self,
        *script: Step,
        latency_ms: float = 0.0,
        api_key: str = "sk-simulated",
        fault: Fault | ModelFault | None = None,
        fault_every: int = 0,
        stall_s: float = 30.0,
        port: int = 0,
        model: Model | None = None,
    ) -> None:
        self.requests: deque[ReceivedRequest] = deque(maxlen=KEPT_REQUESTS)
        self.asked = asyncio.Event()
        """Set once a request has come in."""
        self.tokens_in = 0
        self.tokens_out = 0
        self._script = deque(script)
        self._latency_s = latency_ms / 1e3
        self._api_key = api_key
        self._fault = fault
        self._fault_every = fault_every
        self._stall_s = stall_s
        self._ids = itertools.count(1)
        self._model = model if model is not None else own_answer
        route = Route("/v1/chat/completions", self._completions, methods=["POST"])
        self._server = LoopbackServer(Starlette(routes=[route]), port)

    @property
    def base_url(self) -> str:
        """What to give a client as its base URL."""
        return f"{self._server.base_url}/v1"

    async def __aenter__(self) -> SimulatedOpenAi:
        """Start to listen."""
        await self._server.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        """Stop to listen; open requests are cancelled."""
        await self._server.__aexit__(*error)

    async def serve_forever(self) -> None:
        """Return when the server ends."""
        await self._server.serve_forever()

    async def _completions(self, request: Request) -> Response:
        body = await request.json()
        self.requests.append(ReceivedRequest(dict(request.headers), body))
        self.asked.set()
        number = next(self._ids)
        step = self._next_step(number)
        if request.headers.get("authorization") != f"Bearer {self._api_key}":
            return FaultResponse(
                Fault.UNAUTHORIZED, error_body=_error("Incorrect API key provided.", "invalid_api_key")
            )
        complaint = _complaint(body)
        if complaint:
            return JSONResponse(_error(complaint, "invalid_value", "invalid_request_error"), 400)
        if self._latency_s:
            await asyncio.sleep(self._latency_s)
        completion = self._completion(number, body, step)
        if isinstance(step, Fault):
            error = _error("The server had an error while processing your request.", step.value, "server_error")
            right = json.dumps(completion).encode()
            return FaultResponse(step, error_body=error, right_answer=right, stall_s=self._stall_s)
        self.tokens_in += completion["usage"]["prompt_tokens"]
        self.tokens_out += completion["usage"]["completion_tokens"]
        return JSONResponse(completion)

    def _next_step(self, number: int) -> Step:
        if self._script:
            return self._script.popleft()
        return self._fault if self._fault_every and number % self._fault_every == 0 else None

    def _completion(self, number: int, body: dict[str, Any], step: Step) -> dict[str, Any]:
        answer = dict(step) if isinstance(step, Mapping) else self._model(body)
        content, refusal, finish = _message(answer, step)
        spent_in = sum(len(str(message["content"])) for message in body["messages"]) // CHARS_PER_TOKEN
        spent_out = len(content or refusal or "") // CHARS_PER_TOKEN
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": content, "refusal": refusal, "annotations": []},
            "logprobs": None,
            "finish_reason": finish,
        }
        return {
            "id": f"chatcmpl-simulated-{number}",
            "object": "chat.completion",
            "created": 1_700_000_000 + number,
            "model": body["model"],
            "choices": _choices(choice, step),
            "usage": _usage(spent_in, spent_out),
            "service_tier": "default",
            "system_fingerprint": "fp_simulated",
        }


def _choices(choice: dict[str, Any], step: Step) -> Any:
    if step is ModelFault.WRONG_SHAPE:
        return "try again later"
    return [] if step is ModelFault.NO_CHOICES else [choice]


def _usage(tokens_in: int, tokens_out: int) -> dict[str, Any]:
    return {
        "prompt_tokens": tokens_in,
        "completion_tokens": tokens_out,
        "total_tokens": tokens_in + tokens_out,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


def _error(message: str, code: str, kind: str = "invalid_request_error") -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _complaint(body: Mapping[str, Any]) -> str:
    """Why the vendor would answer 400 to this body; empty when it would not."""
    if not body.get("model") or not body.get("messages"):
        return "You must provide a model and messages."
    form = body.get("response_format", {})
    if form.get("type") != "json_schema" or form.get("json_schema", {}).get("strict") is not True:
        return "This server answers only with response_format json_schema, strict."
    if not _is_strict(form["json_schema"].get("schema")):
        return "Invalid schema for response_format: objects must be closed and all of their properties required."
    thinks = str(body["model"]).startswith(("gpt-5", "gpt-6", "o3", "o4", "grok-3-mini", "grok-4.3"))
    if "reasoning_effort" in body and not thinks:
        return "Unrecognized request argument supplied: reasoning_effort"
    if "temperature" in body and thinks and body.get("reasoning_effort") != "none":
        return "Unsupported value: 'temperature' does not support other values with this model."
    return ""


def _is_strict(schema: Any) -> bool:
    if isinstance(schema, list):
        return all(_is_strict(part) for part in schema)
    if not isinstance(schema, Mapping):
        return True
    if schema.get("type") == "object" and (
        schema.get("additionalProperties") is not False or set(schema.get("required", ())) != set(schema["properties"])
    ):
        return False
    return "default" not in schema and all(_is_strict(part) for part in schema.values())


def _message(answer: dict[str, Any], step: Step) -> tuple[str | None, str | None, str]:
    """Content, refusal and finish reason of the one choice."""
    if step is ModelFault.REFUSAL:
        return None, "I'm sorry, I cannot help with that.", "stop"
    if step is ModelFault.CONTENT_FILTER:
        return None, None, "content_filter"
    if step is ModelFault.NOT_JSON:
        return "Claro! Aqui está a resposta que você pediu.", None, "stop"
    if step is ModelFault.WRONG_ENUM:
        answer = {
            **answer,
            **{label: "HOMEOPATIA_QUANTICA" for label in ("intent", "macro", "micro") if label in answer},
        }
    if step is ModelFault.MISSING_FIELD:
        answer = dict(list(answer.items())[:-1])
    content = json.dumps(answer, ensure_ascii=False)
    if step in (ModelFault.LENGTH, ModelFault.CUT_CONTENT):
        return content[: len(content) // 2], None, "length" if step is ModelFault.LENGTH else "stop"
    return content, None, "stop"


@cache
def _lexicon() -> Lexicon:
    return Lexicon.load()


def own_answer(body: Mapping[str, Any]) -> dict[str, Any]:
    """What the rules make of the data: honest, if no cleverer than they are."""
    data = data_of(body)
    if "texto" not in data:
        return shelf_of(data)
    text = str(data["texto"])
    entities = extract(text, _lexicon())
    return {"intent": intent_of(text, entities), **_named(text, entities)}


def data_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON object in the last user message; one with `texto` alone where it holds none."""
    content = str(body["messages"][-1]["content"])
    try:
        data = json.loads(content)
    except ValueError:
        return {"texto": content}
    return data if isinstance(data, dict) else {"texto": content}


def shelf_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """The second answer: the category that the rules find for the names in the second question."""
    kinds = {"sintomas": "symptoms", "doencas": "diseases", "medicamentos": "medicines", "artigos": "articles"}
    kinds |= {"situacoes": "situations", "em_uso": "in_use", "ocasioes": "contexts"}
    named = Entities(**{field: tuple(data.get(kind, ())) for kind, field in kinds.items()})
    category = classify("", named, _lexicon())
    return {"macro": category.macro, "micro": category.micro, "confidence": category.confidence}


def _named(text: str, entities: Entities) -> dict[str, list[dict[str, str]]]:
    """The whole text is quoted as evidence of each: true, if not short."""
    kinds = {
        "medicines": entities.medicines,
        "articles": entities.articles,
        "symptoms": entities.symptoms,
        "diseases": entities.diseases,
        "situations": entities.situations,
        "contexts": entities.contexts,
    }
    return {kind: [{"name": name, "evidence": text} for name in names] for kind, names in kinds.items()}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=9101)
    parser.add_argument("--latency-ms", type=float, default=0.0)
    parser.add_argument("--api-key", default="sk-simulated")
    parser.add_argument("--fault", choices=[fault.value for fault in (*Fault, *ModelFault)])
    parser.add_argument("--fault-every", type=int, default=1, help="every N-th request meets the fault")
    parser.add_argument("--stall-s", type=float, default=30.0)
    return parser.parse_args()


async def _serve(arguments: argparse.Namespace) -> None:
    faults: dict[str, Fault | ModelFault] = {fault.value: fault for fault in (*Fault, *ModelFault)}
    server = SimulatedOpenAi(
        latency_ms=arguments.latency_ms,
        api_key=arguments.api_key,
        fault=faults.get(arguments.fault or ""),
        fault_every=arguments.fault_every if arguments.fault else 0,
        stall_s=arguments.stall_s,
        port=arguments.port,
    )
    async with server:
        print(f"simulated OpenAI at {server.base_url}", flush=True)
        await server.serve_forever()


def main() -> None:
    """Serve until Ctrl-C."""
    try:
        asyncio.run(_serve(_arguments()))
    except KeyboardInterrupt:
        print("stopped", flush=True)


if __name__ == "__main__":
    main()
