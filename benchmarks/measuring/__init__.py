"""How it is measured, and how figures are shown."""
