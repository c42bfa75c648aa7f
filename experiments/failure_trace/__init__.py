"""Real failures of a fleet, as a log of faults tells them."""
