"""The sounds of a counter, for the audio room's tests."""

import pytest

from tests.support.sounds import Sounds


@pytest.fixture(scope="session")
def sounds() -> Sounds:
    return Sounds()
