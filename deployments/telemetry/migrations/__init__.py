"""The schema's versions; docs/decisions tells the rules they follow."""
