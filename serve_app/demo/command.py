"""The demonstration on the command line: runs it, prints it, and says what is wrong."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from serve_app.client import ClientError, ClientSettings, CounterClient, is_loopback, source_from_file
from serve_app.demo.demonstration import ROWS_TIMEOUT_S, Demonstration
from serve_app.demo.judging import judge
from serve_app.demo.rows import Rows, RowsUnavailable
from serve_app.demo.table import table
from serve_app.demo.timeline import Timeline
from serve_app.demo.truth import load_truth


async def demonstrate(arguments: argparse.Namespace, show: Callable[[str], None], *, colour: bool) -> list[str]:
    """Run the demonstration and print it; returns what is wrong. Raises ClientError."""
    truth = load_truth(arguments.truth)
    timeline = Timeline(truth, show, colour=colour)
    client = CounterClient(ClientSettings(url=arguments.url), arguments.api_key)
    proxied = not is_loopback(arguments.api)
    headers = {"Authorization": f"Bearer {arguments.token}"}
    async with httpx.AsyncClient(base_url=arguments.api, headers=headers, timeout=5, trust_env=proxied) as http:
        rows = Rows(http) if arguments.token else None
        demonstration = Demonstration(client, timeline, rows)
        await demonstration.run(source_from_file(arguments.sample))
        problems = await _recorded(demonstration, rows, timeline)
    problems += judge(truth, timeline.advices(rows.latest if rows else []))
    for problem in problems:
        timeline.line(problem, "problem")
    if not problems:
        expected = sum(said.expected_of_demonstration for said in truth)
        timeline.line(f"All {expected} suggestions expected came, and none where none belongs.", "advised")
    return problems


async def _recorded(demonstration: Demonstration, rows: Rows | None, timeline: Timeline) -> list[str]:
    """Print the rows; returns what is wrong with them."""
    if rows is None:
        timeline.line("The rows recorded are not shown: they need --token-file.")
        return []
    try:
        complete = await demonstration.all_recorded(rows)
    except RowsUnavailable as exc:
        return [str(exc)]
    timeline.line("")
    for line in table(rows.latest):
        timeline.line(line)
    missing = demonstration.unrecorded(rows.latest)
    return [] if complete else [f"{missing} of what was heard or advised had no row after {ROWS_TIMEOUT_S:g} s"]


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m serve_app.demo", description=__doc__)
    parser.add_argument("--url", default="ws://127.0.0.1:8765/ws")
    parser.add_argument("--key-file", type=Path, required=True, help="holds the counter's key")
    parser.add_argument("--sample", type=Path, default=Path("samples/balcao.wav"))
    parser.add_argument("--truth", type=Path, default=Path("samples/balcao.json"))
    parser.add_argument("--api", help="where the rows are read; default: the server of --url")
    parser.add_argument("--token-file", type=Path, help="holds the administrator's token; without it no rows are read")
    arguments = parser.parse_args(argv)
    try:
        ClientSettings(url=arguments.url)
        arguments.api_key = arguments.key_file.read_text(encoding="utf-8").strip()
        arguments.token = arguments.token_file.read_text(encoding="utf-8").strip() if arguments.token_file else ""
    except (OSError, ValueError) as exc:
        parser.error(str(exc))
    address = urlsplit(arguments.url)
    arguments.api = arguments.api or f"{'https' if address.scheme == 'wss' else 'http'}://{address.netloc}"
    return arguments


def main(argv: list[str] | None = None) -> int:
    """The demonstration as a command: 0 when all that is expected came, 1 when not, the client's codes otherwise."""
    arguments = _arguments(argv)

    def show(line: str) -> None:
        print(line, flush=True)

    try:
        problems = asyncio.run(demonstrate(arguments, show, colour=sys.stdout.isatty()))
    except ClientError as exc:
        print(exc, file=sys.stderr)
        return exc.exit_code
    except KeyboardInterrupt:
        return 130
    return 1 if problems else 0
