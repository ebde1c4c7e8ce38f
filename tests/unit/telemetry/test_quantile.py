"""Quantiles without a database's help are those that PostgreSQL's percentile_cont gives."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.telemetry.sqlite import quantile


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=50), st.floats(0, 1))
def test_values_are_interpolated_linearly(values: list[float], q: float):
    assert quantile(sorted(values), q) == pytest.approx(float(np.quantile(values, q)), abs=0.002)


def test_without_values_there_is_no_quantile():
    assert quantile([], 0.5) is None
