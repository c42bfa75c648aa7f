"""The paper's three experiments and its quick checks, each beside what was claimed."""
