"""The worker processes: they run drains, which RQ hands them."""
