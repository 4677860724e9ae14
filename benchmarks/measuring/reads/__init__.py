"""What reads of cached values cost, and what cold keys cost that many readers ask for at once."""
