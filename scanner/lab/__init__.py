"""Real TLS servers on loopback ports with their own authority, each named for its flaw: for the demo and the tests."""

from scanner.lab.client import Lab, LabError
from scanner.lab.manifest import LabServer

__all__ = ["Lab", "LabError", "LabServer"]
