"""Command line: what people type, and how answers are shown."""
