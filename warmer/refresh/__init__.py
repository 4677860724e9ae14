"""Refresh: lease, compute, publish; the one routine that renews a value."""
