"""What the data of targets costs in Redis, in memory and in time."""
