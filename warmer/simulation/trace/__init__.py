"""Traces: recorded reads, read from files."""
