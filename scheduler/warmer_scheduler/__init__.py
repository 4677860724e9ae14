"""The scheduler process: it decides when targets are refreshed; workers refresh them."""
