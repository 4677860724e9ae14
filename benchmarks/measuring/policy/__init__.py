"""What refresh policies remove and spend on recorded traces."""
