"""What a training job links."""
