"""The embedded broker: a real Apache Kafka (KRaft, one node, loopback) with nothing installed but pip packages."""
