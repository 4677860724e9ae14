"""Statistics: what the fleet does, and what warming saved and cost."""
