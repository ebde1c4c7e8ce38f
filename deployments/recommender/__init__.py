"""What would help: a port, rules, language models."""
