"""A counter on the command line: streams a WAV or WebM file and prints what happens."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from serve_app.client.connection import CounterClient
from serve_app.client.errors import ClientError
from serve_app.client.events import Event, describe
from serve_app.client.settings import ClientSettings
from serve_app.client.sources import PcmSource, source_from_file


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m serve_app.client", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, metavar="FILE.(wav|webm)")
    parser.add_argument("--url", action="append", help="of the service; may be repeated: tried in turn")
    key = parser.add_mutually_exclusive_group(required=True)
    key.add_argument("--key", help="the counter's key (visible to others of this machine: prefer --key-file)")
    key.add_argument("--key-file", type=Path)
    parser.add_argument("--speed", type=float, default=1.0, help="1 is real time")
    parser.add_argument("--json", action="store_true", help="one event a line")
    parser.add_argument("--generation", type=int, choices=(2, 3, 4), default=4)
    parser.add_argument("--chunk-ms", type=int, default=60)
    parser.add_argument("--texto", action="append", default=[], help="words typed at the counter; may be repeated")
    arguments = parser.parse_args(argv)
    if arguments.file is None and not arguments.texto:
        parser.error("a FILE or --texto is needed")
    try:
        arguments.settings = ClientSettings(
            **_urls(arguments.url or []),
            generation=arguments.generation,
            speed=arguments.speed,
            chunk_ms=arguments.chunk_ms,
        )
        arguments.api_key = arguments.key or arguments.key_file.read_text(encoding="utf-8").strip()
    except (ValueError, OSError) as exc:
        parser.error(str(exc))
    return arguments


def _urls(urls: list[str]) -> dict[str, Any]:
    return {"url": urls[0], "other_urls": tuple(urls[1:])} if urls else {}


def main(argv: list[str] | None = None) -> int:
    """Stream a file as a counter would; returns the exit code: 0, ClientError's, 2 for usage, 130 for Ctrl-C."""
    arguments = _arguments(argv)

    def show(event: Event) -> None:
        line = event.json_line() if arguments.json else describe(event)
        if line is not None:
            print(line, flush=True)

    async def stream() -> None:
        source = source_from_file(arguments.file) if arguments.file else PcmSource(b"")
        client = CounterClient(arguments.settings, arguments.api_key)
        for texto in arguments.texto:
            client.submit({"comando": "texto", "texto": texto})
        await client.run(source, show)

    try:
        asyncio.run(stream())
    except ClientError as exc:
        print(exc, file=sys.stderr)
        return exc.exit_code
    except KeyboardInterrupt:
        return 130
    return 0
