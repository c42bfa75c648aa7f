"""The live page: what the topics tell, served on loopback."""
