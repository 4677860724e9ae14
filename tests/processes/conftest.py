"""What tests of whole processes share."""

from typing import Any

import pytest

from tests.support.fleets import Fleet
from warmer import Warmer


@pytest.fixture
def app(fleet: Fleet, make_warmer: Any) -> Warmer:
    """A Warmer beside the fleet's processes, with the fleet's timings."""
    warmer: Warmer = make_warmer(embedded=False, tick_s=0.2, flush_s=0.2, claim_timeout_s=1.5, lease_timeout_s=1.0)
    return warmer
