"""How fast worker processes warm keys, beside jobs of plain RQ."""
