"""Measures the server-side delay from the end of an utterance to its suggestion, step by step, on real audio."""
