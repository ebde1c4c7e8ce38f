"""The pharmacy's lexicon, loaded once for all tests of the recommender."""

from __future__ import annotations

import pytest

from cestas.lexicon import Lexicon, shipped


@pytest.fixture(scope="session")
def lexicon() -> Lexicon:
    return shipped()
