"""Moves clients, counters with their keys, and interactions in from a previous installation."""
