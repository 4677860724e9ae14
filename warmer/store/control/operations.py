"""Base of the objects of the control server: its client, its scripts and the names of its keys."""

from warmer.store.scripts import Scripts


class ControlOperations:
    """Operations on one subject; each is atomic.

    Args:
        scripts: Scripts of the control server.
    """

    def __init__(self, scripts: Scripts) -> None:
        """Prepare; nothing is sent yet."""
        self._scripts = scripts
        self._client = scripts.client
        self._keys = scripts.keys
