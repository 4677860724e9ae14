"""The parts behind a `Warmer`, for tests of what users do not see."""

from warmer import Warmer
from warmer.client.warmer import runtime_of as runtime_of
from warmer.store import Store


def store_of(warmer: Warmer) -> Store:
    """The keys of a `Warmer` in Redis."""
    return runtime_of(warmer).store
