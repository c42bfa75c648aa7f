"""A small GPT trained by several processes on CPUs, which survives kill -9 of any of them; README.md tells how."""
