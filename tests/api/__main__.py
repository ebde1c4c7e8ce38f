"""`python -m tests.api SCHEMATHESIS [OPTION …]`: generated requests against the OpenAPI document of a real door.

The door listens on a free loopback port, with a SQLite database of its own and the real rules behind the advice. First
the administrator asks, by token, then a client, by cookie.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from deployments.recommender.settings import RecommenderSettings
from deployments.recommender.stage import Recommender
from tests.support.doors import ScriptedStages
from tests.support.rest import TOKEN, Rest, rest

CONFIG = Path(__file__).with_name("schemathesis.toml")
GENEROUS = {"trials_per_minute_max": 1_000_000, "failures_from_address_max": 1_000_000}
BY_COOKIE = ("--exclude-path", "/sair", "--exclude-checks", "ignored_auth,missing_required_header")
"""Signing out would end the run, and a header of another scheme beside a good cookie (a proxy's own) is passed over."""


async def main(program: str, *options: str) -> int:
    """Run the program against the document as either; its exit status, 0 only where both runs found nothing."""
    recommender = Recommender(RecommenderSettings(policy="regras"))
    stages = ScriptedStages(recommender=recommender.advise)
    worst = 0
    for who in ("administrador", "a"):
        with tempfile.TemporaryDirectory() as folder:
            async with rest(Path(folder), None, stages, **GENEROUS) as served:
                document = f"{str(served.http.base_url).rstrip('/')}/openapi.json"
                command = (program, "--config-file", str(CONFIG), "run", document, *options)
                worst = max(worst, await run(*command, *await identity(served, who)))
    await recommender.close()
    return worst


async def identity(served: Rest, who: str) -> list[str]:
    """The options that make somebody of the requests: the token for the administrator, a client's session."""
    if who == "administrador":
        return ["-H", f"Authorization:Bearer {TOKEN}"]
    session = await served.session(who)
    return [*BY_COOKIE, *(part for name, value in session.items() for part in ("-H", f"{name}:{value}"))]


async def run(*command: str) -> int:
    """Run a command to its end; its exit status."""
    return await (await asyncio.create_subprocess_exec(*command)).wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(*sys.argv[1:])))
