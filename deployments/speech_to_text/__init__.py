"""Speech to text: a port, one file a provider."""
