"""The counter's page before a whole Balto: real Ray, real PostgreSQL, the demonstration recogniser."""

import asyncio
import contextlib

import psutil
import pytest
from playwright.async_api import expect

from tests.browser.rig import FAKE_MICROPHONE, chromium, opened, page_faults, picture
from tests.support.services import RunningService, running_service


@pytest.mark.timeout(300)
async def test_from_the_link_on_the_terminal_to_suggestions_through_a_killed_ingress():
    with running_service("--lean") as service:
        async with chromium(*FAKE_MICROPHONE) as browser:
            page = await opened(browser, f"{service.api}/#chave={service.key}", key=None)
            await expect(page.locator("#connection")).to_have_text("Conectado", timeout=20_000)
            assert page.url == f"{service.api}/"  # the key is not in the address any more
            await page.get_by_role("button", name="Começar a ouvir").click()
            await expect(page.locator(".card")).not_to_have_count(0, timeout=40_000)
            await expect(page.locator("#notices")).to_contain_text("Reconhecedor de demonstração")
            await picture(page, "page-whole-service")
            _kill_ingress(service)
            await expect(page.locator("#connection")).to_contain_text("Sem conexão", timeout=20_000)
            await expect(page.locator("#connection")).to_have_text("Conectado", timeout=60_000)
            await expect(page.locator(".card").nth(1)).to_be_visible(timeout=60_000)
            await picture(page, "page-whole-service-resumed")
            assert await _one_session(service)
            shown = [fault for fault in page_faults(page) if "WebSocket" not in fault]
            assert shown == []


def _kill_ingress(service: RunningService) -> None:
    killed = 0
    for process in service.ray.processes():
        with contextlib.suppress(psutil.Error):
            if "ServeReplica:balto:CounterIngress" in process.name() + " ".join(process.cmdline()):
                process.kill()
                killed += 1
    assert killed


async def _one_session(service: RunningService) -> bool:
    """Whether all that was recorded from sound belongs to one session, once the last of it is there."""
    await asyncio.sleep(2)
    rows = service.get("/api/data/interacoes?limite=1000")["interacoes"]
    return len(rows) > 1 and len({row["session_id"] for row in rows}) == 1
