"""Executors: where computations run, in threads, on an event loop or in isolated processes."""
