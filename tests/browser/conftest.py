"""One door and one browser for all tests of the pages; every test has a page, and a browser profile, of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.browser.rig import FAKE_MICROPHONE, chromium
from tests.support.doors import OpenDoor, open_door


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They share one event loop, as the browser's connection needs."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def door() -> AsyncIterator[OpenDoor]:
    async with open_door() as at:
        yield at


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium(*FAKE_MICROPHONE) as running:
        yield running
