"""What runs where and what is wrong, read once from the topics; for ``forestall status`` and for metrics."""
