"""What people are told by alert: which there are, when one fires, and how it reaches a receiver at least once."""
