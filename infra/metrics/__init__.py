"""What forestall tells Prometheus."""
