"""Jobs, failures, alarms, spares, repairs and checkpoints, simulated: what each policy costs, seed by seed."""
