"""Leader election: one scheduler holds the leader lease, the others stand by."""

from secrets import token_hex

from warmer.store import Store


class Leadership:
    """A lease with an owner token, which expires unless it is renewed.

    Args:
        store: Where the lease is.
        tick_s: How often it is renewed, in seconds; it survives three missed renewals.
    """

    def __init__(self, store: Store, tick_s: float) -> None:
        """Start without the lease."""
        self._store = store
        self._timeout_s = max(4 * tick_s, 2.0)
        self.token = token_hex(16)

    def lead(self) -> bool:
        """Take or renew the lease; False while another scheduler holds it."""
        return self._store.fleet.lead(self.token, self._timeout_s)

    def resign(self) -> None:
        """Release the lease, so that another scheduler need not wait until it expires."""
        self._store.fleet.resign(self.token)
