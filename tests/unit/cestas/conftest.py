"""The shipped knowledge, loaded once for all tests of the room."""

import pytest

from cestas.catalogue import Catalogue
from cestas.lexicon import Lexicon, shipped


@pytest.fixture(scope="session")
def lexicon() -> Lexicon:
    return shipped()


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return Catalogue.load()
