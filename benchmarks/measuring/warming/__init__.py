"""The speed at which worker processes warm keys, beside jobs of plain RQ."""
