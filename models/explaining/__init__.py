"""Why the models said what they said: exact contributions, the metrics behind features, improbable transitions, and
what other policies would have done."""
