"""Who competes, each used as its own users would."""
