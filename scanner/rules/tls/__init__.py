"""Rules about protocols, cipher suites, key exchanges and known attacks."""
