"""Is this speech? Clean it, measure it."""
