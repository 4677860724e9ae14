"""Engine: what the fleet does in the background to keep values warm."""
