"""Realistic values for tests, built rather than scanned."""
