"""One scheduler leads; the others stand by."""

from secrets import token_hex

from warmer.store import Store


class Leadership:
    """A leadership with an owner token, which lapses unless it is renewed.

    Args:
        store: Where the leadership is.
        tick_s: How often it is renewed; it outlives three missed renewals.
    """

    def __init__(self, store: Store, tick_s: float) -> None:
        """Start as a stand-by."""
        self._store = store
        self._timeout_s = max(4 * tick_s, 2.0)
        self.token = token_hex(16)

    def lead(self) -> bool:
        """Take or renew the leadership; False while another leads."""
        return self._store.fleet.lead(self.token, self._timeout_s)

    def resign(self) -> None:
        """Give the leadership up, so that a stand-by need not wait for it to lapse."""
        self._store.fleet.resign(self.token)
