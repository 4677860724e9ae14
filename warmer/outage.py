"""One log line when an outage begins and one when it ends, however many attempts fail in between."""

import logging
from dataclasses import dataclass, field

from warmer.errors import described


@dataclass(slots=True)
class Outage:
    """Logs the first failure and the recovery, so that a process outlives Redis quietly.

    Args:
        logger: Where to log.
        failed: The message for the first failure, with ``%s`` for the error.
        recovered: The message for the recovery; none is logged if it is empty.

    Attributes:
        is_on: Whether the last attempt has failed.

    Example:
        >>> outage = Outage(logging.getLogger("doctest"), "Redis is away (%s)", "Redis is back")
        >>> outage.begin(ConnectionError("refused"))
        >>> outage.is_on
        True
        >>> outage.end()
        >>> outage.is_on
        False
    """

    logger: logging.Logger
    failed: str
    recovered: str = ""
    is_on: bool = field(default=False, init=False)

    def begin(self, error: BaseException) -> None:
        """Report a failure; only the first one is logged."""
        if not self.is_on:
            self.logger.warning(self.failed, described(error))
        self.is_on = True

    def end(self) -> None:
        """Report a success; only the first one after a failure is logged."""
        if self.is_on and self.recovered:
            self.logger.warning(self.recovered)
        self.is_on = False
