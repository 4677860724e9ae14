"""Measurement and presentation that the benchmarks share."""
