"""Checks any deployment against the written protocol: REST, and counters of every generation."""
