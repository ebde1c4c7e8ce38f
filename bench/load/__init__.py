"""Counters by the hundred against a service of the bench's own: what a counter-second costs, and what is lost."""
