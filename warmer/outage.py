"""One log line when an outage begins and one when it ends, however many attempts fail in between."""

import logging

from warmer.errors import described


class Outage:
    """Logs the first failure and the recovery, so that a process outlives Redis quietly.

    Args:
        logger: Where to log.
        failed: The message for the first failure, with ``%s`` for the error.
        recovered: The message for the recovery; none is logged if it is empty.

    Example:
        >>> outage = Outage(logging.getLogger("doctest"), "Redis is away (%s)", "Redis is back")
        >>> outage.begin(ConnectionError("refused"))
        >>> outage.is_on
        True
        >>> outage.end()
        >>> outage.is_on
        False
    """

    def __init__(self, logger: logging.Logger, failed: str, recovered: str = "") -> None:
        """Start without an outage."""
        self._logger = logger
        self._failed = failed
        self._recovered = recovered
        self.is_on = False

    def begin(self, error: BaseException) -> None:
        """Report a failure; only the first one is logged."""
        if not self.is_on:
            self._logger.warning(self._failed, described(error))
        self.is_on = True

    def end(self) -> None:
        """Report a success; only the first one after a failure is logged."""
        if self.is_on and self._recovered:
            self._logger.warning(self._recovered)
        self.is_on = False
