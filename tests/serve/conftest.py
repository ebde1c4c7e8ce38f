"""One real service for all tests of this folder: real Ray, real PostgreSQL, the demonstration recogniser."""

import pytest

from tests.support.services import running_service


@pytest.fixture(scope="session")
def service():
    with running_service("--lean") as running:
        yield running
