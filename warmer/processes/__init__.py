"""Processes: child processes and the private Redis server."""
