"""Simulated providers in processes of their own, on loopback, answering at once."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import psutil

from bench.path.service import SIMULATED_KEY, BenchFailed, uninterrupted
from serve_app.local_ray import free_port, is_free, wait_until
from serve_app.settings import ROOT

START_TIMEOUT_S: Final = 60.0

TEXTS: Final = (
    "estou com dor de cabeça desde ontem",
    "meu marido está com diarreia desde cedo",
    "tem alguma coisa para tosse seca",
    "estou com azia depois do almoço",
    "meu nariz está entupido e não consigo dormir",
    "preciso de alguma coisa para garganta inflamada",
    "queria um remédio para prisão de ventre",
    "estou com muita dor nas costas",
    "o que é bom para picada de inseto",
    "estou com frieira no pé",
    "tenho muita caspa no cabelo",
    "estou com cólica menstrual",
    "queimei a pele no sol da praia",
    "estou com gases e a barriga inchada",
    "apareceu uma afta na boca",
    "minha pele está muito ressecada",
    "estou espirrando muito com essa poeira",
    "quero alguma coisa para enjoo de viagem",
    "machuquei o joelho e ralei a pele",
    "meu olho está seco e ardendo",
    "estou com febre e dor no corpo",
    "tenho muita espinha no rosto",
    "estou com tosse com catarro",
    "preciso de um protetor solar",
    "meu filho está com assadura",
    "queria uma vitamina para imunidade",
    "estou com dor muscular depois da academia",
    "bebi muito ontem e estou de ressaca",
    "meus pés estão rachados",
    "estou com coceira na pele",
    "minha gengiva está sangrando",
)
"""What customers ask for: each leads to a suggestion by the rules, and a customer seldom meets one twice."""


@dataclass(frozen=True, slots=True)
class Provider:
    """A simulated provider that listens."""

    base_url: str
    process: psutil.Process


@contextlib.contextmanager
def elevenlabs(texts: Sequence[str] = TEXTS, latency_ms: float = 0.0) -> Iterator[Provider]:
    """A simulated ElevenLabs that answers `texts` in rotation, each after `latency_ms`."""
    arguments = [part for text in texts for part in ("--text", text)]
    arguments += ["--latency-ms", str(latency_ms)] if latency_ms else []
    with _server("bench.simulated.elevenlabs", *arguments) as provider:
        yield provider


@contextlib.contextmanager
def elevenlabs_realtime() -> Iterator[Provider]:
    """A simulated ElevenLabs that listens along."""
    with _server("bench.simulated.elevenlabs_realtime") as provider:
        yield provider


@contextlib.contextmanager
def openai() -> Iterator[Provider]:
    """A simulated OpenAI that answers what the rules of `cestas` make of the text."""
    with _server("bench.simulated.openai") as provider:
        yield Provider(provider.base_url + "/v1", provider.process)


@contextlib.contextmanager
def _server(module: str, *arguments: str) -> Iterator[Provider]:
    """`python -m module` until the block ends. Raises BenchFailed when it does not come up."""
    port = free_port()
    command = [sys.executable, "-m", module, "--port", str(port), "--api-key", SIMULATED_KEY, *arguments]
    with tempfile.TemporaryFile() as output:
        server = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is ours to handle
        )
        try:
            wait_until(lambda: server.poll() is not None or not is_free(port, "127.0.0.1"), START_TIMEOUT_S)
            if server.poll() is not None or is_free(port, "127.0.0.1"):
                output.seek(0)
                last = output.read().decode(errors="replace").strip().splitlines()[-1:]
                raise BenchFailed(f"{module} did not start: {''.join(last)}")
            yield Provider(f"http://127.0.0.1:{port}", psutil.Process(server.pid))
        finally:
            with uninterrupted():
                _end(server)


def _end(server: subprocess.Popen[bytes]) -> None:
    for send in (signal.SIGINT, signal.SIGKILL):
        server.send_signal(send)
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.wait(5.0)
            return
