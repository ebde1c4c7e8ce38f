"""The door of Balto: what counters and people reach, and how the stages are wired."""

__version__ = "4.0.0"
