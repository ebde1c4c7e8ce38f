"""Servers on loopback that speak the protocols of speech and language providers, faults included."""
