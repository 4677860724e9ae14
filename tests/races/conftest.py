"""What race tests share."""

import pytest


@pytest.fixture
def quiet(make_warmer):
    """Makes Warmers whose counters stand still, so that they tell how many readers have come."""
    return lambda **values: make_warmer(**{"flush_s": 60, "tick_s": 60, **values})
