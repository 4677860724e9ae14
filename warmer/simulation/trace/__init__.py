"""Traces of recorded reads, and their file formats."""
