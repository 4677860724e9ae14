"""Parameters of a task's function: they validate a call's arguments, and rebuild them from JSON."""

from warmer.tasks.parameters.binding import Parameters

__all__ = ["Parameters"]
