"""The scheduler process: it says when, the workers run it."""
