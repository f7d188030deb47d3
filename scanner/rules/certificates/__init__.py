"""Rules about certificates and the chains that they come in."""
