"""The sounds of a counter, for the tests that use real models and recordings."""

import pytest

from tests.support.sounds import Sounds


@pytest.fixture(scope="session")
def sounds() -> Sounds:
    return Sounds()
