"""Simulated providers and counters, load, faults and their reports; nothing of the service looks in here."""
