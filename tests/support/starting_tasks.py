"""A module that switches warming on when it is imported, as applications do."""

import threading

import warmer

warmer.start_cache_warming(embedded=True)


def threads(n: int) -> list[str]:
    return sorted(thread.name for thread in threading.enumerate())
