"""Rules about the enforcement of HTTPS."""
