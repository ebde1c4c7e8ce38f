"""A counter's page in headless Chromium, before a real door, a wire that can be cut, or a scripted server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, Page, WebSocketRoute, async_playwright

from tests.support.doors import KEY

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "samples" / "balcao.wav"
PICTURES = ROOT / "reports" / "browser"
TABLET = {"width": 1280, "height": 800}
PHONE = {"width": 412, "height": 840}
SESSION = "11111111-1111-4111-8111-111111111111"

FAKE_MICROPHONE = (
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    f"--use-file-for-fake-audio-capture={SAMPLE}%noloop",
)
"""Chromium hears the sample conversation, once, and asks nobody whether it may."""


@contextlib.asynccontextmanager
async def chromium(*arguments: str) -> AsyncIterator[Browser]:
    """The browser of this machine; AssertionError says how to get one."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path is not None, "no Chromium on this machine (Debian: apt-get install chromium)"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=["--no-sandbox", *arguments])
        try:
            yield browser
        finally:
            await browser.close()


async def opened(browser: Browser, url: str, key: str | None = KEY, **options: Any) -> Page:
    """A page of its own at `url`, with `key` kept by the browser; its faults become `page_faults(page)`."""
    context = await browser.new_context(**{"viewport": TABLET, "locale": "pt-BR", **options})
    page = await context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: message.type == "error" and faults.append(message.text))
    _FAULTS[page] = faults
    if key is not None:
        await page.add_init_script(
            f"localStorage.getItem('balto.chave') ?? localStorage.setItem('balto.chave', '{key}')"
        )
    await page.goto(url)
    return page


def keeping(key: str) -> str:
    """A script that has the browser keep `key`, unless it keeps one."""
    return f"localStorage.getItem('balto.chave') ?? localStorage.setItem('balto.chave', '{key}');"


_FAULTS: dict[Page, list[str]] = {}


def page_faults(page: Page) -> list[str]:
    """What the page threw, or wrote to the console as an error."""
    return _FAULTS[page]


class Cable:
    """A TCP relay to a server on this machine; `cut` aborts what runs through it and lets nothing new through."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._whole = True
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.url = ""

    async def __aenter__(self) -> Cable:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        self._server.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def cut(self) -> None:
        self._whole = False
        for writer in list(self._writers):
            writer.transport.abort()

    def mend(self) -> None:
        self._whole = True

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._whole:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        for one, other in ((reader, far_writer), (far_reader, writer)):
            self._writers.add(other)
            task = asyncio.create_task(self._pump(one, other))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
        self._writers.discard(writer)


class ScriptedServer:
    """The server's half of every connection that a page makes; `greet` answers a handshake."""

    def __init__(self, greet: Callable[[ScriptedServer], None]) -> None:
        self._greet = greet
        self._socket: WebSocketRoute | None = None
        self.got: list[dict[str, Any]] = []
        self.audio_bytes = 0
        self._closing: asyncio.Future[None] | None = None

    async def stand_in(self, page: Page) -> None:
        """Take the place of the page's server, from its next connection on."""
        await page.route_web_socket("**/ws", self._connected)

    def say(self, **message: Any) -> None:
        assert self._socket is not None
        self._socket.send(json.dumps(message))

    async def close(self, code: int) -> None:
        assert self._socket is not None
        await self._socket.close(code=code, reason="")

    def refuse(self, code: int, **message: Any) -> None:
        """Say why, and close."""
        self.say(comando="erro", **message)
        self._closing = asyncio.ensure_future(self.close(code))

    def _connected(self, socket: WebSocketRoute) -> None:
        self._socket = socket
        socket.on_message(self._take)

    def _take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self.audio_bytes += len(message)
            return
        self.got.append(json.loads(message))
        if self.got[-1]["comando"] == "auth":
            self._greet(self)

    def reports(self) -> list[tuple[str, str]]:
        """(item, resultado) of every report, in order."""
        return [(got["item"], got["resultado"]) for got in self.got if got["comando"] == "retorno"]


def welcome(server: ScriptedServer) -> None:
    """Let a counter in."""
    server.say(comando="sessao", sessao=SESSION, recebido_ate=0, versao=4)


def suggestion(number: int = 1, *names: str, simulated: bool = False, heard: str = "estou com azia") -> dict[str, Any]:
    """A `recomendar` with these items (one by default)."""
    items = [
        {"id": f"item-{at}", "sugestao": name, "explicacao": f"Explicação de {name}.", "tag": "t"}
        for at, name in enumerate(names or ("Soro de reidratação oral",), 1)
    ]
    return {
        "comando": "recomendar",
        "id": f"22222222-2222-4222-8222-{number:012d}",
        "sessao": SESSION,
        "produto": items[0]["sugestao"],
        "explicacao": items[0]["explicacao"],
        "transcricao_base": heard,
        "itens": items,
        "origem": "regras",
        "simulado": simulated,
    }


async def serious_findings(page: Page) -> list[str]:
    """What axe-core finds that is serious or critical, with where."""
    results = await Axe().run(page)
    return [
        f"{found['id']}: {[node['target'] for node in found['nodes']]}"
        for found in results.response["violations"]
        if found["impact"] in ("serious", "critical")
    ]


async def picture(page: Page, name: str) -> None:
    """Keep how the page looks now as `reports/browser/NAME.png`."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    await page.screenshot(path=PICTURES / f"{name}.png")


def figure(line: str) -> None:
    """Write what was measured to `reports/browser/figures.txt`."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with (PICTURES / "figures.txt").open("a") as figures:
        figures.write(f"{line}\n")
