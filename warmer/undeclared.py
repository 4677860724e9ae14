"""Says once of each limit that tasks use and nobody declares what follows from that."""

import logging
from collections.abc import Iterable

logger = logging.getLogger("warmer.limits")


class UndeclaredLimits:
    """Remembers which limits it has warned of.

    Example:
        >>> UndeclaredLimits().met(["pg-main"])
        ['pg-main']
    """

    def __init__(self) -> None:
        """Start with none."""
        self._told: set[str] = set()

    def met(self, names: Iterable[str]) -> list[str]:
        """Warn of those limits that were not met before.

        Args:
            names: Limits that are declared nowhere.

        Returns:
            Those it warned of.
        """
        new = [name for name in dict.fromkeys(names) if name not in self._told]
        self._told.update(new)
        for name in new:
            logger.warning(
                "the limit %r is used by tasks and declared nowhere: they are computed one at a time; "
                'declare it, for example WARMER_LIMITS=\'{"%s": {"concurrency": 4}}\'',
                name,
                name,
            )
        return new
