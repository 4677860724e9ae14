"""The cost of targets in Redis: memory and time."""
