"""``forestall up``: every part on this machine, joined, kept up, told about, and brought to an end."""
