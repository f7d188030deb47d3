"""Rules about what is configured: names and hosts of ours that nobody configured."""
