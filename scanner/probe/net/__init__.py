"""The connections under the probes: how they begin, and how many there may be."""
