"""What a checkpoint costs here: C, how long it stops the job, and W, until it is safe, by size, mode and frequency."""
