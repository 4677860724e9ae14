"""Tasks: what an application declares."""
