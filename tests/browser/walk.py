"""`python -m tests.browser.walk [DIR]`: what a new user does with the README alone, timed from the clone, in pictures.

Clones this checkout, runs `make run` there on a terminal, opens the link that it prints, and plays the sample
conversation until the first suggestion is on the page. Nothing installed before is used but Python and Chromium.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from playwright.async_api import expect

from tests.browser.rig import chromium

ROOT: Final = Path(__file__).resolve().parents[2]
AT_MOST_S: Final = 180.0
READY_WITHIN_S: Final = 600.0
_LINK: Final = re.compile(r"counter's page +(http\S+#chave=\S+)")


def main() -> int:
    """Walk; 1 when the first suggestion came later than AT_MOST_S after the clone."""
    pictures = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "reports" / "walk"
    pictures.mkdir(parents=True, exist_ok=True)
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="balto-walk-") as folder:
        checkout = Path(folder) / "balto"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(checkout)], check=True)
        _say(begun_s, "cloned")
        took_s = _run(checkout, begun_s, pictures)
    return 0 if took_s <= AT_MOST_S else 1


def _run(checkout: Path, begun_s: float, pictures: Path) -> float:
    """`make run` on a terminal of its own, and the page in a browser; seconds until the first suggestion."""
    terminal, inside = pty.openpty()
    environment = {**os.environ, "BALTO_STATE_DIR": str(checkout / ".state"), "PORT": "8799"}
    service = subprocess.Popen(
        ["make", "run"], cwd=checkout, stdout=inside, stderr=inside, env=environment, start_new_session=True
    )
    os.close(inside)
    try:
        link, printed = _link(terminal, begun_s)
        (pictures / "walk-terminal.txt").write_text(re.sub(r"chave=\S+", "chave=…", printed))
        _say(begun_s, "the terminal prints the link")
        return asyncio.run(_page(link, begun_s, pictures))
    finally:
        os.killpg(service.pid, signal.SIGINT)
        service.wait(60)


def _link(terminal: int, begun_s: float) -> tuple[str, str]:
    """The link with the demonstration counter's key, and all that was printed until it came."""
    printed = ""
    with contextlib.suppress(OSError):  # nobody writes there any more: `make run` has ended
        while time.monotonic() - begun_s < READY_WITHIN_S:
            if not select.select([terminal], [], [], 1.0)[0]:
                continue
            printed += os.read(terminal, 65536).decode(errors="replace").replace("\r\n", "\n")
            found = _LINK.search(printed)
            if found:
                return found[1], printed
    raise SystemExit("walk: no link came:\n" + printed[-2000:])


async def _page(link: str, begun_s: float, pictures: Path) -> float:
    async with chromium() as browser:
        page = await browser.new_page(viewport={"width": 1024, "height": 720})
        await page.goto(link)
        await expect(page.locator("#connection")).to_have_text("Conectado", timeout=20_000)
        _say(begun_s, "the page is connected")
        await page.screenshot(path=pictures / "walk-1-connected.png")
        await page.get_by_role("button", name="Ouvir conversa de exemplo").click()
        await expect(page.locator(".card").first).to_be_visible(timeout=60_000)
        took_s = _say(begun_s, "the first suggestion is on the page")
        await asyncio.sleep(0.6)  # it slides in
        await page.screenshot(path=pictures / "walk-2-first-suggestion.png")
        return took_s


def _say(begun_s: float, what: str) -> float:
    took_s = time.monotonic() - begun_s
    sys.stdout.write(f"{took_s:6.1f} s  {what}\n")
    sys.stdout.flush()
    return took_s


if __name__ == "__main__":
    sys.exit(main())
