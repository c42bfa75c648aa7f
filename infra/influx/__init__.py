"""InfluxDB beside forestall: a server of its own, and what is set up in any."""
