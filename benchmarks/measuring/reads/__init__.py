"""The cost of hits, misses and stampedes."""
