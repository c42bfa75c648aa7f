"""InfluxDB 2: what is written there, as points made from the records of the topics, and the way there."""
